package roll

import (
	"maps"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
)

// appointments gives offices: by the founder while sole clerk, or by more than
// half of the roll (SPEC §5.5). Of appointments that together take more seats
// than there are, those that don't come after one another fall together, so
// that no order between them matters.
func (f *fold) appointments() {
	bodies := map[protocol.ID]AppointBody{}
	for _, r := range f.Records {
		m := f.motions[r.ID()]
		if r.Kind() != protocol.Appoint || m == nil || f.struck(r) {
			continue
		}
		suspended := func(p protocol.ID) bool { return f.Base.Member(p).Rank() == RankNone }
		if a, _ := f.author(r); mayAppoint(a, f.Base) && !slices.ContainsFunc(m.Appoint.Personas, suspended) {
			bodies[r.ID()] = m.Appoint
		}
	}
	for _, act := range f.certificates(protocol.Appoint) {
		if v, ok := f.verdicts[act]; !ok || v.Stands {
			bodies[act] = f.motions[act].Appoint
		}
	}
	full := map[protocol.ID]bool{}
	for act, body := range bodies {
		full[act] = !f.seated(act, body, bodies)
	}
	for _, r := range f.Records {
		if full[r.ID()] {
			f.verdicts[r.ID()] = noPower(r, "The office has fewer seats than this would fill.")
		} else if _, ok := bodies[r.ID()]; ok && f.motions[r.ID()].By == f.soleClerk() {
			f.verdicts[r.ID()] = protocol.Stand(r, RuleAppoint, "Appointed by the founder, sole clerk at the time.")
		}
	}
	for _, act := range slices.SortedFunc(maps.Keys(bodies), protocol.ID.Compare) {
		body := bodies[act]
		f.done[act] = true
		if full[act] {
			continue
		}
		rule := RuleCertificate
		if f.motions[act].By == f.soleClerk() {
			rule = RuleAppoint
		}
		for _, p := range body.Personas {
			f.s = f.s.give(p, body.Office, f.term(body.Office), protocol.Reason{Rule: rule, Record: act}, f.Step)
		}
	}
}

// appointment judges everything but who may and the number of seats.
func (f *fold) appointment(r *protocol.Record) (AppointBody, protocol.Verdict) {
	body, err := protocol.Body[AppointBody](r)
	if err != nil || body.Validate() != nil {
		return body, protocol.Void(r, RuleMalformed, "An appointment names an office and members.")
	}
	if _, ok := f.Charter.Office(body.Office); !ok {
		return body, noPower(r, "The charter has no such office.")
	}
	for _, p := range body.Personas {
		if !f.Base.Member(p).Voice() {
			return body, noPower(r, "Offices are given to members.")
		}
	}
	return body, protocol.Verdict{Stands: true}
}

// seated reports whether the office has room for who holds it or got it in this
// batch, for an appointment, and for every other that does not come after it.
// One officer's appointments take no seat from the roll's.
func (f *fold) seated(act protocol.ID, body AppointBody, all map[protocol.ID]AppointBody) bool {
	holders := map[protocol.ID]bool{}
	for _, p := range slices.Concat(f.Base.Holders(body.Office), f.s.Holders(body.Office)) {
		holders[p] = true
	}
	byRoll := f.Base.Count(f.motions[act]).Enough()
	for other, o := range all {
		if o.Office == body.Office && !f.Past(act, other) && (!byRoll || f.Base.Count(f.motions[other]).Enough()) {
			for _, p := range o.Personas {
				holders[p] = true
			}
		}
	}
	office, _ := f.Charter.Office(body.Office)
	return uint64(len(holders)) <= office.Seats
}

// mayAppoint reports whether m is the only founder and only clerk, and was from
// the beginning: once others held the office, the roll fills it.
func mayAppoint(m *Member, s State) bool {
	if m.Rank() != RankClerk || !m.Offices()[m.holding(Clerk)].Alone {
		return false
	}
	return slices.Equal(s.Holders(Clerk), []protocol.ID{m.Persona})
}

// soleClerk is the founder who may appoint alone, zero if there is none.
func (f *fold) soleClerk() protocol.ID {
	if h := f.Base.Holders(Clerk); len(h) == 1 && mayAppoint(f.Base.Member(h[0]), f.Base) {
		return h[0]
	}
	return protocol.ID{}
}

// Holders are those who hold an office, whatever their standing, rising.
func (s State) Holders(office string) (holders []protocol.ID) {
	for _, p := range s.officers {
		if s.Member(p).Holds(office) {
			holders = append(holders, p)
		}
	}
	return holders
}

// recall judges a recall by itself: that it takes the office from who holds it
// and gives it to members.
func (f *fold) recall(r *protocol.Record) (RecallBody, protocol.Verdict) {
	body, err := protocol.Body[RecallBody](r)
	if err != nil || body.Validate() != nil {
		return body, protocol.Void(r, RuleMalformed, "A recall names an office, who loses it or gets it, and why.")
	}
	if from := r.Header().Checkpoint; !body.From.IsZero() && body.From != from.ID {
		return body, protocol.Void(r, RuleMalformed, "A recall that names where it starts from cites that checkpoint.")
	} else if !body.From.IsZero() && from.Height+1 != f.Step.Height {
		return body, noPower(r, "It was to follow another checkpoint than this one does.")
	}
	office, ok := f.Charter.Office(body.Office)
	if !ok {
		return body, noPower(r, "The charter has no such office.")
	}
	for _, p := range body.Out {
		if f.Base.Member(p) == nil {
			return body, noPower(r, "It recalls somebody who is not on the roll.")
		}
	}
	for _, c := range body.In {
		if d := f.Base.Device(c.Key); !f.Base.Member(c.Persona).Voice() || !d.Live(f.AsOf) || d.Persona != c.Persona {
			return body, noPower(r, "Successors are members, each with a device of theirs that is neither revoked, forked nor expired.")
		}
	}
	if uint64(len(body.In)) > office.Seats {
		return body, noPower(r, "The office has fewer seats than this would fill.")
	}
	return body, protocol.Verdict{Stands: true}
}

// recalls carries out the recalls that more than half of the roll endorsed. Who
// loses an office by any of them has lost it, whoever else gives it back in the
// same batch.
func (f *fold) recalls() {
	acts := f.certificates(protocol.Recall)
	out := map[string]map[protocol.ID]bool{}
	for _, act := range acts {
		body := f.motions[act].Recall
		f.done[act] = true
		if out[body.Office] == nil {
			out[body.Office] = map[protocol.ID]bool{}
		}
		for _, p := range body.Out {
			out[body.Office][p] = true
			f.s = f.s.take(p, body.Office, protocol.Reason{Rule: RuleRecall, Record: act})
		}
	}
	for _, act := range acts {
		body := f.motions[act].Recall
		if !f.room(body.Office, acts, out[body.Office]) {
			continue // rival recalls fill more seats than there are: they stay vacant
		}
		if body.Office == Clerk && len(body.In) > 0 {
			f.s = f.s.release() // who follows is chosen
		}
		clean := !slices.ContainsFunc(body.In, func(c Clerkship) bool { return out[body.Office][c.Persona] })
		if body.Office == Clerk && len(body.In) > 0 && clean {
			f.s.recalled = append(f.s.recalled, Recalled{act, body.In})
			f.s.eras = appendBounded(f.s.eras, Era{act, body.In}, maxEras)
		}
		for _, c := range body.In {
			if out[body.Office][c.Persona] {
				continue
			}
			f.s = f.s.give(c.Persona, body.Office, f.term(body.Office), protocol.Reason{Rule: RuleRecall, Record: act}, f.Step)
			if m := *f.s.Member(c.Persona); body.Office == Clerk && m.Holds(Clerk) {
				m.serve(c.Key)
				f.s = f.s.put(&m)
			}
		}
	}
}

// room reports whether an office has seats for who still holds it and for the
// successors that all the recalls name.
func (f *fold) room(office string, recalls []protocol.ID, out map[protocol.ID]bool) bool {
	seats := map[protocol.ID]bool{}
	for _, p := range f.Base.Holders(office) {
		seats[p] = !out[p]
	}
	for _, act := range recalls {
		if body := f.motions[act].Recall; body.Office == office {
			for _, c := range body.In {
				seats[c.Persona] = !out[c.Persona]
			}
		}
	}
	maps.DeleteFunc(seats, func(_ protocol.ID, in bool) bool { return !in })
	o, _ := f.Charter.Office(office)
	return uint64(len(seats)) <= o.Seats
}

// duties are the records by which holders give up an office, or say with which
// device they serve.
func (f *fold) duties() {
	f.each(protocol.Resign, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, err := protocol.Body[ResignBody](r)
		if err != nil {
			return protocol.Void(r, RuleMalformed, "A resignation names an office."), true
		}
		m, ok := f.author(r)
		if !ok || !m.has(body.Office) {
			return noPower(r, "The author does not hold the office."), true
		}
		v := protocol.Stand(r, RuleResign, "Giving up an office needs nobody's consent.")
		f.s = f.s.take(m.Persona, body.Office, v.Reason)
		return v, true
	})
	served := map[protocol.ID][]*protocol.Record{}
	f.each(protocol.Serve, func(r *protocol.Record) (protocol.Verdict, bool) {
		if m, ok := f.author(r); !ok || m.Rank() != RankClerk {
			return noPower(r, "Only who holds the office of clerk serves in it."), true
		}
		served[r.Author()] = append(served[r.Author()], r)
		return protocol.Stand(r, RuleServe, "The clerk signs checkpoints with this device."), true
	})
	for persona, list := range served {
		if len(list) > 1 { // two devices at once: the one that signs already goes on
			continue
		}
		c := *f.s.Member(persona)
		c.serve(list[0].Header().Key)
		f.s = f.s.put(&c)
	}
}

// term is when an office given now ends, 0 if it does not.
func (f *fold) term(office string) int64 {
	o, _ := f.Charter.Office(office)
	if o.Term == 0 {
		return 0
	}
	return f.Step.AsOf + o.Term
}

// give gives an office to a member. It ends a suspension by one officer: those
// who choose somebody for an office are not overruled by one who holds one.
func (s State) give(persona protocol.ID, office string, until int64, why protocol.Reason, at Step) State {
	m := s.Member(persona)
	if !m.Voice() {
		return s
	}
	if office == Clerk { // what the only founder may do alone ends with the second clerk
		for _, p := range slices.Clone(s.officers) {
			if o := s.Member(p); o.has(Clerk) && o.Offices()[o.holding(Clerk)].Alone && p != persona {
				c := *o
				offices := slices.Clone(o.Offices())
				offices[o.holding(Clerk)].Alone = false
				c.hold(offices)
				s = s.put(&c)
			}
		}
	}
	c := *m
	if m.Standing() == Suspended {
		c = *m.with(at, Full, why)
		c.Until = 0
	}
	h := Holding{Office: office, Record: why.Record, Since: at.AsOf, Until: until}
	offices := slices.DeleteFunc(slices.Clone(c.Offices()), func(o Holding) bool { return o.Office == office })
	offices = append(offices, h)
	slices.SortFunc(offices, func(a, b Holding) int { return strings.Compare(a.Office, b.Office) })
	c.hold(offices)
	c.Because = appendBounded(c.Because, why.Cause(), maxReasons)
	return s.put(&c)
}

// retire ends the term of a clerk before its time.
func (s State) retire(persona protocol.ID, why protocol.Reason) State {
	c := *s.Member(persona)
	i := c.holding(Clerk)
	if i < 0 {
		return s
	}
	offices := slices.Clone(c.Offices())
	offices[i].Over, offices[i].Alone = true, false
	c.hold(offices)
	c.Because = appendBounded(c.Because, why.Cause(), maxReasons)
	return s.put(&c)
}

// take takes an office from a member.
func (s State) take(persona protocol.ID, office string, why protocol.Reason) State {
	m := s.Member(persona)
	if m == nil || !m.has(office) {
		return s
	}
	c := *m
	c.hold(slices.DeleteFunc(slices.Clone(m.Offices()), func(h Holding) bool { return h.Office == office }))
	c.Because = appendBounded(c.Because, why.Cause(), maxReasons)
	return s.put(&c)
}
