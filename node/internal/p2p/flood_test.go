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
		target, _ := peer.Decode(l.ID())
		addr := ma.StringCast(p2psim.Addr(0, port))
		var wg sync.WaitGroup
		var mu sync.Mutex
		var conns []transport.CapableConn // guarded by mu
		for i := range 250 {
			h, err := n.Underlay(100+i, 0)(libp2p.DisableRelay(), libp2p.DisableMetrics(),
				libp2p.ResourceManager(&network.NullResourceManager{}))
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			tr := h.Network().(*swarm.Swarm).TransportForDialing(addr)
			for range 4 {
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
		held := 0
		for _, c := range conns {
			if !c.IsClosed() {
				held++
			}
		}
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
