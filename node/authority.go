package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// whoAdmits says who admits by name.
func whoAdmits(c *charter.Charter) string {
	switch c.Admission.Policy {
	case charter.PolicyVouch:
		return fmt.Sprintf("members of at least %s vouch, each for at most %d in 30 days", InDays(time.Duration(c.Admission.Vouch.Age)*time.Second), c.Admission.Vouch.Cap)
	case charter.PolicyBallot:
		return "the members decide by ballot"
	}
	return "that is for registrars, or for clerks while there is no registrar"
}

// Suspend suspends a member: at once if this persona's rank is higher,
// otherwise once enough have endorsed it.
func (c *Community) Suspend(ctx context.Context, persona protocol.ID, reason string) (RecordRef, error) {
	return c.restrict(ctx, protocol.Suspend, persona, reason)
}

// Expel asks that a member be expelled, which enough others must endorse.
func (c *Community) Expel(ctx context.Context, persona protocol.ID, reason string) (RecordRef, error) {
	return c.restrict(ctx, protocol.Expel, persona, reason)
}

func (c *Community) restrict(ctx context.Context, kind protocol.Kind, persona protocol.ID, reason string) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	body := roll.RestrictBody{Persona: persona, Reason: reason}
	if err := body.Validate(); err != nil {
		return RecordRef{}, &Error{Code: "usage", Exit: ExitUsage, Message: "a reason of at most 1000 bytes is needed", Hint: "give --reason TEXT", Err: err}
	}
	target := s.Final.Roll().Member(persona)
	switch {
	case !m.Voice():
		return RecordRef{}, refuse("only members act on the roll", "metastate status")
	case target == nil || target.Standing() == roll.Expelled:
		return RecordRef{}, refuse("the persona is not on the final roll", "metastate roll list")
	case persona == m.Persona:
		return RecordRef{}, refuse("nobody acts on themselves", "to go: metastate leave")
	case kind == protocol.Suspend && target.Standing() != roll.Full:
		return RecordRef{}, refuse("only a member in full standing can be suspended", "metastate roll list")
	}
	alone := kind == protocol.Suspend && roll.MaySuspend(m, target, s.Final.AsOf())
	if !alone {
		if act, _ := s.motionAbout(persona, kind); !act.IsZero() {
			return c.endorse(ctx, act)
		}
		if len(m.Quota().Motions) >= roll.MaxMotions {
			return RecordRef{}, refuse("too many of your acts wait for endorsements", "metastate roll motions")
		}
		body.Cut = c.book().chainEnds(persona, target.Devices)
	}
	r, err := c.act(kind, body)
	return c.done(ctx, r, err)
}

// Endorse adds this persona's name to what waits about another: an admission, or
// a suspension or expulsion, the one that most have endorsed.
func (c *Community) Endorse(ctx context.Context, persona protocol.ID) (RecordRef, error) {
	s, _, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	if p := s.View.Roll().Member(persona); p != nil && p.Standing() == roll.Pending {
		return c.Admit(ctx, persona)
	}
	act, ok := s.motionAbout(persona, protocol.Expel, protocol.Suspend)
	if !ok {
		return RecordRef{}, &Error{Code: "not-found", Exit: ExitNotFound, Message: "nothing about this persona waits for endorsements", Hint: "metastate roll motions"}
	}
	return c.endorse(ctx, act)
}

// EndorseAct adds this persona's name to an act that waits for endorsements.
func (c *Community) EndorseAct(ctx context.Context, act protocol.ID) (RecordRef, error) {
	s, _, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	if s.View.Roll().Motion(act) == nil {
		return RecordRef{}, &Error{Code: "not-found", Exit: ExitNotFound, Message: "no such act waits for endorsements", Hint: "metastate roll motions"}
	}
	return c.endorse(ctx, act)
}

func (c *Community) endorse(ctx context.Context, act protocol.ID) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	x := s.View.Roll().Motion(act)
	switch {
	case !m.Voice() || x.Kind == protocol.Appoint && m.Rank() == roll.RankNone:
		return RecordRef{}, refuse("only members endorse", "metastate status")
	case x.Target() == m.Persona:
		return RecordRef{}, refuse("nobody endorses an act about themselves", "")
	case slices.Contains(x.Endorsers, m.Persona):
		return RecordRef{}, refuse("you have endorsed it already", "metastate roll motions")
	}
	r, err := c.act(protocol.Endorse, roll.EndorseBody{Act: act})
	return c.done(ctx, r, err)
}

// motionAbout is the waiting act about a persona that most have endorsed.
func (s *Snapshot) motionAbout(persona protocol.ID, kinds ...protocol.Kind) (act protocol.ID, ok bool) {
	best := 0
	target := s.View.Roll().Member(persona)
	for id, m := range s.View.Roll().Motions() {
		// Who is gone is not suspended, and who was expelled not expelled again.
		moot := target != nil && (m.Kind == protocol.Suspend && target.Removed() || m.Kind == protocol.Expel && target.Standing() == roll.Expelled)
		if m.Target() == persona && slices.Contains(kinds, m.Kind) && !moot && len(m.Endorsers) > best {
			act, best = id, len(m.Endorsers)
		}
	}
	return act, best > 0
}

// Motions are the acts that wait for endorsements, most endorsed first.
func (c *Community) Motions() (MotionList, error) {
	s, _, err := c.me()
	if err != nil {
		return MotionList{}, err
	}
	out := MotionList{Motions: []Motion{}, Names: map[string]string{}}
	for id, m := range s.View.Roll().Motions() {
		t := s.Final.Roll().Count(m)
		e := Motion{
			Act: id, Kind: string(m.Kind), By: m.By, Endorsers: m.Endorsers, Expires: at(m.Expires),
			Endorsed: t.Roll, Needs: t.RollNeeds, Body: t.Body, BodyNeeds: t.BodyNeeds,
			Final: s.Final.Roll().Motion(id) != nil,
		}
		switch m.Kind {
		case protocol.Appoint:
			e.Office, e.In = m.Appoint.Office, m.Appoint.Personas
		case protocol.Recall:
			e.Office, e.Out, e.Reason = m.Recall.Office, m.Recall.Out, m.Recall.Reason
			for _, x := range m.Recall.In {
				e.In = append(e.In, x.Persona)
			}
		default:
			target := m.Target()
			e.Persona, e.Reason = &target, m.Restrict.Reason
			s.call(out.Names, target)
		}
		s.call(out.Names, slices.Concat(e.In, e.Out, e.Endorsers, []protocol.ID{e.By})...)
		out.Motions = append(out.Motions, e)
	}
	slices.SortFunc(out.Motions, func(a, b Motion) int {
		return cmp.Or(cmp.Compare(b.Endorsed, a.Endorsed), a.Act.Compare(b.Act))
	})
	return out, nil
}

// Appoint gives an office to members: at once by the founder while sole clerk,
// otherwise once more than half of the members have endorsed it.
func (c *Community) Appoint(ctx context.Context, office string, personas []protocol.ID) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	o, err := s.office(office)
	if err != nil {
		return RecordRef{}, err
	}
	for _, p := range personas {
		if s.Final.Roll().Member(p).Rank() == roll.RankNone {
			return RecordRef{}, refuse("offices are held by members in full standing", "metastate roll list")
		}
	}
	if m.Rank() < roll.RankMember {
		return RecordRef{}, refuse("only members in full standing act on the roll", "metastate status")
	}
	slices.SortFunc(personas, protocol.ID.Compare)
	body := roll.AppointBody{Office: office, Personas: slices.Compact(personas)}
	if err := body.Validate(); err != nil {
		return RecordRef{}, &Error{Code: "usage", Exit: ExitUsage, Message: err.Error()}
	}
	holders := s.Final.Roll().Holders(office)
	for _, p := range body.Personas {
		if !slices.Contains(holders, p) {
			holders = append(holders, p)
		}
	}
	if uint64(len(holders)) > o.Seats {
		return RecordRef{}, refuse(fmt.Sprintf("the office has %d seats, and this would fill %d", o.Seats, len(holders)), "metastate office list")
	}
	r, err := c.act(protocol.Appoint, body)
	return c.done(ctx, r, err)
}

// office is an office of the charter.
func (s *Snapshot) office(name string) (charter.Office, error) {
	o, ok := s.Final.Charter().Office(name)
	if !ok {
		return o, &Error{Code: "not-found", Exit: ExitNotFound, Message: fmt.Sprintf("the charter has no office %q", name), Hint: "metastate charter show"}
	}
	return o, nil
}

// Recall asks that some lose an office and others get it, which more than half
// of the members must endorse.
func (c *Community) Recall(ctx context.Context, req RecallRequest) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	o, err := s.office(req.Office)
	if err != nil {
		return RecordRef{}, err
	}
	if !m.Voice() {
		return RecordRef{}, refuse("only members act on the roll", "metastate status")
	}
	body := roll.RecallBody{Office: req.Office, Reason: req.Reason, Out: slices.Clone(req.Out)}
	if c.book().isContested() { // of the branches that follow, the roll chooses this one
		body.From = s.Ref.ID
	}
	slices.SortFunc(body.Out, protocol.ID.Compare)
	body.Out = slices.Compact(body.Out)
	for _, p := range body.Out {
		if h := s.View.Roll().Member(p); (h == nil || !h.Holds(req.Office)) && !c.book().isContested() {
			if len(s.View.Roll().Holders(req.Office)) == 0 { // who left, say, has lost it already
				return RecordRef{}, refuse("nobody holds the office, so nobody can lose it",
					fmt.Sprintf("metastate office appoint %[1]s PERSONA; if the last clerks sign nothing any more: metastate office recall %[1]s --in C,D --reason TEXT", req.Office))
			}
			return RecordRef{}, refuse("one of those to lose the office does not hold it", "metastate office list")
		}
	}
	for _, p := range req.In {
		key, ok := s.Final.Roll().FirstDevice(p, s.Final.AsOf())
		if !ok {
			return RecordRef{}, refuse("a successor is a member with a device that may sign", "metastate roll list")
		}
		body.In = append(body.In, roll.Clerkship{Persona: p, Key: key})
	}
	slices.SortFunc(body.In, func(a, b roll.Clerkship) int { return a.Persona.Compare(b.Persona) })
	if err := body.Validate(); err != nil {
		return RecordRef{}, &Error{Code: "usage", Exit: ExitUsage, Message: "a recall names who loses the office or gets it, each once, and a reason", Hint: "give --out, --in and --reason", Err: err}
	}
	if uint64(len(body.In)) > o.Seats {
		return RecordRef{}, refuse(fmt.Sprintf("the office has %d seats", o.Seats), "metastate office list")
	}
	r, err := c.act(protocol.Recall, body)
	return c.done(ctx, r, err)
}

// Resign gives up an office. It needs nobody's consent.
func (c *Community) Resign(ctx context.Context, office string) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	if _, err := s.office(office); err != nil {
		return RecordRef{}, err
	}
	if !m.Holds(office) {
		return RecordRef{}, refuse("you do not hold the office", "metastate office list")
	}
	r, err := c.act(protocol.Resign, roll.ResignBody{Office: office})
	return c.done(ctx, r, err)
}

// chainEnds are the ends of devices' chains as held here.
func (l *ledger) chainEnds(persona protocol.ID, devices []identity.PublicKey) (list []roll.Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range devices {
		if next, end := l.end(persona, key); next > 0 {
			list = append(list, roll.Place{Device: key, Next: next, Head: end})
		}
	}
	slices.SortFunc(list, func(a, b roll.Place) int { return protocol.ID(a.Device).Compare(protocol.ID(b.Device)) })
	return list
}

// bring puts proof that a clerk signed twice before the members, unless that
// was done. Who could sign under a recall is known once that is carried out.
func (c *Community) bring(e roll.EvidenceBody) {
	s := c.Snapshot()
	if s == nil {
		return
	}
	_, ok := s.Final.Roll().Signer(e)
	if !ok && !e.Era.IsZero() {
		c.book().keepProof(e)
	}
	if !ok || e.Height < s.View.Roll().Device(e.Key).Marks().Signs.Judged {
		return
	}
	if _, err := c.act(protocol.Evidence, e); err != nil {
		c.log.Warn("bringing evidence against a clerk", "cause", err)
	}
}

// MotionList is every act that waits for endorsements.
type MotionList struct {
	Motions []Motion          `json:"motions"`
	Names   map[string]string `json:"names"` // of the personas in them
}

// Motion is an act that waits for endorsements. Enough of either way carry it.
type Motion struct {
	Act       protocol.ID   `json:"act"`
	Kind      string        `json:"kind"` // suspend, expel, appoint or recall
	By        protocol.ID   `json:"by"`
	Persona   *protocol.ID  `json:"persona"` // whom it is about
	Office    string        `json:"office,omitempty"`
	Out       []protocol.ID `json:"out,omitempty"`
	In        []protocol.ID `json:"in,omitempty"`
	Reason    string        `json:"reason,omitempty"`
	Endorsers []protocol.ID `json:"endorsers"`
	Endorsed  uint64        `json:"endorsed"` // by members
	Needs     uint64        `json:"needs"`
	Body      uint64        `json:"body"`      // by holders of the same office
	BodyNeeds uint64        `json:"bodyNeeds"` // 0: that way is not open
	Expires   *time.Time    `json:"expires"`
	Final     bool          `json:"final"`
}
