package p2p

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"
)

// punches reports whether the presence is ready to punch holes: libp2p waits until
// somebody has told the host under which address it came. On circuits of before
// it doesn't try.
func (pr *Presence) punches() bool {
	return slices.Contains(pr.host.Mux().Protocols(), holepunch.Protocol)
}

// punchers are the peers with whom holes are tried again. The zero value is ready.
type punchers struct {
	mu    sync.Mutex
	peers map[peer.ID]bool // guarded by mu
}

// enter is false if a peer is among them already.
func (t *punchers) enter(p peer.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[p] {
		return false
	}
	if t.peers == nil {
		t.peers = map[peer.ID]bool{}
	}
	t.peers[p] = true
	return true
}

func (t *punchers) leave(p peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.peers, p)
}

// punchAgain makes the circuit to a peer anew, ever more rarely, until there is a
// direct connection: libp2p tries a hole only when a circuit comes, and one side
// may not have been ready then.
func (pr *Presence) punchAgain(ctx context.Context, p peer.ID) {
	if !pr.punching.enter(p) {
		return
	}
	defer pr.punching.leave(p)
	timer := time.NewTimer(jitter(punchRetry))
	defer timer.Stop()
	for wait := 2 * punchRetry; ; wait = min(2*wait, punchRetryMax) {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(jitter(wait))
		conns := pr.host.Network().ConnsToPeer(p)
		if len(conns) == 0 || slices.ContainsFunc(conns, direct) {
			return
		}
		if !pr.punches() || slices.ContainsFunc(conns, transfers) {
			continue
		}
		var by []ma.Multiaddr
		for _, c := range conns {
			by = append(by, c.RemoteMultiaddr())
			_ = c.Close()
		}
		if connect(ctx, pr.host, candidate{p, by}, pr.cfg.Profile.patience()) != nil {
			return // the members' dialler goes on
		}
	}
}

// transfers reports whether anything runs over a connection that would have to
// begin again.
func transfers(c network.Conn) bool {
	return slices.ContainsFunc(c.GetStreams(), func(s network.Stream) bool {
		return s.Protocol() == syncProtocol || s.Protocol() == pushProtocol
	})
}
