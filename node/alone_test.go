package node

import (
	"testing"
	"testing/synctest"

	"github.com/metastate-p2p/metastate/protocol"
)

// A founder whose checkpoints were lost is not alone if any record or binding
// that is left says that there are others.
func TestAloneAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 2)
		c := v.all[0]
		s := seek(t, c, protocol.Ref{}) // nothing but the genesis
		if !s.ledger.alone(c.Persona()) {
			t.Error("the genesis tells of others")
		}
		for e, err := range c.store.Log(0) {
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.book().record(e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind() != protocol.Admit {
				continue
			}
			s.ledger.mu.Lock()
			s.ledger.index(r)
			s.ledger.mu.Unlock()
		}
		if s.ledger.alone(c.Persona()) {
			t.Error("an admission was overlooked")
		}
		for _, n := range v.nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
