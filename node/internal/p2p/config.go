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
	// Listen lists multiaddrs. Empty: any free TCP and UDP port on all
	// interfaces. Keep [Member.Addrs]' ports and give them here next time, so
	// that peers' books stay true.
	Listen []string
	// Underlay replaces the machine's network; Listen is then not used.
	Underlay Underlay
	// Limits bound the host; zero means Laptop.
	Limits Limits
	// SyncEvery is the mean time between sync sessions with a peer; each is
	// shortened or stretched by up to a third. Zero means 7.5 minutes.
	SyncEvery time.Duration
	// Coalesce is how long frames wait for others to share a gossip message,
	// 5–20 ms. Zero means 10 ms.
	Coalesce time.Duration
	// Log takes diagnostics without keys, addresses or content. Nil: none.
	Log *slog.Logger
}

// anywhere is the default of Config.Listen.
var anywhere = []string{
	"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1",
}

// complete checks c and fills in what is zero.
func (c *Config) complete() error {
	if c.Seed == ([32]byte{}) {
		return fmt.Errorf("the transport key's seed is zero")
	}
	if len(c.Listen) == 0 {
		c.Listen = anywhere
	}
	if c.Underlay == nil {
		c.Underlay = system(c.Listen)
	}
	if c.Limits == (Limits{}) {
		c.Limits = Laptop
	}
	if l := c.Limits; l.Conns < 4 || l.Memory < 1<<20 || l.PeerConns < 1 || l.Streams < 1 || l.PerAddress < 1 ||
		l.Low < 1 || l.High < l.Low {
		return fmt.Errorf("limits %+v leave no room", l)
	}
	if c.SyncEvery == 0 {
		c.SyncEvery = 450 * time.Second
	}
	if c.Coalesce == 0 {
		c.Coalesce = 10 * time.Millisecond
	}
	if c.SyncEvery < time.Second || c.Coalesce < time.Millisecond || c.Coalesce > time.Second {
		return fmt.Errorf("sync every %v, coalesce %v: out of range", c.SyncEvery, c.Coalesce)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
