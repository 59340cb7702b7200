package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
)

// Nearby is whether this node shows itself on the local networks.
type Nearby struct {
	Until     *time.Time `json:"until"` // null if it does not
	Connected int        `json:"connected"`
}

// Nearby looks for members on the local networks for d, at most an hour, and
// shows this device there; zero ends it. Members in one room find each other
// so without any other network.
func (c *Community) Nearby(_ context.Context, d time.Duration) (Nearby, error) {
	m := c.presence()
	if m == nil {
		return Nearby{}, errNotYet()
	}
	if d < 0 || d > p2p.MaxNearby {
		return Nearby{}, &Error{
			Code: "usage", Exit: ExitUsage,
			Message: fmt.Sprintf("a node shows itself on the local network for at most %s", InDays(p2p.MaxNearby)), Hint: "metastate nearby --for 10m",
		}
	}
	err := m.Nearby(d)
	if errors.Is(err, p2p.ErrProfile) {
		return Nearby{}, refuse(fmt.Sprintf("a node of the profile %s never shows itself on the local network", c.net.cfg.Profile), "only one that runs with --profile member does")
	}
	if err != nil {
		return Nearby{}, &Error{
			Code: "no-network", Exit: ExitFailed, Err: err,
			Message: "this computer is on no network on which others could be looked for", Hint: "join the others' Wi-Fi, or plug in a cable, and try again",
		}
	}
	return c.nearbyOf(m), nil
}

// Nearness is what [Community.Nearby] began, or that it is over. It changes
// nothing.
func (c *Community) Nearness() (Nearby, error) {
	m := c.presence()
	if m == nil {
		return Nearby{}, errNotYet()
	}
	return c.nearbyOf(m), nil
}

func (c *Community) nearbyOf(m *p2p.Member) (out Nearby) {
	if until := m.NearbyUntil(); !until.IsZero() {
		until = until.UTC().Truncate(time.Second)
		out.Until = &until
	}
	for _, p := range m.Peers() {
		if p.Connected {
			out.Connected++
		}
	}
	return out
}
