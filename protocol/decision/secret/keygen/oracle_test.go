package keygen

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// TestComplaintIsNoOracle: a dealer who could seal with another dealer's ephemeral
// key, or with a multiple of it, would have who complains show what opens the honest
// dealer's share too: with their own shares f trustees would know the committee's key.
func TestComplaintIsNoOracle(t *testing.T) {
	b := newBoard(t, 1, 1)
	honest, victim := b.deals[0], b.trustees[2]
	for times := uint64(1); times <= 2; times++ {
		for what, forge := range map[string]func(d *Deal){
			"its old proof":         func(*Deal) {},
			"the honest proof":      func(d *Deal) { d.sealing = honest.sealing },
			"a proof of its own":    func(d *Deal) { d.sealing = d.sealed().Prove(sealingOf(b, d), seedOf(1)) },
			"a proof of the factor": func(d *Deal) { d.sealing = d.sealed().Prove(number(times), seedOf(1)) },
		} {
			d := *b.deals[3]
			d.ephemeral = group.VarTimeCombine([]group.Scalar{number(times)}, []group.Point{honest.ephemeral})
			forge(&d)
			bad, err := b.read(&d)
			if err != nil {
				continue
			}
			t.Errorf("%d times an honest ephemeral key is taken with %s", times, what)
			c, err := victim.Complain(bad)
			if err != nil {
				t.Fatal(err)
			}
			if s, err := honest.open(victim.index, c.shared.Mul(number(times).Inverse())); err == nil {
				t.Errorf("everybody knows the share %x of trustee %d in the honest deal", s.Bytes(), victim.index)
			}
		}
	}
	zero := *b.deals[3]
	zero.ephemeral = group.Point{}
	zero.sealing = zero.sealed().Prove(group.Scalar{}, seedOf(1))
	if zero.check(zero.Commitment()) == nil {
		t.Error("shares sealed with nothing are taken")
	}
}
