package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Support says, as a guardian, which key a persona shall go on with: the one of
// a request that the person handed over. code shows that this persona is a
// guardian.
func (c *Community) Support(ctx context.Context, request, code string) (RecordRef, error) {
	p, err := parsePlea(request)
	if err != nil {
		return RecordRef{}, err
	}
	g, m, err := c.guards(code)
	if err != nil {
		return RecordRef{}, err
	}
	switch {
	case p.Metastate != g.Metastate || p.Persona != g.Persona:
		return RecordRef{}, refuse("the request and the code are about different personas", "check which code belongs to whom")
	case m.Keys.Key == p.Key:
		return RecordRef{}, refuse("the persona has this key already", "metastate recover list")
	}
	r, err := c.act(protocol.Recover, roll.RecoverBody{Persona: p.Persona, Key: p.Key, Next: p.Next, Salt: g.Salt})
	return c.done(ctx, r, err)
}

// Withdraw takes back what this persona said as a guardian.
func (c *Community) Withdraw(ctx context.Context, code string) (RecordRef, error) {
	g, m, err := c.guards(code)
	if err != nil {
		return RecordRef{}, err
	}
	said := func(m *roll.Member) bool {
		r := m.Keys.Recovery
		return r != nil && slices.ContainsFunc(r.Supports, func(x roll.Support) bool { return x.By == c.Persona() })
	}
	if !said(m) && !said(c.Snapshot().View.Roll().Member(m.Persona)) {
		return RecordRef{}, refuse("you support no recovery of this persona", "metastate recover list")
	}
	r, err := c.act(protocol.Recover, roll.RecoverBody{Persona: g.Persona, Salt: g.Salt})
	return c.done(ctx, r, err)
}

// guards reads a code, and finds the persona whose guardian it makes this one.
func (c *Community) guards(code string) (g guardianCode, target *roll.Member, err error) {
	if g, err = parseCode(code); err != nil {
		return g, nil, err
	}
	s, m, err := c.me()
	if err != nil {
		return g, nil, err
	}
	target = s.Final.Roll().Member(g.Persona)
	switch {
	case g.Metastate != c.id:
		return g, nil, refuse("the code is of another metastate", "say which with --metastate")
	case g.Guardian != m.Persona:
		return g, nil, refuse("the code was given to somebody else", "each guardian has a code of their own")
	case m.Rank() < roll.RankMember:
		return g, nil, refuse("only members in full standing act as guardians", "metastate status")
	case target == nil || !target.Guards(m.Persona, g.Salt):
		return g, nil, refuse("you are no guardian of this persona (any more)", "guardians are replaced when somebody chooses others")
	}
	return g, target, nil
}

// Recoveries are the personas about which guardians have said something.
func (c *Community) Recoveries() (RecoveryList, error) {
	s := c.Snapshot()
	if s == nil {
		return RecoveryList{}, errNotYet()
	}
	out := RecoveryList{Recoveries: []Recovery{}}
	for m := range s.View.Roll().Members() {
		if r := s.recovery(m); r != nil {
			out.Recoveries = append(out.Recoveries, *r)
		}
	}
	return out, nil
}

// recovery shows what guardians want for a member of the view, nil if nothing.
func (s *Snapshot) recovery(m *roll.Member) *Recovery {
	r := m.Keys.Recovery
	if r == nil || m.Keys.Guard == nil {
		return nil
	}
	out := &Recovery{Persona: m.Persona, Name: m.Name, Threshold: int(m.Keys.Guard.Threshold), Words: []GuardianWord{}}
	for _, x := range r.Supports {
		out.Words = append(out.Words, GuardianWord{By: x.By, Key: x.Heir.Key.String(), Record: x.Record})
	}
	if r.Run != nil {
		out.Key, out.Due = r.Run.Heir.Key.String(), at(s.View.AsOf()+r.Run.Due-s.View.Roll().Clock())
	}
	if f := s.Final.Roll().Member(m.Persona); f != nil && f.Keys.Recovery != nil {
		out.Final = slices.Equal(f.Keys.Recovery.Supports, r.Supports)
	}
	return out
}

// own says how a person's own persona stands, with this device.
func (s *Snapshot) own(out *Status, device identity.PublicKey) {
	if out.Trouble == "" {
		out.Trouble = s.warning(out.Persona)
	}
	m := s.Final.Roll().Member(out.Persona)
	if m == nil {
		return
	}
	out.Standing, out.Step = m.Standing().String(), stepMember
	if s.Final.Roll().Device(device) == nil { // of a persona taken up again, until all is fetched
		out.Step = stepVerified
	}
}

// warning says what a person should know about their own keys.
func (s *Snapshot) warning(persona protocol.ID) string {
	m := s.View.Roll().Member(persona)
	if m == nil || m.Keys.Recovery == nil {
		return ""
	}
	text := "a guardian of yours supports another key for your persona"
	if r := s.recovery(m); r != nil && r.Due != nil {
		text = fmt.Sprintf("your guardians are giving your persona another key, which takes over %s at the soonest", r.Due.Format(time.RFC3339))
	}
	return text + "; if that is not what you want, veto it: metastate rotate"
}

// Guardians says who may recover this persona, as far as the roll tells.
func (c *Community) Guardians() (GuardianSet, error) {
	_, m, err := c.me()
	if err != nil {
		return GuardianSet{}, err
	}
	if m.Keys.Guard == nil {
		return GuardianSet{}, nil
	}
	g := m.Keys.Guard
	return GuardianSet{Guardians: len(g.Hashes), Threshold: int(g.Threshold), Delay: (time.Duration(g.Delay) * time.Second).String()}, nil
}
