package state_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

const terms = "Members of either are heard by the other."

// A pair is two metastates that know each other's checkpoint.
type pair struct {
	*testing.T
	a, b *land
}

func newPair(t *testing.T) *pair {
	a, b := newLand(t, nil, "alice", "bob", "carol"), newLand(t, nil, "alice", "bob")
	a.people(roll.Pending, "eve")
	return &pair{t, a, b}
}

// offers has one decide a pact with the other.
func offers(l, with *land, text string) *protocol.Record {
	return l.decides(pactBody(with.anchor(), text))
}

func pactBody(with *abroad.Anchor, text string) decision.ProposeBody {
	return decision.ProposeBody{
		Text: text, Class: charter.ClassCharter,
		Act: &decision.Act{Kind: decision.Pact, Pact: &abroad.Offer{With: *with, Terms: protocol.Sum([]byte(text))}},
	}
}

func (x *pair) id() protocol.ID {
	return abroad.PactID(x.b.w.Genesis.ID(), x.a.w.Genesis.ID(), protocol.Sum([]byte(terms)), 0)
}

// shows has somebody of l bring what the other has of the pact.
func (x *pair) shows(l, other *land, by string, who ...string) *protocol.Record {
	cert := certify(x, other.last, other.signers(), who...)
	return l.w.Record(by, protocol.Countersign, abroad.CountersignBody{
		Pact: x.id(), Certificate: cert, Proof: other.s.ProvePact(x.id()),
	}, statetest.How{})
}

func (x *pair) brings(l, other *land, stands bool, rule protocol.Rule) {
	x.Helper()
	r := x.shows(l, other, "alice", clerksOfP...)
	l.cover(r)
	l.expect(r, stands, rule)
}

func (x *pair) is(l *land, standing string) {
	x.Helper()
	p := l.s.Abroad().Pact(x.id())
	if p == nil && standing == "" || p != nil && p.Standing == standing {
		return
	}
	x.Errorf("the pact is %v, want it %s", p, standing)
}

// SPEC §5.11: a pact is in force where it was decided and the other is shown to
// have it too. Either ends it, for good, for both.
func TestPact(t *testing.T) {
	x := newPair(t)
	offers(x.a, x.b, terms)
	x.is(x.a, abroad.Offered)
	x.brings(x.a, x.b, false, "proof") // the other has not decided
	offers(x.b, x.a, terms+" ")
	x.brings(x.a, x.b, false, "proof") // or something else
	offers(x.b, x.a, terms)
	x.is(x.b, abroad.Offered)

	r := x.shows(x.a, x.b, "eve", clerksOfP...)
	x.a.cover(r)
	x.a.expect(r, false, "power") // pending
	r = x.shows(x.a, x.b, "alice", "alice")
	x.a.cover(r)
	x.a.expect(r, false, "proof") // one clerk of two
	r = x.a.w.Record("alice", protocol.Countersign, abroad.CountersignBody{Pact: protocol.Sum(nil)}, statetest.How{})
	x.a.cover(r)
	x.a.expect(r, false, "malformed") // no pact
	x.is(x.a, abroad.Offered)

	x.brings(x.a, x.b, true, "pact/in-force")
	x.is(x.a, abroad.InForce)
	x.brings(x.b, x.a, true, "pact/in-force")
	x.is(x.b, abroad.InForce)
	x.brings(x.a, x.b, false, "proof") // in force already
	if again, err := state.Restore(leaves(&crowd{w: x.a.w, s: x.a.s})); err != nil || again.Root() != x.a.s.Root() {
		t.Errorf("not restored: %v", err)
	}

	before := x.shows(x.b, x.a, "alice", clerksOfP...)
	x.a.decides(decision.ProposeBody{Class: charter.ClassCharter, Act: &decision.Act{Kind: decision.Part, Base: x.id()}})
	x.is(x.a, abroad.Ended)
	x.b.cover(before, x.shows(x.b, x.a, "bob", clerksOfP...))
	x.is(x.b, abroad.Ended)
	x.brings(x.b, x.a, false, "proof")
	offers(x.a, x.b, terms)
	x.is(x.a, abroad.Ended)
}

// An end goes before a beginning that comes with it, whichever has the lower id.
func TestPactEndedAtOnce(t *testing.T) {
	first := map[bool]bool{}
	for salt := int64(0); len(first) < 2; salt++ {
		x := newPair(t)
		x.a.w.Time += salt
		offers(x.a, x.b, terms)
		offers(x.b, x.a, terms)
		begin := x.shows(x.a, x.b, "alice", clerksOfP...)
		x.b.decides(decision.ProposeBody{Class: charter.ClassCharter, Act: &decision.Act{Kind: decision.Part, Base: x.id()}})
		end := x.shows(x.a, x.b, "bob", clerksOfP...)
		first[begin.ID().Compare(end.ID()) < 0] = true
		x.a.cover(begin, end)
		x.a.expect(begin, true, "pact/in-force")
		x.a.expect(end, true, "pact/ended")
		x.is(x.a, abroad.Ended)
	}
}

// A pact is decided by the class charter, its terms are the proposal's text, and
// nobody has one with itself.
func TestPactProposed(t *testing.T) {
	x := newPair(t)
	good := pactBody(x.b.anchor(), terms)
	for what, change := range map[string]func(*decision.ProposeBody){
		"of another class":  func(b *decision.ProposeBody) { b.Class = charter.ClassOrdinary },
		"of other terms":    func(b *decision.ProposeBody) { b.Text += "!" },
		"without terms":     func(b *decision.ProposeBody) { b.Text, b.Act.Pact.Terms = "", protocol.Sum(nil) },
		"without an offer":  func(b *decision.ProposeBody) { b.Act.Pact = nil },
		"with nobody":       func(b *decision.ProposeBody) { b.Act.Pact.With.Clerks = nil },
		"that ended before": func(b *decision.ProposeBody) { b.Act.Pact.Ends = -1 },
		"with a base":       func(b *decision.ProposeBody) { b.Act.Base = x.id() },
		"ended, of nothing": func(b *decision.ProposeBody) { b.Act = &decision.Act{Kind: decision.Part} },
		"ended, of another class": func(b *decision.ProposeBody) {
			b.Class, b.Act = charter.ClassOrdinary, &decision.Act{Kind: decision.Part, Base: x.id()}
		},
	} {
		body := good
		act, offer := *good.Act, *good.Act.Pact
		act.Pact, body.Act = &offer, &act
		change(&body)
		if r := x.a.decides(body); x.a.verdicts[r.ID()].Stands {
			t.Errorf("%s: stands", what)
		}
	}
	x.is(x.a, "")
	offers(x.a, x.a, terms)
	for id := range x.a.s.Abroad().Pacts() {
		t.Errorf("a pact with itself: %s", id)
	}
	if x.a.s.Abroad().Known(x.a.w.Genesis.ID()) != nil {
		t.Error("it has an anchor of itself")
	}
}

// A decision moves what is known on where no certificate does, and never back.
func TestPactAnchor(t *testing.T) {
	x := newPair(t)
	low := x.b.anchor()
	x.b.cover()
	offers(x.a, x.b, terms)
	known := func() uint64 { return x.a.s.Abroad().Known(x.b.w.Genesis.ID()).Height }
	high := known()
	x.a.decides(pactBody(low, terms))
	if known() != high {
		t.Errorf("went back to %d", known())
	}
	x.b.cover()
	offers(x.a, x.b, terms)
	if known() != x.b.last.Height {
		t.Errorf("known is %d, decided %d", known(), x.b.last.Height)
	}
}

// SPEC §5.11: a pact binds until its end.
func TestPactEnds(t *testing.T) {
	for ends, want := range map[int64]bool{0: true, 100: false, 101: true} {
		if p := (&abroad.Pact{Standing: abroad.InForce, Ends: ends}); p.Binds(100) != want {
			t.Errorf("ends at %d: binds %t at 100", ends, !want)
		}
	}
	if (&abroad.Pact{Standing: abroad.Offered}).Binds(100) {
		t.Error("an offer binds")
	}
}
