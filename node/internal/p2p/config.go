package p2p

import (
	"fmt"
	"log/slog"
	"time"
)

// Config describes a presence. Only Seed is required.
type Config struct {
	// Seed is the transport key's: 32 random bytes, kept for this presence
	// alone, never derived from anything and never used for two metastates.
	Seed [32]byte
	// Profile is how the presence takes part; zero means ProfileMember.
	Profile Profile
	// Hidden is needed by ProfileHidden alone.
	Hidden Hidden
	// Listen lists multiaddrs. Empty: [Profile.Anywhere]. Keep [Member.Addrs]' ports and give them here next time, so
	// that peers' books stay true.
	Listen []string
	// Announce are addresses at which others reach what listens here, where the
	// machine doesn't know them itself, as of [CheckAnnounce].
	Announce []string
	// Underlay replaces the machine's network; Listen is then not used.
	Underlay Underlay
	// Shared has the presence take any number of metastates, see
	// [Presence.Join]. Lobbies and presences of one member have no use for it.
	Shared bool
	// Lobby reports whether a peer is the lobby of a member: a relay's lobby lets
	// those, and nobody else, be reached through it. Nil: there are none.
	Lobby func(peerID string) bool
	// SyncEvery is the mean time between sync sessions with a peer; each is
	// shortened or stretched by up to a third. Zero means 7.5 minutes.
	SyncEvery time.Duration
	// Bulk, if set, is called with true when a session begins to move history or
	// a snapshot, and with false when that session ends. Sessions may overlap.
	Bulk func(begin bool)
	// Log takes diagnostics without keys, addresses or content. Nil: none.
	Log *slog.Logger
}

// complete checks c and fills in what is zero.
func (c *Config) complete() error {
	if c.Seed == ([32]byte{}) {
		return fmt.Errorf("the transport key's seed is zero")
	}
	if c.Profile < 0 || int(c.Profile) >= len(profiles) {
		return fmt.Errorf("there is no profile %d", c.Profile)
	}
	switch {
	case c.Profile == ProfileHidden:
		if err := c.Hidden.complete(c.Listen); err != nil {
			return err
		}
	case len(c.Listen) == 0:
		c.Listen = c.Profile.Anywhere()
	}
	for _, a := range c.Announce {
		if err := CheckAnnounce(a); err != nil {
			return err
		}
	}
	if c.Underlay == nil {
		c.Underlay = c.underlay(c.Listen)
	} else {
		c.Listen = nil
	}
	if c.SyncEvery == 0 {
		c.SyncEvery = 450 * time.Second
	}
	if c.SyncEvery < time.Second {
		return fmt.Errorf("sync every %v is too often", c.SyncEvery)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
