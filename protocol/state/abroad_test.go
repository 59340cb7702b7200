package state_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// SPEC §5.8, §5.10: who left the parent for the fork, and proves it, is a member
// there, and has a share iff they were a member at the checkpoint it names.
func TestClaim(t *testing.T) {
	x := secede(t)
	x.parent.cover(x.parent.leave("eve", x.fork, "eve", x.at), x.parent.leave("frank", x.fork, "frank", x.at))
	r := x.claims("eve", true, "claim")
	if x.fork.standing("eve") != roll.Full || x.parent.standing("eve") != roll.Left {
		t.Error("eve is not a member of the fork alone")
	}
	if e, _ := x.fork.s.Explain(x.fork.w.Persona("eve")); e.Because[len(e.Because)-1].Record != r.ID() {
		t.Errorf("the claim does not explain the standing: %v", e)
	}
	if e, _ := x.parent.s.Explain(x.parent.w.Persona("eve")); e.Because[len(e.Because)-1].Rule != roll.RuleMoved {
		t.Errorf("the move does not explain the standing: %v", e)
	}
	x.claims("frank", true, "claim")
	x.splits(2)
	for _, s := range x.fork.s.Abroad().Split() {
		if want := s.From == x.parent.w.Persona("eve"); s.Share != want {
			t.Errorf("%v: who was no member at the checkpoint has no share", s)
		}
	}
	x.claims("eve", false, "claim/taken")
	x.fork.cover(r)
	x.fork.expect(r, false, "equivocation") // its place in the chain is final
	x.splits(2)
	if again, err := state.Restore(leaves(&crowd{w: x.fork.w, s: x.fork.s})); err != nil || again.Root() != x.fork.s.Root() {
		t.Errorf("not restored: %v", err)
	}
}

// Twice in one checkpoint is once; a founder of the fork, a member already, has
// the share too.
func TestClaimTwiceAtOnce(t *testing.T) {
	x := secede(t)
	x.parent.cover(x.parent.leave("eve", x.fork, "eve", x.at), x.parent.leave("dana", x.fork, "dana", x.at))
	a, b := x.fork.claim("dana", x.parent, "eve", x.certified()), x.fork.claim("dana", x.parent, "eve", x.certified())
	c := x.fork.claim("dana", x.parent, "dana", x.certified())
	x.fork.cover(a, b, c)
	for _, r := range []*protocol.Record{a, b, c} {
		x.fork.expect(r, true, "claim")
	}
	x.splits(2)
}

// Nobody stays and claims too, claims what another had, or leaves for two forks.
func TestClaimRefused(t *testing.T) {
	x := secede(t)
	x.claims("eve", false, "proof") // has not left
	elsewhere := roll.Move{Metastate: protocol.Sum(nil), Persona: x.fork.w.Persona("frank"), Height: x.at}
	x.parent.cover(x.parent.w.Record("dana", protocol.Leave, roll.LeaveBody{}, statetest.How{}),
		x.parent.w.Record("frank", protocol.Leave, roll.LeaveBody{To: &elsewhere}, statetest.How{}))
	x.claims("dana", false, "proof")  // left for nowhere
	x.claims("frank", false, "proof") // for another fork
	x.parent.cover(x.parent.leave("eve", x.fork, "eve", x.at), x.parent.leave("mallory", x.fork, "mallory", x.at-1))
	x.claims("mallory", false, "proof")                                               // from another checkpoint
	x.brings(x.fork.claim("mallory", x.parent, "eve", x.certified()), false, "power") // pending
	absent := x.fork.claim("dana", x.parent, "mallory", x.certified())
	body, err := protocol.Body[abroad.ClaimBody](absent)
	if err != nil {
		t.Fatal(err)
	}
	body.Persona = protocol.Sum(nil)
	body.Proof = x.parent.s.ProveMember(body.Persona)
	x.brings(x.fork.w.Record("dana", protocol.Claim, body, statetest.How{}), false, "proof") // nobody's
	if x.fork.standing("mallory") != roll.Pending {
		t.Error("mallory came in")
	}
	second := &secession{T: t, parent: x.parent, fork: newLand(t, x.parent.anchor(), "dana"), at: x.at, clerks: x.clerks}
	second.fork.people(roll.Pending, "eve")
	second.parent.cover(second.parent.w.Approve("alice", "eve", statetest.How{}))
	second.parent.cover(second.parent.leave("eve", second.fork, "eve", second.parent.last.Height-1))
	second.claims("eve", false, "proof") // moved to the first, and that stays
	x.claims("eve", true, "claim")       // as does the right to claim there
}

// Who was expelled before takes nothing along, and no claim gives back what was
// taken in the fork, or to whom nobody has admitted there.
func TestClaimOfTheExpelled(t *testing.T) {
	x := secede(t)
	expel := x.parent.w.Record("alice", protocol.Expel, roll.RestrictBody{Persona: x.parent.w.Persona("mallory"), Reason: "harm"}, statetest.How{})
	list := []*protocol.Record{expel}
	for _, by := range []string{"bob", "carol", "dana", "eve"} {
		list = append(list, x.parent.w.Record(by, protocol.Endorse, roll.EndorseBody{Act: expel.ID()}, statetest.How{After: []*protocol.Record{expel}}))
	}
	x.parent.cover(list...)
	l := x.parent.leave("mallory", x.fork, "mallory", x.at)
	x.parent.cover(l)
	x.parent.expect(l, false, "power")
	x.claims("mallory", false, "proof")

	x.fork.cover(x.fork.w.Record("eve", protocol.Leave, roll.LeaveBody{}, statetest.How{}))
	nobody := roll.Move{Metastate: x.fork.w.Genesis.ID(), Persona: protocol.Sum(nil), Height: x.at}
	x.parent.cover(x.parent.leave("eve", x.fork, "eve", x.at),
		x.parent.w.Record("frank", protocol.Leave, roll.LeaveBody{To: &nobody}, statetest.How{}))
	x.claims("eve", true, "claim")
	if x.fork.standing("eve") != roll.Left {
		t.Error("a claim brought back who had left")
	}
	x.claims("frank", false, "power")
}

// Two who moved to one persona are both counted.
func TestClaimsForOne(t *testing.T) {
	x := secede(t)
	x.parent.cover(x.parent.leave("eve", x.fork, "eve", x.at), x.parent.leave("mallory", x.fork, "eve", x.at))
	x.fork.cover(x.fork.claim("dana", x.parent, "eve", x.certified()), x.fork.claim("dana", x.parent, "mallory", x.certified()))
	x.splits(2)
	if x.fork.standing("eve") != roll.Full || x.fork.standing("mallory") != roll.Pending {
		t.Error("mallory came in by a share given away")
	}
}

// A certificate shows nothing unless enough of the clerks that are known signed a
// later checkpoint of the parent.
func TestClaimByOtherCertificates(t *testing.T) {
	x := secede(t)
	x.parent.cover(x.parent.leave("eve", x.fork, "eve", x.at))
	change := func(f func(*certificate.Value)) certificate.Value {
		v := x.parent.last
		f(&v)
		return v
	}
	for what, cert := range map[string][]byte{
		"one clerk of three":    certify(t, x.parent.last, x.clerks, "alice"),
		"nobody":                certify(t, x.parent.last, x.clerks),
		"a stranger besides":    certify(t, x.parent.last, append(slices.Clone(x.clerks), certificate.Clerk{Key: statetest.Key("device/eve").Public()}), "alice", "eve"),
		"a height below":        certify(t, change(func(v *certificate.Value) { v.Height = x.at - 1 }), x.clerks, clerksOfP...),
		"the height itself":     certify(t, change(func(v *certificate.Value) { v.Height = x.at }), x.clerks, clerksOfP...),
		"another metastate":     certify(t, change(func(v *certificate.Value) { v.Metastate = protocol.Sum(nil) }), x.clerks, clerksOfP...),
		"under a recall":        certify(t, change(func(v *certificate.Value) { v.Recall = []protocol.ID{{1}} }), x.clerks, clerksOfP...),
		"another state":         certify(t, change(func(v *certificate.Value) { v.StateRoot[0] ^= 1 }), x.clerks, clerksOfP...),
		"nothing":               nil,
		"no certificate at all": {0xa0},
	} {
		r := x.fork.claim("dana", x.parent, "eve", cert)
		x.fork.cover(r)
		if v := x.fork.verdicts[r.ID()]; v.Stands || v.Rule != "proof" {
			t.Errorf("%s: %v", what, v)
		}
	}
	nonsense := x.fork.w.Record("dana", protocol.Claim, map[string]int{"x": 1}, statetest.How{})
	x.brings(nonsense, false, "malformed")
	stranger := x.parent.w.Record("dana", protocol.Claim, abroad.ClaimBody{Persona: x.parent.w.Persona("eve")}, statetest.How{})
	x.parent.cover(stranger)
	x.parent.expect(stranger, false, "malformed") // nobody's fork
	x.claims("eve", true, "claim")
}

// The certificate of the very checkpoint that is known holds by its id.
func TestClaimByTheCheckpointKnown(t *testing.T) {
	x := secede(t)
	old := x.fork
	x.parent.cover(x.parent.leave("eve", old, "eve", x.at))
	a := x.parent.anchor()
	k := abroad.Known{Height: a.Height, ID: a.ID, Clerks: a.Clerks}
	if v, err := k.Holds(a.Metastate, certify(t, x.parent.last, x.clerks)); err != nil || v.Height != a.Height {
		t.Error(err)
	}
	x.parent.cover()
	next := certify(t, x.parent.last, a.Clerks, "alice", "bob", "carol")
	if _, err := k.Holds(a.Metastate, next); err != nil {
		t.Error(err)
	}
	k.Era = protocol.Sum([]byte("recall"))
	if _, err := k.Holds(a.Metastate, next); err == nil {
		t.Error("holds in another era")
	}
	if _, err := k.Holds(protocol.Sum(nil), certify(t, x.parent.last, x.clerks)); err == nil {
		t.Error("holds for another metastate")
	}
}

// SPEC §5.10: claims follow the parent's clerks over a change, once it is shown.
func TestAnchorMovesOn(t *testing.T) {
	x := secede(t)
	p, f := x.parent, x.fork
	p.cover(p.leave("eve", f, "eve", x.at), p.leave("frank", f, "frank", x.at))
	before := x.certified()
	p.cover(p.w.Record("bob", protocol.Resign, roll.ResignBody{Office: roll.Clerk}, statetest.How{}),
		p.w.Record("carol", protocol.Resign, roll.ResignBody{Office: roll.Clerk}, statetest.How{}))
	handover, value := x.certified(), p.last
	if len(p.last.Clerks) != 1 {
		t.Fatal("the clerks did not change")
	}
	p.cover()
	alone := certify(t, p.last, value.Clerks, "alice")
	x.brings(f.claim("dana", p, "eve", alone), false, "proof") // nobody here knows that alice signs alone

	news := func(by, of string, cert []byte) *protocol.Record {
		id := p.w.Genesis.ID()
		if of != "" {
			id = protocol.Sum([]byte(of))
		}
		return f.w.Record(by, protocol.Anchor, abroad.AnchorBody{Metastate: id, Certificate: cert}, statetest.How{})
	}
	x.brings(news("eve", "", handover), false, "power") // pending
	x.brings(news("dana", "dune", handover), false, "malformed")
	x.brings(news("dana", "", before), false, "proof") // the same clerks
	x.brings(news("dana", "", alone), false, "proof")  // not signed by those known
	other := value
	other.StateRoot[0] ^= 1
	both := []*protocol.Record{news("dana", "", handover), news("dana", "", certify(t, other, x.clerks, clerksOfP...))}
	f.cover(both...)
	f.expect(both[0], true, "anchor")
	if k := f.s.Abroad().Known(p.w.Genesis.ID()); k.Height != x.at {
		t.Error("clerks who signed two checkpoints of one height were followed")
	}
	// By what is final: the news and the claims that need it do not come together.
	n, early := news("dana", "", handover), f.claim("dana", p, "eve", alone)
	f.cover(n, early)
	f.expect(n, true, "anchor")
	f.expect(early, false, "proof")
	if k := f.s.Abroad().Known(p.w.Genesis.ID()); k.Height != value.Height || len(k.Clerks) != 1 {
		t.Error("not moved on")
	}
	x.brings(news("dana", "", handover), false, "proof") // no news any more
	x.brings(f.claim("dana", p, "eve", before), false, "proof")
	forged := p.last
	forged.Height += 5
	x.brings(f.claim("dana", p, "eve", certify(t, forged, x.clerks, "bob", "carol")), false, "proof") // clerks no more
	x.brings(f.claim("dana", p, "eve", alone), true, "claim")
	x.brings(f.claim("dana", p, "frank", alone), true, "claim")
	x.splits(2)
}

// Two changes in one checkpoint of the fork: the higher counts.
func TestAnchorsAtOnce(t *testing.T) {
	x := secede(t)
	p, f := x.parent, x.fork
	low, high := p.last, p.last
	low.Clerks, high.Clerks = x.clerks[:1], x.clerks[1:]
	low.Height, high.Height = 20, 21
	var list []*protocol.Record
	for _, v := range []certificate.Value{high, low} {
		list = append(list, f.w.Record("dana", protocol.Anchor, abroad.AnchorBody{
			Metastate: p.w.Genesis.ID(), Certificate: certify(t, v, x.clerks, clerksOfP...),
		}, statetest.How{}))
	}
	f.cover(list...)
	if k := f.s.Abroad().Known(p.w.Genesis.ID()); k.Height != 21 || !slices.Equal(k.Clerks, high.Clerks) {
		t.Errorf("follows height %d", k.Height)
	}
}

// Clerks of the parent who sign two things about one persona are not believed.
func TestClaimsThatContradict(t *testing.T) {
	x := secede(t)
	x.parent.cover(x.parent.leave("eve", x.fork, "eve", x.at))
	honest := x.fork.claim("dana", x.parent, "eve", x.certified())

	id := x.parent.w.Persona("eve")
	m := *x.parent.s.Roll().Member(id)
	moved := *m.Moved
	moved.Share = false
	m.Moved = &moved
	var roots merkle.Map[*roll.Member]
	roots = roots.Put(id, &m)
	root := roots.Root()
	sections, err := dagcbor.Marshal(map[string][]byte{"members": root[:]})
	if err != nil {
		t.Fatal(err)
	}
	v := x.parent.last
	v.Height++
	v.StateRoot = [32]byte(protocol.Sum(sections))
	forged := x.fork.w.Record("dana", protocol.Claim, abroad.ClaimBody{
		Persona: id, Certificate: certify(t, v, x.clerks, clerksOfP...),
		Proof: certificate.Entry{Sections: sections, Entry: m.AppendLeaf(nil), Path: roots.Prove(id)},
	}, statetest.How{})
	x.fork.cover(honest, forged)
	x.fork.expect(honest, false, "proof")
	x.fork.expect(forged, false, "proof")
	x.claims("eve", true, "claim")
}

// The law of the split: whatever is done and in whatever order, once everybody
// who can claim has, parent and fork compute the same.
func TestSplitLaw(t *testing.T) {
	names := []string{"dana", "eve", "mallory", "frank"}
	rapid.Check(t, func(rt *rapid.T) {
		x := secede(t)
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			var there, here []*protocol.Record
			for _, n := range names {
				switch rapid.IntRange(0, 5).Draw(rt, n) {
				case 0:
					there = append(there, x.parent.leave(n, x.fork, n, x.at))
				case 1:
					there = append(there, x.parent.leave(n, x.fork, n, x.at+1))
				case 2:
					there = append(there, x.parent.w.Approve("alice", n, statetest.How{}))
				case 3:
					here = append(here, x.fork.claim("dana", x.parent, rapid.SampledFrom(names).Draw(rt, "whose"), x.certified()))
				}
			}
			x.parent.cover(there...)
			x.fork.cover(here...)
		}
		x.parent.cover()
		var all []*protocol.Record
		for _, n := range names {
			all = append(all, x.fork.claim("dana", x.parent, n, x.certified()))
		}
		x.fork.cover(all...)
		here, there := x.fork.s.Abroad().Split(), abroad.Moved(x.parent.s.Roll(), x.fork.w.Genesis.ID(), x.at)
		if !slices.Equal(here, there) {
			rt.Fatalf("the fork says %v, the parent %v", here, there)
		}
		seen := map[protocol.ID]bool{}
		for _, s := range here {
			if seen[s.From] || seen[s.To] {
				rt.Fatal("a share is counted twice")
			}
			seen[s.From], seen[s.To] = true, true
		}
	})
}

// A genesis whose parent can't be one founds nothing.
func TestGenesisParent(t *testing.T) {
	p := newLand(t, nil, clerksOfP...)
	for what, spoil := range map[string]func(*abroad.Anchor){
		"no metastate":          func(a *abroad.Anchor) { a.Metastate = protocol.ID{} },
		"no height":             func(a *abroad.Anchor) { a.Height = 0 },
		"too high":              func(a *abroad.Anchor) { a.Height = protocol.MaxHeight + 1 },
		"no checkpoint":         func(a *abroad.Anchor) { a.ID = protocol.ID{} },
		"no clerks":             func(a *abroad.Anchor) { a.Clerks = nil },
		"clerks in no order":    func(a *abroad.Anchor) { slices.Reverse(a.Clerks) },
		"a clerk of no persona": func(a *abroad.Anchor) { a.Clerks[0].Persona = protocol.ID{} },
		"a clerk twice":         func(a *abroad.Anchor) { a.Clerks[1].Key = a.Clerks[0].Key },
		"a clerk of no key":     func(a *abroad.Anchor) { a.Clerks[1].Key = identity.PublicKey{} },
	} {
		a := *p.anchor()
		spoil(&a)
		if _, err := state.Begin(statetest.NewFork(t, statetest.Charter(t), &a, "dana").Genesis); err == nil {
			t.Errorf("%s: founded", what)
		}
	}
	good, err := state.Begin(statetest.NewFork(t, statetest.Charter(t), p.anchor(), "dana").Genesis)
	if err != nil {
		t.Fatal(err)
	}
	if of, at, ok := good.Abroad().Parent(); !ok || of != p.w.Genesis.ID() || at != p.last.Height {
		t.Errorf("parent %s at %d", of, at)
	}
}
