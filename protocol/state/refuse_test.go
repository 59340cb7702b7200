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

// rules requires the rule by which each record of one step stands or falls.
func (c *crowd) rules(t *testing.T, want map[*protocol.Record]protocol.Rule, stands bool) *state.State {
	t.Helper()
	var list []*protocol.Record
	for r := range want {
		list = append(list, r)
	}
	next, verdicts := c.s.Advance(state.Step{Records: list, AsOf: c.s.AsOf()})
	said := byRecord(verdicts)
	for r, rule := range want {
		if v := said[r.ID()]; v.Stands != stands || v.Rule != rule {
			t.Errorf("%s: stands %t by %s (%s), want %t by %s", r.Kind(), v.Stands, v.Rule, v.Text, stands, rule)
		}
	}
	return next
}

// TestOtherMetastates: a record replayed from another metastate has no effect,
// though the same keys sign there.
func TestOtherMetastates(t *testing.T) {
	c := newCrowd(t)
	charter := statetest.Charter(t)
	charter.Suspend = 1
	other := statetest.New(t, charter, "alice", "bob")
	list := other.Founding("alice", "bob")
	c.rules(t, map[*protocol.Record]protocol.Rule{
		list[0]: state.RuleForeign, list[1]: state.RuleForeign, list[2]: state.RuleForeign,
		other.Propose("alice", "x", "ordinary", 1, statetest.How{}): state.RuleForeign,
	}, false)
	if next, verdicts := c.s.Advance(state.Step{Records: []*protocol.Record{c.w.Genesis}, AsOf: c.s.AsOf()}); next.Roll().Size() != 4 || verdicts[0].Rule != state.RuleGenesis {
		t.Error("the genesis is no record of its own metastate")
	}
}

// inception draws one by any key, signed by a founding key.
func (c *crowd) inception(t *testing.T, founding string, key identity.SigningKey, next string) *protocol.Record {
	t.Helper()
	by := statetest.Key("founding/" + founding)
	h := protocol.Header{Metastate: c.w.Genesis.ID(), Kind: protocol.Inception, Key: key.Public(), Cosigners: []identity.PublicKey{by.Public()}}
	r, err := protocol.Sign(h, identity.Inception{Next: identity.Commit(statetest.Key(next).Public())}, nil, key, by)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFoundingKeys: one brings in one founder, once; two claims on it at once
// bring in nobody.
func TestFoundingKeys(t *testing.T) {
	c := newCrowd(t)
	c.rules(t, map[*protocol.Record]protocol.Rule{
		c.inception(t, "alice", statetest.Key("thief"), "n"):   roll.RulePower, // used by alice
		c.inception(t, "mallory", statetest.Key("thief"), "n"): roll.RulePower, // no founder's
	}, false)

	c = &crowd{w: statetest.New(t, statetest.Charter(t), "alice", "bob")}
	s, err := state.Begin(c.w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c.s = s
	next := c.rules(t, map[*protocol.Record]protocol.Rule{
		c.inception(t, "alice", statetest.Key("a"), "n"): roll.RulePower,
		c.inception(t, "alice", statetest.Key("b"), "n"): roll.RulePower,
	}, false)
	if len(next.Roll().Clerks()) != 2 {
		t.Error("the founding keys no longer sign")
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		c.inception(t, "alice", statetest.Key("a"), "n"): roll.RuleFounder,
		c.inception(t, "bob", statetest.Key("b"), "n"):   roll.RuleFounder,
	}, true)
}

// TestAdmissionsCarry: an admission carries exactly the newcomer's inception,
// signed by the invite's key, and the first grant that follows it.
func TestAdmissionsCarry(t *testing.T) {
	c := newCrowd(t)
	door := c.invites[0]
	admit := func(name string, carried ...*protocol.Record) *protocol.Record {
		return c.w.Record("bob", protocol.Admit, roll.AdmitBody{Persona: c.w.Persona(name), Invite: door}, statetest.How{Carried: carried})
	}
	frank := c.w.Newcomer("frank", "door")
	gina := c.w.Newcomer("gina", "another")
	second := c.w.Grant("frank", "frank/2", statetest.How{})
	nameless := c.inception(t, "mallory", statetest.Key("x"), "n")
	c.rules(t, map[*protocol.Record]protocol.Rule{
		admit("frank"):                     roll.RuleMalformed,
		admit("frank", frank[0]):           roll.RuleMalformed,
		admit("frank", frank[1], frank[0]): roll.RuleMalformed,
		admit("gina", frank...):            roll.RuleMalformed, // who is admitted is another
		admit("gina", gina...):             roll.RulePower,     // by another invite's key
		admit("frank", frank[0], second):   roll.RulePower,     // not the first grant
		admit("frank", frank[0], gina[1]):  roll.RulePower,     // of another persona
		admit("frank", nameless, frank[1]): roll.RuleMalformed,
	}, false)
	charter := statetest.Charter(t)
	charter.Suspend = 1
	foreign := statetest.New(t, charter, "alice").Newcomer("frank", "door")
	h := protocol.Header{
		Metastate: c.w.Genesis.ID(), Kind: protocol.Admit, Persona: c.w.Persona("eve"), Key: statetest.Key("device/eve").Public(), Checkpoint: c.w.Ref,
	}
	r, err := protocol.Sign(h, roll.AdmitBody{Persona: foreign[0].ID(), Invite: door}, foreign, statetest.Key("device/eve"))
	if err != nil {
		t.Fatal(err)
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{r: roll.RuleMalformed}, false) // of another metastate
	c.rules(t, map[*protocol.Record]protocol.Rule{
		c.w.Record("frank", protocol.Admit, roll.AdmitBody{Persona: c.w.Persona("frank"), Invite: door}, statetest.How{Carried: frank}): roll.RulePower,
	}, false) // serves their own
	c.rules(t, map[*protocol.Record]protocol.Rule{admit("frank", frank...): roll.RuleInvite}, true)
}

// TestTwoFirstGrants: of two admissions of one persona that carry different
// first grants neither stands, as nothing says which device is meant.
func TestTwoFirstGrants(t *testing.T) {
	c := newCrowd(t)
	frank := c.w.Newcomer("frank", "door")
	other := c.w.Grant("frank", "frank/other", statetest.How{Fork: true})
	body := roll.AdmitBody{Persona: c.w.Persona("frank"), Invite: c.invites[0]}
	a := c.w.Record("alice", protocol.Admit, body, statetest.How{Carried: frank})
	b := c.w.Record("bob", protocol.Admit, body, statetest.How{Carried: []*protocol.Record{frank[0], other}})
	c.rules(t, map[*protocol.Record]protocol.Rule{a: roll.RulePower, b: roll.RulePower}, false)
}

// TestGrantExpires: a device has no power from the expiry of its grant on,
// nor signs for an office.
func TestGrantExpires(t *testing.T) {
	c := newCrowd(t)
	last := int64(statetest.Start + identity.DefaultGrantLife)
	poll := c.w.Propose("bob", "long", "ordinary", 300*24*3600, statetest.How{})
	c.made = []*protocol.Record{poll}
	c.cover()
	p := c.w.Propose("bob", "x", "ordinary", 1e6, statetest.How{})
	v := c.w.Ballot("bob", poll.ID(), "yes", statetest.How{})
	base := c.s
	c.s, _ = base.Advance(state.Step{AsOf: last - 1})
	c.rules(t, map[*protocol.Record]protocol.Rule{p: "proposal/open"}, true)
	c.rules(t, map[*protocol.Record]protocol.Rule{v: "ballot"}, true)
	fresh := c.w.Grant("alice", "alice/new", statetest.How{})
	if next, _ := c.s.Advance(state.Step{Records: []*protocol.Record{fresh}, AsOf: last}); len(next.Roll().Clerks()) != 2 {
		t.Error("nobody signs: who did last goes on as caretaker")
	}
	c.s, _ = base.Advance(state.Step{AsOf: last})
	c.rules(t, map[*protocol.Record]protocol.Rule{p: roll.RulePower, v: "power"}, false)
}

// TestClerksSignWithLiveDevices: a clerk's seat is signed for by a device whose
// grant has not expired; a clerk without one is left out while others have one.
func TestClerksSignWithLiveDevices(t *testing.T) {
	c := newCrowd(t)
	c.s, _ = c.s.Advance(state.Step{AsOf: c.s.AsOf() + 1e6})
	key, dev := statetest.Key("persona/alice"), statetest.Key("device/alice/short")
	h := c.w.Grant("alice", "alice/short", statetest.How{}).Header()
	r, err := protocol.Sign(h, identity.Grant{Device: dev.Public(), Expires: statetest.Start + 2*identity.DefaultGrantLife}, nil, key, dev)
	if err != nil {
		t.Fatal(err)
	}
	next, _ := c.s.Advance(state.Step{Records: []*protocol.Record{r}, AsOf: c.s.AsOf()})
	if clerks := next.Roll().Clerks(); len(clerks) != 2 || slices.ContainsFunc(clerks, func(k roll.Clerkship) bool { return k.Key == dev.Public() }) {
		t.Fatalf("%v sign", clerks)
	}
	next, _ = next.Advance(state.Step{AsOf: statetest.Start + identity.DefaultGrantLife})
	if clerks := next.Roll().Clerks(); len(clerks) != 1 || clerks[0].Key != dev.Public() {
		t.Errorf("%v sign, with bob's device and alice's first expired", clerks)
	}
}

// TestInvitesOfOneKey: a newcomer who comes by two invites of one key comes by
// the one that has room.
func TestInvitesOfOneKey(t *testing.T) {
	c := newCrowd(t)
	full := c.w.Invite("alice", "same", 1, statetest.Start+1e6, statetest.How{})
	wide := c.w.Invite("bob", "same", 9, statetest.Start+1e6, statetest.How{})
	admit := func(by, name string, invite *protocol.Record) *protocol.Record {
		return c.w.Admit(by, name, "same", invite.ID(), statetest.How{After: []*protocol.Record{invite}})
	}
	list := []*protocol.Record{full, wide, admit("alice", "frank", full), admit("alice", "gina", full), admit("bob", "frank", wide)}
	next, _ := c.s.Advance(state.Step{Records: list, AsOf: c.s.AsOf()})
	if got := next.Roll().Member(c.w.Persona("frank")).Standing(); got != roll.Full {
		t.Errorf("frank is %s", got)
	}
	if got := next.Roll().Member(c.w.Persona("gina")).Standing(); got != roll.Pending {
		t.Errorf("gina is %s", got)
	}
}

// TestGrantsAreThePersonas: nobody grants a device for another, or out of the
// persona's chain.
func TestGrantsAreThePersonas(t *testing.T) {
	c := newCrowd(t)
	grant := c.w.Grant("dana", "dana/x", statetest.How{})
	dana, thief, dev := statetest.Key("persona/dana"), statetest.Key("persona/eve"), statetest.Key("device/dana/x")
	sign := func(key, dev identity.SigningKey, device identity.PublicKey, change func(*protocol.Header)) *protocol.Record {
		h := grant.Header()
		h.Key, h.Cosigners = key.Public(), []identity.PublicKey{dev.Public()}
		change(&h)
		r, err := protocol.Sign(h, identity.Grant{Device: device, Expires: c.s.AsOf() + 1e6}, nil, key, dev)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	other := statetest.Key("device/other")
	for what, r := range map[string]*protocol.Record{
		"by another":       sign(thief, dev, dev.Public(), func(*protocol.Header) {}),
		"by a device":      sign(statetest.Key("device/dana"), dev, dev.Public(), func(*protocol.Header) {}),
		"ahead":            sign(dana, dev, dev.Public(), func(h *protocol.Header) { h.Seq++ }),
		"after another":    sign(dana, dev, dev.Public(), func(h *protocol.Header) { h.Prev = c.poll }),
		"to whom it knows": sign(dana, dev, other.Public(), func(*protocol.Header) {}),
	} {
		if _, verdicts := c.s.Advance(state.Step{Records: []*protocol.Record{r}}); verdicts[0].Stands {
			t.Errorf("a grant %s stands", what)
		}
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{sign(dana, dev, dev.Public(), func(*protocol.Header) {}): roll.RuleGrant}, true)
}

// TestFoundingKeyAsInvite: whoever came by an invite whose key is a founding
// key has an entry, which a second use of the inception does not write anew.
func TestFoundingKeyAsInvite(t *testing.T) {
	w := statetest.New(t, statetest.Charter(t), "alice", "bob")
	c := &crowd{w: w}
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c.s = s
	c.made = append(w.Founder("alice", 0), w.Genesis)
	c.cover()
	bob := w.Founder("bob", 1)
	door := w.Record("alice", protocol.Invite, roll.InviteBody{
		Key: bob[0].Header().Cosigners[0], Uses: 1, Expires: c.s.AsOf() + 1e6,
	}, statetest.How{})
	admit := w.Record("alice", protocol.Admit, roll.AdmitBody{Persona: bob[0].ID(), Invite: door.ID()}, statetest.How{Carried: bob})
	c.made = []*protocol.Record{door, admit}
	c.cover()
	if c.s.Roll().Size() != 2 {
		t.Fatal("bob did not come")
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{bob[0]: roll.RulePower}, false)
}
