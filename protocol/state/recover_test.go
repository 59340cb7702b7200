package state_test

import (
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestRecoveriesRefused: a recovery names a persona with guardians, a key that
// the persona does not have and what follows it, and says no more.
func TestRecoveriesRefused(t *testing.T) {
	c := newCrowd(t)
	dana, salt, h := c.w.Persona("dana"), statetest.Salt("dana", "bob"), statetest.Heir("other")
	draw := func(body any) *protocol.Record {
		return c.w.Record("bob", protocol.Recover, body, statetest.How{})
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		draw(roll.RecoverBody{Persona: dana, Key: h.Key, Salt: salt}):                                                roll.RuleMalformed,
		draw(roll.RecoverBody{Persona: dana, Next: h.Next, Salt: salt}):                                              roll.RuleMalformed,
		draw(map[string]any{"persona": dana, "key": h.Key, "next": h.Next}):                                          roll.RuleMalformed,
		draw(map[string]any{"persona": dana, "key": h.Key, "next": h.Next, "salt": salt, "zzz": 1}):                  roll.RuleMalformed,
		draw(map[string]any{"persona": dana, "key": h.Key, "next": h.Next, "salt": salt[:15]}):                       roll.RuleMalformed,
		draw(roll.RecoverBody{Persona: protocol.ID{1}, Key: h.Key, Next: h.Next, Salt: salt}):                        roll.RulePower,
		draw(roll.RecoverBody{Persona: dana, Key: statetest.Key("persona/dana").Public(), Next: h.Next, Salt: salt}): roll.RulePower,
	}, false)
	good := draw(roll.RecoverBody{Persona: dana, Key: h.Key, Next: h.Next, Salt: salt})
	next := c.rules(t, map[*protocol.Record]protocol.Rule{good: roll.RuleSupport}, true)
	if r := next.Roll().Member(dana).Keys.Recovery; len(r.Supports) != 2 || r.Run != nil {
		t.Errorf("got %+v", r) // alice's and bob's, who differ
	}
}

// TestGuardsThemselves: a persona is no guardian of its own, whatever its list
// says: a thief would be one.
func TestGuardsThemselves(t *testing.T) {
	c := newCrowd(t)
	alice := c.w.Persona("alice")
	c.made = []*protocol.Record{c.w.Rotate("alice", statetest.How{Guard: c.w.Guardians("alice", 1, identity.MinGuardianDelay, "alice")})}
	c.cover()
	if m := c.s.Roll().Member(alice); m.Keys.Guard == nil || m.Keys.Guard.Hashes[0] != identity.GuardianHash(statetest.Salt("alice", "alice"), alice) {
		t.Fatal("the rotation set no guardians")
	}
	h := statetest.Heir("other")
	c.rules(t, map[*protocol.Record]protocol.Rule{
		c.w.Record("alice", protocol.Recover, roll.RecoverBody{Persona: alice, Key: h.Key, Next: h.Next, Salt: statetest.Salt("alice", "alice")}, statetest.How{}): roll.RulePower,
	}, false)
}

// TestRotationsChooseGuardians: only guardians who could act.
func TestRotationsChooseGuardians(t *testing.T) {
	c := newCrowd(t)
	g := c.w.Guardians("bob", 2, identity.MinGuardianDelay-1, "alice", "eve")
	c.rules(t, map[*protocol.Record]protocol.Rule{c.w.Rotate("bob", statetest.How{Guard: g, Fork: true}): roll.RuleMalformed}, false)
	g.Delay++
	c.rules(t, map[*protocol.Record]protocol.Rule{c.w.Rotate("bob", statetest.How{Guard: g, Fork: true}): roll.RuleRotate}, true)
}

// TestRotationsCommit: a rotation commits to a key, which any later one needs.
func TestRotationsCommit(t *testing.T) {
	c := newCrowd(t)
	key := statetest.Key("next/bob")
	h := c.w.Rotate("bob", statetest.How{Fork: true}).Header()
	r, err := protocol.Sign(h, roll.RotateBody{}, nil, key)
	if err != nil {
		t.Fatal(err)
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{r: roll.RuleMalformed}, false)
}

// TestVetoExplained: the entry says that a rotation was a veto.
func TestVetoExplained(t *testing.T) {
	c := newCrowd(t)
	r := c.w.Rotate("eve", statetest.How{})
	c.made = []*protocol.Record{r}
	c.cover()
	e, _ := c.s.Explain(c.w.Persona("eve"))
	if last := e.Because[len(e.Because)-1]; last.Rule != roll.RuleVeto || last.Record != r.ID() || last.Text == "" {
		t.Errorf("because %+v", e.Because)
	}
}

// TestRecoveredExplained: the entry says which guardians' words gave the key.
func TestRecoveredExplained(t *testing.T) {
	c := newCrowd(t)
	c.cover()
	e, _ := c.s.Explain(c.w.Persona("eve"))
	var rules []protocol.Rule
	for _, r := range e.Because {
		rules = append(rules, r.Rule)
		if r.Text == "" || r.Record.IsZero() {
			t.Errorf("%s by %s: %q", r.Rule, r.Record, r.Text)
		}
	}
	if n := len(rules); n < 3 || !slices.Equal(rules[n-3:], []protocol.Rule{roll.RuleSupport, roll.RuleSupport, roll.RuleRecovered}) {
		t.Errorf("because %v", rules)
	}
}

// TestRecoveredChain: the key that guardians gave begins its chain at 0, and the
// key before it has no part in that.
func TestRecoveredChain(t *testing.T) {
	c := newCrowd(t)
	c.cover()
	old := c.w.Grant("eve", "eve/old", statetest.How{Fork: true}).Header()
	old.Seq, old.Prev = 0, protocol.ID{}
	dev := statetest.Key("device/eve/old")
	byOld, err := protocol.Sign(old, identity.Grant{Device: dev.Public(), Expires: c.s.AsOf() + 1e6}, nil, statetest.Key("persona/eve"), dev)
	if err != nil {
		t.Fatal(err)
	}
	c.w.Inherit("eve", "heir")
	byNew := c.w.Grant("eve", "eve/new", statetest.How{})
	c.rules(t, map[*protocol.Record]protocol.Rule{byOld: roll.RulePower}, false)
	next := c.rules(t, map[*protocol.Record]protocol.Rule{byNew: roll.RuleGrant}, true)
	if got := next.Roll().Member(c.w.Persona("eve")).Keys.Chain; got.Next != 1 || got.Head != byNew.ID() {
		t.Errorf("chain %+v", got)
	}
	c.made = []*protocol.Record{c.w.Rotate("eve", statetest.How{})}
	c.cover()
	if m := c.s.Roll().Member(c.w.Persona("eve")); m.Keys.Given || m.Keys.Chain.Next != 1 {
		t.Errorf("after a rotation %+v", m.Keys)
	}
}

// TestRevokedBeforeRecovery: a revocation by the key in use, in the checkpoint at
// which guardians take over, neither spares ballots nor moves the new chain.
func TestRevokedBeforeRecovery(t *testing.T) {
	c := newCrowd(t)
	v := c.w.Ballot("eve", c.poll, "yes", statetest.How{})
	body := roll.RevokeBody{Cut: roll.Place{Device: statetest.Key("device/eve").Public()}, Spare: []protocol.ID{v.ID()}}
	x := c.w.Disown("eve", body, statetest.How{})
	h := x.Header()
	h.Seq, h.Prev = 0, protocol.ID{}
	r, err := protocol.Sign(h, body, nil, statetest.Key("persona/eve"))
	if err != nil {
		t.Fatal(err)
	}
	c.made = []*protocol.Record{v, r}
	c.cover()
	m := c.s.Roll().Member(c.w.Persona("eve"))
	if !m.Keys.Given || m.Keys.Chain != (roll.Chain{}) {
		t.Errorf("chain %+v", m.Keys.Chain)
	}
	if n := c.s.Decisions().Poll(c.poll).Ballots.Len(); n != 0 {
		t.Errorf("%d ballots", n)
	}
	if d := c.s.Roll().Device(statetest.Key("device/eve").Public()).Marks(); d.Revoked == 0 || len(d.Spared) != 0 {
		t.Errorf("%+v", d)
	}
}

// TestThaw: who was suspended when rivals froze the persona is so again, if it
// lasts.
func TestThaw(t *testing.T) {
	for _, want := range []roll.Standing{roll.Suspended, roll.Full} {
		c := newCrowd(t) // eve's recovery is due in an hour, long before a suspension ends
		c.made = []*protocol.Record{c.w.Record("alice", protocol.Suspend, roll.RestrictBody{Persona: c.w.Persona("eve"), Reason: "harm"}, statetest.How{})}
		c.coverIn(1)
		until := c.s.Roll().Member(c.w.Persona("eve")).Until
		c.made = []*protocol.Record{c.w.Rotate("eve", statetest.How{Fork: true}), c.w.Rotate("eve", statetest.How{Fork: true, Persona: "x"})}
		c.coverIn(1)
		if s := c.s.Roll().Member(c.w.Persona("eve")).Standing(); s != roll.Frozen {
			t.Fatalf("eve is %s", s)
		}
		gap := int64(3598)
		if want == roll.Full {
			gap = until - c.s.AsOf()
		}
		c.coverIn(gap)
		if m := c.s.Roll().Member(c.w.Persona("eve")); m.Standing() != want || (want == roll.Suspended) != (m.Until == until) {
			t.Errorf("after %d s eve is %s until %d, want %s until %d", gap, m.Standing(), m.Until, want, until)
		}
	}
}

// TestRecoveryRestored: a state made of its leaves has the clock.
func TestRecoveryRestored(t *testing.T) {
	c := newCrowd(t)
	s, err := state.Restore(leaves(c))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := s.Advance(state.Step{AsOf: s.AsOf() + 3600})
	b, _ := c.s.Advance(state.Step{AsOf: s.AsOf() + 3600})
	if m := a.Roll().Member(c.w.Persona("eve")); a.Root() != b.Root() || !m.Keys.Given || s.Roll().Clock() != c.s.Roll().Clock() {
		t.Error("the restored state forgot a recovery")
	}
}

// TestReceiveGivenKey: a chain that guardians' key begins is whole from 0 on; no
// other chain begins with a grant.
func TestReceiveGivenKey(t *testing.T) {
	x := receive(t)
	g := x.w.Guardians("alice", 1, identity.MinGuardianDelay, "bob")
	x.cover(20, x.w.Rotate("alice", statetest.How{Guard: g}))
	h := statetest.Heir("heir")
	body := roll.RecoverBody{Persona: x.w.Persona("alice"), Key: h.Key, Next: h.Next, Salt: statetest.Salt("alice", "bob")}
	r := x.w.Record("bob", protocol.Recover, body, statetest.How{})
	x.says(r, "")
	x.cover(30, r)
	phone := x.w.Grant("alice", "alice/phone", statetest.How{Fork: true})
	key, dev := statetest.Key("next/alice"), statetest.Key("device/alice/phone")
	begin := func(h *protocol.Header) { h.Seq, h.Prev = 0, protocol.ID{} }
	x.says(x.sign(phone, begin, key, dev), "follows the persona's inception or rotation")
	for day := range int64(3) {
		x.cover(30 + 86400*(day+1))
	}
	x.w.Inherit("alice", "heir")
	first := x.w.Grant("alice", "alice/new", statetest.How{})
	x.says(first, "")
	second := x.w.Grant("alice", "alice/two", statetest.How{})
	third := x.w.Grant("alice", "alice/three", statetest.How{})
	x.misses(third, 0, second.ID())
	x.says(x.leave("alice", statetest.How{}), "device may not sign")
}
