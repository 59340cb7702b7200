package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A Crowding is what became of a crowd's requests.
type Crowding struct {
	Answered uint64
	Refused  uint64 // by the lobby's handler
	Declined uint64 // before they were read, or with the connection
}

// Crowd sends a lobby n requests as fast as it can, from one host, for tests and
// measurements of what a flood does. request makes the one of a number. It
// returns early only if the lobby can't be reached at all, or ctx ends.
func Crowd(ctx context.Context, cfg Config, lobby Peer, n int, request func(int) []byte) (out Crowding, err error) {
	if err := cfg.complete(); err != nil {
		return out, fmt.Errorf("p2p: crowding: %w", err)
	}
	id, addrs, err := parsePeer(lobby)
	if err != nil {
		return out, err
	}
	h, err := newHost(cfg, visiting, gater{allow: func(p peer.ID) bool { return p == id }, meter: &meter{}})
	if err != nil {
		return out, fmt.Errorf("p2p: crowding: %w", err)
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	to := candidate{id, addrs}
	if err := connect(ctx, h, to, dialTimeout); err != nil {
		return out, fmt.Errorf("p2p: crowding: %w: %w", ErrUnreachable, err)
	}
	var next, answered, refused, declined atomic.Int64
	var wg sync.WaitGroup
	for range maxKnocks {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				switch _, err := knockOnce(ctx, h, to, request(i)); {
				case err == nil:
					answered.Add(1)
				case errors.Is(err, ErrRefused):
					refused.Add(1)
				default:
					declined.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return Crowding{uint64(answered.Load()), uint64(refused.Load()), uint64(declined.Load())}, ctx.Err()
}

// knockOnce knocks on a connection that is there, or on a new one.
func knockOnce(ctx context.Context, h host.Host, to candidate, request []byte) ([]byte, error) {
	if len(h.Network().ConnsToPeer(to.id)) == 0 {
		if err := connect(ctx, h, to, dialTimeout); err != nil {
			return nil, err
		}
	}
	return ask(ctx, h, to, request)
}
