package p2p_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/transport"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/metastate-p2p/metastate/node/internal/p2p/p2psim"
)

// Of a thousand connections at once, from 250 strangers, a lobby holds at most
// its profile's number, and it answers again when they have had
// their time.
func TestLobbyHoldsItsBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand handshakes take some seconds")
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		l := newLobby(t, n, echo)
		defer l.Close()
		held := rush(t, n, l.ID(), 250, 4)
		t.Logf("of 1000 connections %d are held", held)
		if held > 128 || held < 32 {
			t.Errorf("%d connections held", held)
		}
		time.Sleep(2 * time.Minute)
		if resp, _, err := knock(n, 7, "after the flood", 0); err != nil {
			t.Error(resp, err)
		}
	})
}

// rush opens connections to machine 0 from strangers, so many each, all at once,
// and counts those that are held a second later.
func rush(t *testing.T, n *p2psim.Network, to string, strangers, each int) (held int) {
	t.Helper()
	target, err := peer.Decode(to)
	if err != nil {
		t.Fatal(err)
	}
	addr := ma.StringCast(p2psim.Addr(0, port))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []transport.CapableConn // guarded by mu
	for i := range strangers {
		h, err := n.Underlay(100+i, 0)(libp2p.DisableRelay(), libp2p.DisableMetrics(),
			libp2p.ResourceManager(&network.NullResourceManager{}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		tr := h.Network().(*swarm.Swarm).TransportForDialing(addr)
		for range each {
			wg.Go(func() {
				if c, err := tr.Dial(t.Context(), addr, target); err == nil {
					mu.Lock()
					conns = append(conns, c)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	time.Sleep(time.Second)
	for _, c := range conns {
		if !c.IsClosed() {
			held++
		}
	}
	return held
}

// Of a thousand connections at once to a member's presence, from one address or
// from many, none is held, and members go on as before.
func TestMemberUnderRush(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand handshakes take some seconds")
	}
	for name, x := range map[string]struct{ strangers, each int }{"one address": {1, 1000}, "many addresses": {250, 4}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, 3)
				defer w.close(t)
				w.connected(t, 2)
				if held := rush(t, w.net, w.members[0].ID(), x.strangers, x.each); held != 0 {
					t.Errorf("%d connections of strangers are held", held)
				}
				if n := peers(w.members[0]); n != 2 {
					t.Errorf("%d members are connected still", n)
				}
				w.replicas[0].Add(plane, "said meanwhile")
				if _, err := w.members[1].SyncNow(t.Context()); err != nil || !w.replicas[1].Has("said meanwhile") {
					t.Error("a member is not served:", err)
				}
				// Who comes later finds room, too.
				if err := w.members[2].Close(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				w.members[2] = w.start(t, 2)
				add(t, w.members[2], 0)
				eventually(t, 2*time.Minute, "a member comes back", func() bool { return w.replicas[2].Has("said meanwhile") })
			})
		})
	}
}

// A member's peer that opens a hundred connections holds as many as one peer
// may, and others are served.
func TestKnownPeerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		addr := ma.StringCast(p2psim.Addr(0, port))
		h, err := w.net.Underlay(100, 0)(libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}))
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		w.replicas[0].Know(true, h.ID().String())
		target, _ := peer.Decode(id(0))
		tr := h.Network().(*swarm.Swarm).TransportForDialing(addr)
		var conns []transport.CapableConn
		for range 100 {
			if c, err := tr.Dial(t.Context(), addr, target); err == nil {
				conns = append(conns, c)
			}
		}
		time.Sleep(time.Second)
		held := 0
		for _, c := range conns {
			if !c.IsClosed() {
				held++
			}
		}
		if held < 1 || held > 4 {
			t.Errorf("%d connections of one peer are held", held)
		}
		w.replicas[0].Add(plane, "said meanwhile")
		if _, err := w.members[1].SyncNow(t.Context()); err != nil || !w.replicas[1].Has("said meanwhile") {
			t.Error("a member is not served:", err)
		}
	})
}
