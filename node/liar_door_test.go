package node

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Who is welcomed by a liar first, with a secret that leads to nobody or to the
// liar alone, meets the others all the same: another lobby of the invite gives it
// theirs, though it can't at first.
func TestWelcomedByALiar(t *testing.T) {
	for name, eclipse := range map[string]bool{"leads to nobody": false, "leads to the liar": true} {
		t.Run(name, func(t *testing.T) {
			a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
			eve, _ := enterBy(t, onLoopback(t), a, "Eve")
			genesis, err := a.store.Get(a.id)
			if err != nil {
				t.Fatal(err)
			}
			secret := random32()
			lie := joinAnswer{Standing: "member", Genesis: genesis, Epochs: [][]byte{secret[:]}}
			if eclipse {
				if err := eve.adoptEpoch(secret); err != nil {
					t.Fatal(err)
				}
				lie.Bindings = [][]byte{eve.replica.Binding()}
			}
			var lied atomic.Bool
			liar := openDoor(t, func(ctx context.Context, peerID string, raw []byte) ([]byte, error) {
				if eclipse { // she admits, too
					if _, err := eve.serveJoin(ctx, peerID, raw); err != nil {
						return nil, err
					}
				}
				lied.Store(true)
				return dagcbor.Marshal(lie)
			})
			n, m := joinsBehind(t, a, liar, &lied, 1)
			b := n.lookup(m.Metastate)
			peer := a.presence().ID()
			soon(t, "it exchanges with who is honest", func() bool {
				for _, p := range b.Peers() {
					if p.ID == peer && p.Connected && p.LastSync != nil {
						return b.Status().Standing == "member"
					}
				}
				return false
			})
			for _, p := range b.Peers() {
				if p.ID == b.presence().ID() {
					t.Error("it is in its own book")
				}
			}
		})
	}
}
