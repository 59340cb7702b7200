package state_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A crowd is a metastate of four with an open poll, an invite, and people who
// write anything at all.
type crowd struct {
	w       *statetest.World
	s       *state.State
	poll    protocol.ID
	invites []protocol.ID
	made    []*protocol.Record // since the last checkpoint
	acts    []protocol.ID      // that can be endorsed
	news    int
}

func newCrowd(t testing.TB) *crowd {
	w := statetest.New(t, statetest.Charter(t), "alice", "bob")
	c := &crowd{w: w}
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c.s = s
	c.made = w.Founding("alice", "bob")
	c.cover()
	i := w.Invite("alice", "door", 3, statetest.Start+1e6, statetest.How{})
	p := w.Propose("alice", "question", "ordinary", 1e6, statetest.How{})
	c.made = []*protocol.Record{
		i, p,
		w.Admit("alice", "dana", "door", i.ID(), statetest.How{After: []*protocol.Record{i}, Guard: w.Guardians("dana", 1, identity.MinGuardianDelay, "alice", "bob")}),
		w.Admit("bob", "eve", "door", i.ID(), statetest.How{After: []*protocol.Record{i}, Guard: w.Guardians("eve", 2, identity.MinGuardianDelay, "alice", "bob")}),
	}
	c.poll, c.invites = p.ID(), []protocol.ID{i.ID()}
	c.cover()
	// Guardians recover both: eve in an hour, dana in two.
	c.recover("alice", "eve", "heir")
	c.recover("bob", "eve", "heir")
	c.cover()
	c.recover("alice", "dana", "heir")
	for _, gap := range []int64{3600, 86400, 86400, 79200} {
		c.coverIn(gap)
	}
	return c
}

// recover draws a guardian's word.
func (c *crowd) recover(by, of, heir string) {
	guardian, _, _ := strings.Cut(by, "/")
	body := roll.RecoverBody{Persona: c.w.Persona(of), Salt: statetest.Salt(of, guardian)}
	if heir != "" {
		h := statetest.Heir(heir)
		body.Key, body.Next = h.Key, h.Next
	}
	c.made = append(c.made, c.w.Record(by, protocol.Recover, body, statetest.How{}))
}

// cover makes everything since the last checkpoint final.
func (c *crowd) cover() { c.coverIn(3600) }

func (c *crowd) coverIn(gap int64) {
	c.s, _ = c.s.Advance(state.Step{Records: c.made, AsOf: c.s.AsOf() + gap})
	c.w.Cover(protocol.Ref{Height: c.s.Height(), ID: protocol.Sum(fmt.Append(nil, c.s.Height()))}, c.made...)
	c.made = nil
}

var kinds = []protocol.Kind{
	protocol.Grant, protocol.Invite, protocol.InviteRevoke, protocol.Admit, protocol.Leave, protocol.Suspend,
	protocol.Appoint, protocol.Propose, protocol.Ballot, protocol.Inception, protocol.Expel, protocol.Endorse,
	protocol.Recall, protocol.Resign, protocol.Serve, protocol.Rotate, protocol.Revoke, protocol.Recover, protocol.Claim, protocol.Anchor, "poetry",
}

// fields are the names that bodies of any kind have.
var fields = []string{
	"key", "uses", "expires", "invite", "persona", "reason", "office", "personas", "title", "text", "method", "options",
	"class", "voting", "choice", "next", "nonce", "name", "guard", "dev", "exp", "x", "act", "cut", "in", "out", "spare", "salt",
}

// write draws a record that somebody might write: sense or nonsense, forked or
// not, under whatever name.
func (c *crowd) write(t *rapid.T) {
	how := statetest.How{Fork: rapid.IntRange(0, 4).Draw(t, "fork") == 0, Seq: rapid.Uint64Range(0, 2).Draw(t, "seq")}
	for range rapid.IntRange(0, 2).Draw(t, "parents") {
		if r := pick(t, c.made, nil); r != nil { // a ballot, too
			how.After = append(how.After, r)
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "impostor") == 0 {
		how.Persona = rapid.SampledFrom([]string{"alice", "dana"}).Draw(t, "as")
	}
	by := rapid.SampledFrom([]string{"alice", "alice/2", "bob", "dana", "dana/2", "eve"}).Draw(t, "by")
	target := c.w.Persona(rapid.SampledFrom([]string{"alice", "bob", "dana", "eve"}).Draw(t, "target"))
	act := rapid.IntRange(0, 22).Draw(t, "act")
	var r *protocol.Record
	switch act {
	case 0:
		r = c.w.Invite(by, fmt.Sprint("door", len(c.invites)%2), 2, c.s.AsOf()+1e6, how)
		c.invites = append(c.invites, r.ID())
	case 1:
		r = c.w.Record(by, protocol.InviteRevoke, roll.InviteRevokeBody{Invite: pick(t, c.invites, protocol.ID{})}, how)
	case 2, 3, 4:
		c.news++
		r = c.w.Admit(by, fmt.Sprint("new", c.news%3), rapid.SampledFrom([]string{"door", "door0", "door1"}).Draw(t, "door"), pick(t, c.invites, protocol.ID{}), how)
	case 5:
		r = c.w.Record(by, protocol.Admit, roll.AdmitBody{Persona: target}, how)
	case 6:
		r = c.w.Record(by, protocol.Leave, roll.LeaveBody{}, how)
	case 7:
		r = c.w.Record(by, protocol.Suspend, roll.RestrictBody{Persona: target, Reason: "harm"}, how)
	case 8:
		office := rapid.SampledFrom([]string{"clerk", "registrar", "king"}).Draw(t, "office")
		r = c.w.Record(by, protocol.Appoint, roll.AppointBody{Office: office, Personas: []protocol.ID{target}}, how)
	case 9:
		r = c.w.Propose(by, "question", "ordinary", 3600, how)
	case 10, 11:
		r = c.w.Ballot(by, c.poll, rapid.SampledFrom([]string{"yes", "no", "perhaps"}).Draw(t, "choice"), how)
	case 12:
		name := rapid.SampledFrom([]string{"alice", "bob", "dana"}).Draw(t, "of")
		r = c.w.Grant(name, rapid.SampledFrom([]string{"alice/2", "dana/2", "spare"}).Draw(t, "device"), how)
	case 13, 14, 15, 16:
		r = c.w.Record(by, protocol.Endorse, roll.EndorseBody{Act: pick(t, c.acts, protocol.ID{})}, how)
	case 17:
		body := roll.RestrictBody{Persona: target, Reason: "harm"}
		if last := pick(t, c.made, nil); last != nil {
			h := last.Header()
			body.Cut = []roll.Place{{Device: h.Key, Next: h.Seq + 1, Head: last.ID()}}
		}
		r = c.w.Record(by, protocol.Expel, body, how)
	case 18:
		r = c.office(t, by, target, how)
	case 20:
		c.campaign(t, by, target)
		return
	case 21:
		c.recover(by, rapid.SampledFrom([]string{"dana", "eve"}).Draw(t, "ward"), rapid.SampledFrom([]string{"", "heir", "other"}).Draw(t, "heir"))
		return
	case 19:
		r = c.key(t, how)
	default:
		r = c.nonsense(t, by, how)
	}
	switch r.Kind() {
	case protocol.Expel, protocol.Suspend, protocol.Recall, protocol.Appoint:
		c.acts = append(c.acts, r.ID())
	}
	c.made = append(c.made, r)
}

// campaign draws an expulsion and endorsements of it, which may be enough.
func (c *crowd) campaign(t *rapid.T, by string, target protocol.ID) {
	r := c.w.Record(by, protocol.Expel, roll.RestrictBody{Persona: target, Reason: "harm"}, statetest.How{})
	c.made, c.acts = append(c.made, r), append(c.acts, r.ID())
	for _, other := range []string{"alice", "bob", "dana", "eve"} {
		if rapid.IntRange(0, 3).Draw(t, "joins") > 0 {
			c.made = append(c.made, c.w.Record(other, protocol.Endorse, roll.EndorseBody{Act: r.ID()}, statetest.How{After: []*protocol.Record{r}}))
		}
	}
}

// office draws an act about an office.
func (c *crowd) office(t *rapid.T, by string, target protocol.ID, how statetest.How) *protocol.Record {
	switch rapid.IntRange(0, 2).Draw(t, "duty") {
	case 0:
		return c.w.Record(by, protocol.Resign, roll.ResignBody{Office: "clerk"}, how)
	case 1:
		return c.w.Record(by, protocol.Serve, roll.ServeBody{}, how)
	}
	name := rapid.SampledFrom([]string{"alice", "bob", "dana", "eve"}).Draw(t, "successor")
	return c.w.Record(by, protocol.Recall, roll.RecallBody{
		Office: "clerk", Reason: "harm", Out: []protocol.ID{target},
		In: []roll.Clerkship{{Persona: c.w.Persona(name), Key: statetest.Key("device/" + name).Public()}},
	}, how)
}

// key draws what a persona's key can sign besides grants.
func (c *crowd) key(t *rapid.T, how statetest.How) *protocol.Record {
	name := rapid.SampledFrom([]string{"alice", "bob", "dana", "eve"}).Draw(t, "of")
	if rapid.Bool().Draw(t, "rotate") {
		if rapid.Bool().Draw(t, "thief") {
			how.Persona = name
		}
		return c.w.Rotate(name, how)
	}
	cut := roll.Place{Device: statetest.Key("device/" + name).Public()}
	return c.w.Disown(name, roll.RevokeBody{Cut: cut}, how)
}

// nonsense draws a record of any kind with any body.
func (c *crowd) nonsense(t *rapid.T, by string, how statetest.How) *protocol.Record {
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	body := map[string]any{}
	for _, f := range rapid.SliceOfNDistinct(rapid.SampledFrom(fields), 0, 5, rapid.ID).Draw(t, "fields") {
		body[f] = value(t, 0)
	}
	switch kind {
	case protocol.Ballot:
		return c.w.Bulk(by, kind, c.poll, body, how)
	case protocol.Admit:
		if rapid.Bool().Draw(t, "carrying") {
			how.Carried = append(how.Carried, c.w.Record(by, "poetry", body, statetest.How{}))
		}
	case protocol.Inception:
		key, founding := statetest.Key(by+"/nonsense"), statetest.Key("founding/alice")
		h := protocol.Header{Metastate: c.w.Genesis.ID(), Kind: kind, Key: key.Public(), Cosigners: []identity.PublicKey{founding.Public()}}
		r, err := protocol.Sign(h, body, nil, key, founding)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	return c.w.Record(by, kind, body, how)
}

// value draws anything that canonical DAG-CBOR can say.
func value(t *rapid.T, depth int) any {
	switch rapid.IntRange(0, 8-2*min(depth, 1)).Draw(t, "type") {
	case 0:
		return rapid.Uint64().Draw(t, "uint")
	case 1:
		return rapid.Int64().Draw(t, "int")
	case 2:
		return rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes")
	case 3:
		return rapid.String().Draw(t, "text")
	case 4:
		return rapid.Bool().Draw(t, "bool")
	case 5:
		return protocol.ID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "link"))
	case 6:
		return statetest.Key(rapid.SampledFrom([]string{"device/alice", "x"}).Draw(t, "key")).Public()
	case 7:
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return value(t, depth+1) }), 0, 3).Draw(t, "list")
	}
	return map[string]any{rapid.SampledFrom(fields).Draw(t, "field"): value(t, depth+1)}
}

func pick[T any](t *rapid.T, list []T, none T) T {
	if len(list) == 0 {
		return none
	}
	return rapid.SampledFrom(list).Draw(t, "of those made")
}

// TestLawOrder is law 1 of SPEC §4: order, copies and how a set was gathered
// don't matter, for records of any kind by anyone. It runs over three
// checkpoints, so that states that no honest history reaches are among the
// bases.
func TestLawOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t)
		for range 3 {
			for range rapid.IntRange(1, 10).Draw(rt, "records") {
				c.write(rt)
			}
			base := c.s.Root()
			for _, provisional := range []bool{true, false} {
				step := state.Step{Records: c.made, AsOf: c.s.AsOf() + 3600, Provisional: provisional}
				next, verdicts := c.s.Advance(step)
				want := byRecord(verdicts)
				if len(want) != len(verdicts) || len(want) != len(distinct(c.made)) {
					rt.Fatalf("%d verdicts, %d distinct, on %d records", len(verdicts), len(want), len(distinct(c.made)))
				}
				for range 3 {
					step.Records = rapid.Permutation(append(slices.Clone(c.made), c.made...)).Draw(rt, "order")
					again, verdicts := c.s.Advance(step)
					if again.Root() != next.Root() || !maps.Equal(byRecord(verdicts), want) {
						rt.Fatalf("another order, another state: %v, not %v", byRecord(verdicts), want)
					}
				}
				checkState(rt, next)
			}
			if c.s.Root() != base {
				rt.Fatal("advancing changed the state it began from")
			}
			c.cover()
		}
	})
}

func distinct(list []*protocol.Record) map[protocol.ID]bool {
	m := map[protocol.ID]bool{}
	for _, r := range list {
		m[r.ID()] = true
	}
	return m
}

// checkState holds a state to what must be so of every state: counts and
// indexes agree with the entries, caps hold, and every entry proves.
func checkState(t *rapid.T, s *state.State) {
	full, root, open := uint64(0), s.Root(), map[protocol.ID]uint64{}
	for p := range s.Decisions().Polls() {
		if !p.Phase.Closed() {
			open[p.Author]++
		}
	}
	for m := range s.Roll().Members() {
		if m.Standing() == roll.Full {
			full++
		}
		if m.Quota().Polls != open[m.Persona] {
			t.Fatalf("%d proposals wait for a vote, not %d", open[m.Persona], m.Quota().Polls)
		}
		if (m.Standing() == roll.Suspended) != (m.Until != 0) {
			t.Fatalf("%s until %d", m.Standing(), m.Until)
		}
		for _, act := range m.Quota().Motions {
			if x := s.Roll().Motion(act); x == nil || x.By != m.Persona {
				t.Fatal("a motion on an entry is none")
			}
		}
		if len(m.Quota().Motions) > roll.MaxMotions || len(m.Devices) > roll.MaxDevices || len(m.Because) > 16 || len(m.Spans) > 32 {
			t.Fatalf("an entry over its caps: %+v", m)
		}
		if err := state.VerifyMember(root, m.Persona, s.ProveMember(m.Persona)); err != nil {
			t.Fatal(err)
		}
		if r := m.Keys.Recovery; r != nil {
			if len(r.Supports) == 0 || len(r.Supports) > len(m.Keys.Guard.Hashes) {
				t.Fatalf("%d supports of %d guardians", len(r.Supports), len(m.Keys.Guard.Hashes))
			}
			if at, ok := s.NextDeadline(); r.Run != nil && (r.Run.Due <= s.Roll().Clock() || !ok || at > s.AsOf()+86400) {
				t.Fatal("a recovery that nothing carries out")
			}
		}
		if m.Until != 0 {
			if at, ok := s.NextDeadline(); !ok || at > m.Until {
				t.Fatal("a suspension that nothing ends")
			}
		}
	}
	if n := len(s.Roll().Clerks()); s.Roll().Size() != full || s.Roll().Whole() < full || n == 0 || n > roll.MaxAppointees {
		t.Fatalf("size %d of %d full, %d clerks", s.Roll().Size(), full, len(s.Roll().Clerks()))
	}
	for p := range s.Decisions().Polls() {
		if at, ok := s.NextDeadline(); p.Next != 0 && (!ok || at > p.Next) {
			t.Fatal("a phase that nothing ends")
		}
		if n := uint64(p.Ballots.Len()); n > p.Electorate {
			t.Fatalf("%d ballots of %d who may vote", n, p.Electorate)
		}
	}
	for id, i := range s.Roll().Invites() {
		if i.Used > i.Uses {
			t.Fatalf("invite %s used %d times of %d", id, i.Used, i.Uses)
		}
	}
}

// TestLawMonotone is rule 3 of SPEC §5.6: a certificate that takes power stands
// whatever else is in the batch, and so does every endorsement of it.
func TestLawMonotone(t *testing.T) {
	certificates := 0
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t)
		for range rapid.IntRange(0, 7).Draw(rt, "before") {
			c.write(rt)
		}
		c.campaign(rt, "alice", c.w.Persona(rapid.SampledFrom([]string{"bob", "dana"}).Draw(rt, "target")))
		for range rapid.IntRange(0, 7).Draw(rt, "after") {
			c.write(rt)
		}
		part := c.made[:rapid.IntRange(1, len(c.made)).Draw(rt, "part")]
		_, some := c.s.Advance(state.Step{Records: part, AsOf: c.s.AsOf() + 1})
		_, all := c.s.Advance(state.Step{Records: c.made, AsOf: c.s.AsOf() + 1})
		said := byRecord(all)
		for _, v := range some {
			r := part[slices.IndexFunc(part, func(r *protocol.Record) bool { return r.ID() == v.Record })]
			taking := v.Rule == roll.RuleCertificate && r.Kind() != protocol.Appoint
			if taking {
				certificates++
			}
			if (taking || v.Rule == roll.RuleMotion && r.Kind() == protocol.Expel) && !said[v.Record].Stands {
				rt.Fatalf("%s stood by %s, and with more records it is %+v", r.Kind(), v.Rule, said[v.Record])
			}
		}
	})
	if certificates == 0 {
		t.Error("no certificate was ever drawn")
	}
}

// TestLawProvisional: with no time gone by, what a view says of the roll is
// what a checkpoint over the same records makes final.
func TestLawProvisional(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t)
		for range rapid.IntRange(1, 12).Draw(rt, "records") {
			c.write(rt)
		}
		view, said := c.s.Advance(state.Step{Records: c.made, Provisional: true})
		final, made := c.s.Advance(state.Step{Records: c.made, AsOf: c.s.AsOf()})
		if view.Roll().Roots() != final.Roll().Roots() || !maps.Equal(byRecord(said), byRecord(made)) {
			rt.Fatal("the view shows another roll than the checkpoint makes")
		}
		for p := range view.Decisions().Polls() {
			q := final.Decisions().Poll(p.Proposal)
			if q.Ballots.Root() != p.Ballots.Root() || q.Refused != p.Refused {
				rt.Fatal("the view counts other ballots than the checkpoint")
			}
			if old := c.s.Decisions().Poll(p.Proposal); old == nil && p.Phase != "draft" || old != nil && p.Phase != old.Phase {
				rt.Fatalf("a view moved a proposal to %s", p.Phase)
			}
		}
	})
}

// TestLawNoRetroaction is rule 1 of SPEC §4: records after a checkpoint erase
// no admission, grant or ballot that it covers.
func TestLawNoRetroaction(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t)
		for range rapid.IntRange(1, 12).Draw(rt, "records") {
			c.write(rt)
		}
		next, _ := c.s.Advance(state.Step{Records: c.made, AsOf: c.s.AsOf() + rapid.SampledFrom([]int64{1, 3600}).Draw(rt, "later")})
		for m := range c.s.Roll().Members() {
			n := next.Roll().Member(m.Persona)
			if n == nil || n.Founder() != m.Founder() || n.Keys.Key != m.Keys.Key && identity.Commit(n.Keys.Key) != m.Keys.Next && !n.Keys.Given || n.StandingAt(c.s.Height()) != m.Standing() {
				rt.Fatalf("was %+v, is %+v", m, n)
			}
			for _, k := range m.Devices {
				if d := next.Roll().Device(k); d == nil || d.Chain.Next < c.s.Roll().Device(k).Chain.Next {
					rt.Fatal("a device's final chain changed")
				}
			}
		}
	})
}

// TestLawRecovery is SPEC §5.9: of a recovery that is due nothing decides but
// what its guardians say and one rotation by the committed key: not who has the
// key in use, nor a device, nor any officer or majority.
func TestLawRecovery(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		c := newCrowd(t)
		for range rapid.IntRange(1, 15).Draw(rt, "records") {
			c.write(rt)
		}
		if rapid.IntRange(0, 3).Draw(rt, "veto") == 0 {
			c.made = append(c.made, c.w.Rotate("eve", statetest.How{}))
		}
		was := c.s.Roll().Member(c.w.Persona("eve"))
		rotations := map[protocol.ID]*protocol.Record{}
		for _, r := range c.made {
			_, err := protocol.Body[roll.RotateBody](r)
			if h := r.Header(); r.Kind() == protocol.Rotate && err == nil && h.Persona == was.Persona && identity.Commit(h.Key) == was.Keys.Next {
				rotations[r.ID()] = r
			}
		}
		c.made = slices.DeleteFunc(c.made, func(r *protocol.Record) bool {
			body, _ := protocol.Body[roll.RecoverBody](r)
			return r.Kind() == protocol.Recover && body.Persona == was.Persona
		})
		c.cover()
		now := c.s.Roll().Member(was.Persona)
		if now.Keys.Recovery != nil {
			rt.Fatal("the recovery goes on")
		}
		if len(rotations) == 1 {
			seen["veto"]++
			for _, r := range rotations {
				if now.Keys.Key != r.Header().Key || now.Keys.Given {
					rt.Fatal("the veto does not stand")
				}
			}
			return
		}
		seen["recovered"]++
		if h := statetest.Heir("heir"); now.Keys.Key != h.Key || now.Keys.Next != h.Next || now.Standing() == roll.Frozen {
			rt.Fatalf("the guardians' heir did not take over: %+v", now)
		}
		for _, k := range slices.Concat(was.Devices, now.Devices) {
			if c.s.Roll().Device(k).Live(c.s.AsOf()) {
				rt.Fatal("a device survived")
			}
		}
	})
	if seen["veto"] == 0 || seen["recovered"] == 0 {
		t.Errorf("histories had %v", seen)
	}
}
