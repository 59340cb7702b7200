package state_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// stranger draws what an admission carries, with the shape that a liar who has
// an invite may give it.
type stranger struct {
	t    *testing.T
	c    *crowd
	keys map[identity.PublicKey]identity.SigningKey
}

func newStranger(t *testing.T, c *crowd) *stranger {
	s := &stranger{t, c, map[identity.PublicKey]identity.SigningKey{}}
	for _, label := range []string{"persona/zed", "device/zed", "invite/door", "z1", "z2", "z3", "z4", "z5", "z6", "z7", "z8"} {
		k := statetest.Key(label)
		s.keys[k.Public()] = k
	}
	return s
}

func (s *stranger) sign(h protocol.Header, body any) *protocol.Record {
	s.t.Helper()
	signers := []identity.Signer{s.keys[h.Key]}
	for _, k := range h.Cosigners {
		signers = append(signers, s.keys[k])
	}
	r, err := protocol.Sign(h, body, nil, signers...)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stranger) inception(body any, change func(*protocol.Header)) *protocol.Record {
	h := protocol.Header{
		Metastate: s.c.w.Genesis.ID(), Kind: protocol.Inception, Key: statetest.Key("persona/zed").Public(),
		Cosigners: []identity.PublicKey{statetest.Key("invite/door").Public()},
	}
	change(&h)
	return s.sign(h, body)
}

func (s *stranger) grant(of *protocol.Record, change func(*protocol.Header)) *protocol.Record {
	dev := statetest.Key("device/zed").Public()
	h := protocol.Header{
		Metastate: s.c.w.Genesis.ID(), Kind: protocol.Grant, Persona: of.ID(), Key: statetest.Key("persona/zed").Public(),
		Cosigners: []identity.PublicKey{dev}, Seq: 1, Prev: of.ID(),
	}
	change(&h)
	return s.sign(h, identity.Grant{Device: dev, Expires: statetest.Start + identity.DefaultGrantLife})
}

func (s *stranger) admit(carried ...*protocol.Record) *protocol.Record {
	body := roll.AdmitBody{Persona: carried[0].ID(), Invite: s.c.invites[0]}
	return s.c.w.Record("bob", protocol.Admit, body, statetest.How{Carried: carried})
}

// TestCarriedRecords: an invite brings in nobody by records of another kind,
// metastate, place or shape than a newcomer's.
func TestCarriedRecords(t *testing.T) {
	c := newCrowd(t)
	s := newStranger(t, c)
	same := func(*protocol.Header) {}
	next := identity.Commit(statetest.Key("next/zed").Public())
	good := identity.Inception{Next: next, Name: "zed"}
	more := struct {
		Name string          `cbor:"name"`
		Next identity.Digest `cbor:"next"`
		Non  identity.Nonce  `cbor:"nonce"`
		More uint64          `cbor:"zzzzzzzz"`
	}{"zed", next, identity.Nonce{}, 1}
	door := statetest.Key("invite/door").Public()
	second := func(h *protocol.Header) {
		for k := range s.keys {
			if protocol.ID(k).Compare(protocol.ID(door)) > 0 && k != h.Key {
				h.Cosigners = []identity.PublicKey{door, k}
				return
			}
		}
		t.Fatal("no key after the invite's")
	}
	foreign := func(h *protocol.Header) { h.Metastate = protocol.ID{1} }
	poem := func(h *protocol.Header) { h.Kind, h.Persona = "poetry", c.w.Persona("bob") }
	for name, x := range map[string]struct {
		inception *protocol.Record
		grant     func(*protocol.Header)
		rule      protocol.Rule
	}{
		"an inception of another kind":      {s.inception(good, poem), same, roll.RuleMalformed},
		"an inception of another metastate": {s.inception(good, foreign), same, roll.RuleMalformed},
		"an inception within a chain": {
			s.inception(good, func(h *protocol.Header) { h.Seq, h.Prev = 1, c.w.Genesis.ID() }), same, roll.RuleMalformed,
		},
		"an inception that says more":     {s.inception(more, same), same, roll.RuleMalformed},
		"an inception without a next key": {s.inception(identity.Inception{Name: "zed"}, same), same, roll.RuleMalformed},
		"a name that hides":               {s.inception(identity.Inception{Next: next, Name: "ze\u202ed"}, same), same, roll.RuleMalformed},
		"a second introducer":             {s.inception(good, second), same, roll.RulePower},
		"a grant of another kind":         {s.inception(good, same), func(h *protocol.Header) { h.Kind = "poetry" }, roll.RuleMalformed},
		"a grant of another metastate":    {s.inception(good, same), foreign, roll.RuleMalformed},
		"a grant of another persona":      {s.inception(good, same), func(h *protocol.Header) { h.Persona = c.w.Persona("bob") }, roll.RulePower},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.admit(x.inception, s.grant(x.inception, x.grant))
			next := c.rules(t, map[*protocol.Record]protocol.Rule{r: x.rule}, false)
			if next.Roll().Member(x.inception.ID()) != nil || next.Roll().Invite(c.invites[0]).Used != 2 {
				t.Error("left a trace")
			}
		})
	}
	in := s.inception(good, same)
	c.rules(t, map[*protocol.Record]protocol.Rule{s.admit(in, s.grant(in, same)): roll.RuleInvite}, true)
}

// TestInvites: a body that says more than an invite's is none; no invite lasts
// longer than the charter lets it; and it is revoked by its maker or an officer.
func TestInvites(t *testing.T) {
	c := newCrowd(t)
	key := statetest.Key("invite/new").Public()
	long := c.w.Invite("dana", "long", 1, statetest.Start+1e9, statetest.How{})
	another := c.w.Invite("dana", "another", 1, c.s.AsOf()+1e6, statetest.How{})
	next := c.rules(t, map[*protocol.Record]protocol.Rule{long: roll.RuleOffer, another: roll.RuleOffer}, true)
	if got, cap := next.Roll().Invite(long.ID()).Expires, c.s.AsOf()+statetest.Charter(t).Admission.MaxAge; got != cap {
		t.Errorf("expires at %d, the charter's longest is %d", got, cap)
	}
	c.made = []*protocol.Record{long, another}
	c.cover()
	revoke := func(by string, invite protocol.ID) *protocol.Record {
		return c.w.Record(by, protocol.InviteRevoke, roll.InviteRevokeBody{Invite: invite}, statetest.How{})
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		c.w.Record("alice", protocol.Invite, struct {
			roll.InviteBody
			More uint64 `cbor:"zzzzzzzz"`
		}{roll.InviteBody{Key: key, Uses: 1, Expires: c.s.AsOf() + 1000}, 1}, statetest.How{}): roll.RuleMalformed,
		c.w.Record("alice", protocol.InviteRevoke, struct {
			Invite protocol.ID `cbor:"invite"`
			More   uint64      `cbor:"zzzzzzzz"`
		}{long.ID(), 1}, statetest.How{}): roll.RuleMalformed,
		revoke("alice", protocol.ID{1}): roll.RuleMalformed,
	}, false)
	c.rules(t, map[*protocol.Record]protocol.Rule{revoke("eve", long.ID()): roll.RulePower}, false)
	c.rules(t, map[*protocol.Record]protocol.Rule{revoke("dana", long.ID()): roll.RuleRevoke}, true)
	c.rules(t, map[*protocol.Record]protocol.Rule{revoke("alice", another.ID()): roll.RuleRevoke}, true)
}

// TestInviteOfOneBatch: an invite serves until it is revoked, also when all of
// it is covered at once, and to the second before it expires.
func TestInviteOfOneBatch(t *testing.T) {
	c := newCrowd(t)
	open := c.w.Invite("alice", "brief", 1, c.s.AsOf()+1, statetest.How{})
	admit := c.w.Admit("bob", "frank", "brief", open.ID(), statetest.How{After: []*protocol.Record{open}})
	shut := c.w.Record("alice", protocol.InviteRevoke, roll.InviteRevokeBody{Invite: open.ID()}, statetest.How{After: []*protocol.Record{admit}})
	c.rules(t, map[*protocol.Record]protocol.Rule{open: roll.RuleOffer, admit: roll.RuleInvite, shut: roll.RuleRevoke}, true)
	list := []*protocol.Record{open, admit}
	if next, _ := c.s.Advance(state.Step{Records: list, AsOf: c.s.AsOf() + 1}); next.Roll().Member(c.w.Persona("frank")) != nil {
		t.Error("admitted as the invite expires")
	}
}

// TestAdmitByName: names of nobody, and admissions that carry what only an
// invite's may, admit nobody; who came by an invite at the same time is
// admitted twice, which does no harm.
func TestAdmitByName(t *testing.T) {
	c := newCrowd(t)
	i := c.w.Invite("alice", "narrow", 1, c.s.AsOf()+1e6, statetest.How{})
	after := statetest.How{After: []*protocol.Record{i}}
	c.made = []*protocol.Record{i, c.w.Admit("alice", "frank", "narrow", i.ID(), after), c.w.Admit("bob", "gina", "narrow", i.ID(), after)}
	c.cover()
	frank := roll.AdmitBody{Persona: c.w.Persona("frank")}
	if got := c.s.Roll().Member(frank.Persona).Standing(); got != roll.Pending {
		t.Fatalf("frank is %s", got)
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		c.w.Record("alice", protocol.Admit, roll.AdmitBody{Persona: protocol.ID{1}}, statetest.How{}):                                     roll.RulePower,
		c.w.Record("alice", protocol.Admit, frank, statetest.How{Carried: c.w.Newcomer("hank", "door")}):                                  roll.RulePower,
		c.w.Record("alice", protocol.Admit, frank, statetest.How{Carried: []*protocol.Record{c.w.Grant("dana", "d/2", statetest.How{})}}): roll.RulePower,
	}, false)
	ida := c.w.Admit("bob", "ida", "door", c.invites[0], statetest.How{})
	named := c.w.Approve("alice", "ida", statetest.How{After: []*protocol.Record{ida}})
	c.rules(t, map[*protocol.Record]protocol.Rule{ida: roll.RuleInvite, named: roll.RuleByName}, true)
}

// TestFounderByInvite: a founder whose founding key is an invite's too comes in
// once, as a founder.
func TestFounderByInvite(t *testing.T) {
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
	door := w.Record("alice", protocol.Invite, roll.InviteBody{Key: bob[0].Header().Cosigners[0], Uses: 1, Expires: c.s.AsOf() + 1e6}, statetest.How{})
	c.made = []*protocol.Record{door}
	c.cover()
	admit := w.Record("alice", protocol.Admit, roll.AdmitBody{Persona: bob[0].ID(), Invite: door.ID()}, statetest.How{Carried: bob})
	next, verdicts := c.s.Advance(state.Step{Records: []*protocol.Record{bob[0], admit}, AsOf: c.s.AsOf()})
	said := byRecord(verdicts)
	if v := said[bob[0].ID()]; !v.Stands || v.Rule != roll.RuleFounder {
		t.Errorf("the inception: %+v", v)
	}
	if v := said[admit.ID()]; v.Stands || v.Rule != roll.RulePower {
		t.Errorf("the admission: %+v", v)
	}
	if m := next.Roll().Member(bob[0].ID()); !m.Founder() || !m.Invite.IsZero() || m.Standing() != roll.Full {
		t.Errorf("came in as %+v", m)
	}
}

// TestMayAdmit: a clerk admits by name only while no registrar sits, and no
// other office admits at all.
func TestMayAdmit(t *testing.T) {
	c := newCrowd(t)
	next, _ := c.s.Advance(state.Step{AsOf: c.s.AsOf()})
	if clerk := next.Roll().Member(c.w.Persona("alice")); !roll.MayAdmit(clerk, next.Roll(), next.Charter(), next.AsOf()) {
		t.Error("a clerk can't admit while no registrar sits")
	}
	full := []roll.Span{{Height: 1, AsOf: 1, Standing: roll.Full}}
	away := []roll.Span{{Height: 1, AsOf: 1, Standing: roll.Suspended}}
	for name, x := range map[string]struct {
		m    *roll.Member
		want bool
	}{
		"nobody":             {nil, false},
		"member":             {&roll.Member{Spans: full}, false},
		"organiser":          {&roll.Member{Spans: full, Post: &roll.Post{Offices: []roll.Holding{{Office: "organiser"}}}}, false},
		"registrar":          {&roll.Member{Spans: full, Post: &roll.Post{Offices: []roll.Holding{{Office: roll.Registrar}}}}, true},
		"suspended clerk":    {&roll.Member{Spans: away, Post: &roll.Post{Offices: []roll.Holding{{Office: roll.Clerk}}}}, false},
		"suspended register": {&roll.Member{Spans: away, Post: &roll.Post{Offices: []roll.Holding{{Office: roll.Registrar}}}}, false},
	} {
		if got := roll.MayAdmit(x.m, next.Roll(), next.Charter(), next.AsOf()); got != x.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	for name, policy := range map[string]string{"members": charter.InvitesMembers, "officers": "officers"} {
		var c charter.Charter
		c.Admission.Invites = policy
		if got := roll.MayInvite(&roll.Member{Spans: full}, &c); got != (name == "members") {
			t.Errorf("a member, where %s invite: %t", name, got)
		}
		if roll.MayInvite(&roll.Member{Spans: away, Post: &roll.Post{Offices: []roll.Holding{{Office: roll.Clerk}}}}, &c) {
			t.Errorf("a suspended clerk, where %s invite", name)
		}
	}
}
