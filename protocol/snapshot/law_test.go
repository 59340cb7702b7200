package snapshot_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A crowd is a metastate of people who write sense and nonsense.
type crowd struct {
	*chain
	invites, acts []protocol.ID
	pending       []*protocol.Record // not covered yet
	news          int
	founded       protocol.ID // the first charter
}

func newCrowd(t testing.TB) *crowd {
	c := quick(t)
	x := &crowd{chain: newChain(t, c, "alice", "bob", "carol"), founded: c.ID()}
	door := x.w.Invite("alice", "door", 9, statetest.Start+1e7, statetest.How{})
	x.invites = append(x.invites, door.ID())
	x.cover(statetest.Start, []*protocol.Record{
		door, x.w.Admit("alice", "dana", "door", door.ID(), statetest.How{After: []*protocol.Record{door}, Guard: x.w.Guardians("dana", 1, identity.MinGuardianDelay, "alice", "bob")}),
		x.w.Admit("bob", "eve", "door", door.ID(), statetest.How{After: []*protocol.Record{door}}),
	})
	return x
}

func restrict(c *chain, target string) roll.RestrictBody {
	return roll.RestrictBody{Persona: c.w.Persona(target), Reason: "harm"}
}

func recall(c *chain, out, in string) roll.RecallBody {
	return roll.RecallBody{
		Office: "clerk", Reason: "harm", Out: []protocol.ID{c.w.Persona(out)},
		In: []roll.Clerkship{{Persona: c.w.Persona(in), Key: statetest.Key("device/" + in).Public()}},
	}
}

func pick[T any](t *rapid.T, list []T, none T) T {
	if len(list) == 0 {
		return none
	}
	return rapid.SampledFrom(list).Draw(t, "of those")
}

// polls are the proposals of a phase, or all if it is empty.
func (c *crowd) polls(phase decision.Phase) (ids []protocol.ID) {
	for p := range c.tip.State().Decisions().Polls() {
		if phase == "" || p.Phase == phase {
			ids = append(ids, p.Proposal)
		}
	}
	return ids
}

func (c *crowd) write(t *rapid.T) *protocol.Record {
	how := statetest.How{Fork: rapid.IntRange(0, 7).Draw(t, "fork") == 0, Seq: rapid.Uint64Range(0, 2).Draw(t, "seq")}
	if last := len(c.pending) - 1; last >= 0 && c.pending[last].Plane() == protocol.Control && rapid.Bool().Draw(t, "after") {
		how.After = c.pending[last:]
	}
	by, target := rapid.SampledFrom(people).Draw(t, "by"), rapid.SampledFrom(people).Draw(t, "target")
	if rapid.IntRange(0, 5).Draw(t, "second device") == 0 {
		by += "/2"
	}
	w := c.w
	switch rapid.IntRange(0, 25).Draw(t, "act") {
	case 0:
		r := w.Invite(by, "door", 2, c.tip.State().AsOf()+1e6, how)
		c.invites = append(c.invites, r.ID())
		return r
	case 1:
		return w.Record(by, protocol.InviteRevoke, roll.InviteRevokeBody{Invite: pick(t, c.invites, protocol.ID{})}, how)
	case 2:
		c.news++
		return w.Admit(by, fmt.Sprint("new", c.news), "door", pick(t, c.invites, protocol.ID{}), how)
	case 3:
		return w.Approve(by, target, how)
	case 4:
		return w.Record(by, protocol.Leave, roll.LeaveBody{}, how)
	case 5:
		return c.act(w.Record(by, protocol.Suspend, restrict(c.chain, target), how))
	case 6:
		return c.act(w.Record(by, protocol.Expel, restrict(c.chain, target), how))
	case 7:
		return c.act(w.Record(by, protocol.Recall, recall(c.chain, target, rapid.SampledFrom(people).Draw(t, "in")), how))
	case 8:
		return c.act(w.Record(by, protocol.Appoint, roll.AppointBody{Office: "registrar", Personas: []protocol.ID{w.Persona(target)}}, how))
	case 9, 10, 11, 12:
		return w.Record(by, protocol.Endorse, roll.EndorseBody{Act: pick(t, c.acts, protocol.ID{})}, how)
	case 13:
		return w.Record(by, protocol.Serve, roll.ServeBody{}, how)
	case 14:
		return w.Grant(target, target+"/2", how)
	case 15:
		if rapid.Bool().Draw(t, "rotate") {
			return w.Rotate(target, how)
		}
		return w.Disown(target, roll.RevokeBody{Cut: roll.Place{Device: statetest.Key("device/" + target + "/2").Public()}}, how)
	case 24, 25:
		guardian := rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "guardian")
		h := statetest.Heir(rapid.SampledFrom([]string{"one", "one", "two"}).Draw(t, "heir"))
		return w.Record(guardian, protocol.Recover, roll.RecoverBody{Persona: w.Persona("dana"), Key: h.Key, Next: h.Next, Salt: statetest.Salt("dana", guardian)}, how)
	case 16, 17, 18:
		return c.propose(t, by, target, how)
	}
	if poll := pick(t, c.polls(decision.Voting), protocol.ID{}); !poll.IsZero() {
		choice := rapid.SampledFrom([]string{"yes", "yes", "yes", "no", "perhaps"}).Draw(t, "choice")
		return w.Ballot(by, poll, choice, how)
	}
	return c.propose(t, by, target, how)
}

func (c *crowd) act(r *protocol.Record) *protocol.Record {
	c.acts = append(c.acts, r.ID())
	return r
}

func (c *crowd) propose(t *rapid.T, by, target string, how statetest.How) *protocol.Record {
	body := decision.ProposeBody{Title: "question", Method: "yes-no", Class: "ordinary", Voting: 3600}
	switch rapid.IntRange(0, 5).Draw(t, "question") {
	case 0, 1, 2:
		body = amendment(c.chain, rapid.Int64Range(1, 9).Draw(t, "hours"))
		if rapid.Bool().Draw(t, "entrenched") {
			body.Class = charter.ClassEntrenched
		}
	case 3:
		body.Class, body.Act = charter.ClassExpulsion, &decision.Act{Kind: decision.Expel, Persona: c.w.Persona(target)}
	case 4:
		body.Class, body.Method, body.Seats = charter.ClassElection, "plurality", 1
		body.Options = []string{c.w.Persona(target).String()}
		if target != "alice" {
			body.Options = append(body.Options, c.w.Persona("alice").String())
		}
		body.Act = &decision.Act{Kind: decision.Elect, Office: "registrar"}
	}
	return c.w.Record(by, protocol.Propose, body, how)
}

// step draws some records and a time, and covers what it can. others are tips
// that must come to the same.
func (c *crowd) step(t *rapid.T, others ...*checkpoint.Tip) {
	for range rapid.IntRange(0, 8).Draw(t, "records") {
		c.pending = append(c.pending, c.write(t))
	}
	for _, poll := range c.polls(decision.Voting) {
		if !rapid.Bool().Draw(t, "campaign") {
			continue
		}
		for _, name := range people {
			c.pending = append(c.pending, c.w.Ballot(name, poll, "yes", statetest.How{Seq: 3}))
		}
	}
	later := rapid.SampledFrom([]int64{0, 0, 0, 600, 3600, 4000, 90_000, 2_700_000}).Draw(t, "later")
	asOf := c.tip.State().AsOf() + later
	for _, other := range others {
		*other = c.same(t, *other, asOf)
	}
	c.pending = c.cover(asOf, c.pending)
	if len(c.pending) > 30 {
		c.pending = nil
	}
}

// same requires that a tip makes of the pending records what the crowd's does.
func (c *crowd) same(t *rapid.T, other checkpoint.Tip, asOf int64) checkpoint.Tip {
	want, err := c.tip.Propose(c.pending, asOf)
	if err != nil {
		t.Fatal(err)
	}
	got, err := other.Propose(c.pending, asOf)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Encoded, want.Encoded) || !slices.EqualFunc(got.Chunks, want.Chunks, bytes.Equal) {
		t.Fatalf("height %d: another value", want.Value.Height)
	}
	if !maps.Equal(verdicts(got), verdicts(want)) {
		t.Fatalf("height %d: other verdicts", want.Value.Height)
	}
	var covered []*protocol.Record
	for _, r := range c.pending {
		if want.Tip.Covers(r) && !c.tip.Covers(r) && !slices.ContainsFunc(covered, func(o *protocol.Record) bool { return o.ID() == r.ID() }) {
			covered = append(covered, r)
		}
	}
	v, err := certificate.ParseValue(want.Encoded)
	if err != nil {
		t.Fatal(err)
	}
	applied, err := other.Apply(v, covered)
	if err != nil {
		t.Fatal(err)
	}
	c.sameTip(t, applied.Tip, want.Tip)
	return applied.Tip
}

func verdicts(n checkpoint.Next) map[protocol.ID]protocol.Verdict {
	m := map[protocol.ID]protocol.Verdict{}
	for _, v := range n.Verdicts {
		m[v.Record] = v
	}
	return m
}

// sameTip compares what no root covers, too.
func (c *crowd) sameTip(t *rapid.T, got, want checkpoint.Tip) {
	g, w := got.State(), want.State()
	gotAt, gotDue := g.NextDeadline()
	wantAt, wantDue := w.NextDeadline()
	switch {
	case got.Ref() != want.Ref() || g.Root() != w.Root():
		t.Fatal("another root")
	case g.Name() != w.Name() || g.Height() != w.Height() || g.AsOf() != w.AsOf() || g.Charter().ID() != w.Charter().ID():
		t.Fatal("another name, height, time or charter")
	case g.Roll().Size() != w.Roll().Size() || g.Roll().Clock() != w.Roll().Clock() || gotAt != wantAt || gotDue != wantDue:
		t.Fatal("another size or deadline")
	case !slices.Equal(g.Decisions().JustClosed(), w.Decisions().JustClosed()):
		t.Fatal("other polls just closed")
	case !slices.Equal(got.Frontier(), want.Frontier()) || !slices.Equal(got.Clerks(), want.Clerks()):
		t.Fatal("another frontier, or other clerks")
	case got.Covered(protocol.ID{}).Root() != want.Covered(protocol.ID{}).Root():
		t.Fatal("another control plane")
	}
	for p := range w.Decisions().Polls() {
		if p.Phase == decision.Voting && got.Covered(p.Proposal).Root() != want.Covered(p.Proposal).Root() {
			t.Fatal("another covered set of an open poll")
		}
	}
}

// TestLawRestore: what a snapshot restores has the same root, and goes on as
// what it was taken of: values byte for byte, verdicts and roots.
func TestLawRestore(t *testing.T) {
	seen := map[string]int{} // that the histories are worth the name
	lacks := func() []string {
		return slices.DeleteFunc([]string{
			"motion", "undecided", "voting", "closed", "suspended", "first", "another charter", "handover", "recovery", "recovered",
		}, func(what string) bool { return seen[what] > 0 })
	}
	for range 4 { // a rare one may be missing once
		lawRestore(t, seen)
		if len(lacks()) == 0 {
			return
		}
	}
	t.Errorf("no history had %v: %v", lacks(), seen)
}

func lawRestore(t *testing.T, seen map[string]int) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t)
		for range rapid.IntRange(1, 10).Draw(rt, "before") {
			c.step(rt)
		}
		for range rapid.IntRange(1, 2).Draw(rt, "snapshots") {
			rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "mix"), 1))
			s := c.snapshot()
			tip := c.fill(s, c.open(s), func(ids []protocol.ID) {
				rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			})
			c.sameTip(rt, tip, c.tip)
			c.note(seen)
			for range rapid.IntRange(1, 6).Draw(rt, "after") {
				c.step(rt, &tip)
			}
		}
	})
}

func (c *crowd) note(seen map[string]int) {
	s := c.tip.State()
	for range s.Roll().Motions() {
		seen["motion"]++
	}
	for p := range s.Decisions().Polls() {
		if p.Undecided() {
			seen["undecided"]++
		}
		if p.Phase == decision.Voting && p.Ballots.Len() > 0 {
			seen["voting"]++
		}
		if p.Phase.Closed() {
			seen["closed"]++
		}
	}
	for m := range s.Roll().Members() {
		if m.Until != 0 {
			seen["suspended"]++
		}
		if m.Keys.Recovery != nil && m.Keys.Recovery.Run != nil {
			seen["recovery"]++
		}
		if m.Keys.Given {
			seen["recovered"]++
		}
	}
	if s.Decisions().FirstsRoot() != [32]byte{} {
		seen["first"]++
	}
	if s.Charter().ID() != c.founded {
		seen["another charter"]++
	}
	if v, _ := certificate.ParseCertificate(c.certs[c.tip.Ref().Height]); v.Value != nil && len(c.tip.Clerks()) != 3 {
		seen["handover"]++
	}
}
