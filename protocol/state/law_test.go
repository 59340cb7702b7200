package state_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

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
			if old := c.s.Decisions().Poll(p.Proposal); old == nil && p.Phase != "draft" || old != nil && p.Phase != old.Phase && p.Phase != decision.Withdrawn {
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
