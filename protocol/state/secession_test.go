package state_test

import (
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

var clerksOfP = []string{"alice", "bob", "carol"}

// A secession is a parent with three clerks and a fork of it that dana founded.
// Eve, mallory and frank are pending there. Frank came to the parent after the
// checkpoint that the fork names.
type secession struct {
	*testing.T
	parent, fork *land
	at           uint64              // the parent's height that the fork names
	clerks       []certificate.Clerk // of the parent, then
}

func secede(t *testing.T) *secession {
	p := newLand(t, nil, clerksOfP...)
	p.people(roll.Full, "dana", "eve", "mallory")
	a := p.anchor()
	f := newLand(t, a, "dana")
	f.people(roll.Pending, "eve", "mallory", "frank")
	p.people(roll.Full, "frank")
	return &secession{T: t, parent: p, fork: f, at: a.Height, clerks: a.Clerks}
}

// certified is the parent's last checkpoint, signed by the clerks of the anchor.
func (x *secession) certified() []byte { return certify(x, x.parent.last, x.clerks, clerksOfP...) }

// claims has dana bring what the parent's last checkpoint says of somebody, and
// requires the rule by which that stands or falls.
func (x *secession) claims(persona string, stands bool, rule protocol.Rule) *protocol.Record {
	x.Helper()
	return x.brings(x.fork.claim("dana", x.parent, persona, x.certified()), stands, rule)
}

func (x *secession) brings(r *protocol.Record, stands bool, rule protocol.Rule) *protocol.Record {
	x.Helper()
	x.fork.cover(r)
	x.fork.expect(r, stands, rule)
	return r
}

// splits requires that both sides compute the same.
func (x *secession) splits(n int) {
	x.Helper()
	there := abroad.Moved(x.parent.s.Roll(), x.fork.w.Genesis.ID(), x.at)
	if here := x.fork.s.Abroad().Split(); !slices.Equal(here, there) || len(here) != n {
		x.Errorf("the fork says %v, the parent %v; want %d", here, there, n)
	}
}
