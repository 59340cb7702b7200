package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// An appointment is one that stands if there are seats.
type appointment struct {
	r    *protocol.Record
	body AppointBody
}

// appointments gives offices: by the founder while sole clerk (SPEC §5.4). Of
// appointments that together take more seats than there are, those that don't
// come after one another fall together, so that no order between them matters.
func (f *fold) appointments() {
	var list []appointment
	f.each(protocol.Appoint, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, v := f.appointment(r)
		if v.Stands {
			list = append(list, appointment{r, body})
		}
		return v, !v.Stands
	})
	var stand []appointment
	for _, a := range list {
		if f.seated(a, list) {
			stand = append(stand, a)
		} else {
			f.verdicts[a.r.ID()] = noPower(a.r, "The office has fewer seats than this would fill.")
		}
	}
	for _, a := range stand {
		f.verdicts[a.r.ID()] = f.appoint(a.r, a.body)
	}
}

// appointment judges everything but the number of seats.
func (f *fold) appointment(r *protocol.Record) (AppointBody, protocol.Verdict) {
	body, err := protocol.Body[AppointBody](r)
	if err != nil || body.Validate() != nil {
		return body, protocol.Void(r, RuleMalformed, "An appointment names an office and members.")
	}
	m, _ := f.author(r)
	if !MayAppoint(m, f.Base) {
		return body, noPower(r, "A founder can appoint only while sole clerk; after that, offices are filled by ballot.")
	}
	if _, ok := f.Charter.Office(body.Office); !ok {
		return body, noPower(r, "The charter has no such office.")
	}
	for _, p := range body.Personas {
		if f.Base.Member(p).Rank() == RankNone {
			return body, noPower(r, "Offices are held by members in full standing.")
		}
	}
	return body, protocol.Verdict{Stands: true}
}

// seated reports whether the office has room for who holds it, for a, and for
// every other appointment that does not come after a.
func (f *fold) seated(a appointment, list []appointment) bool {
	holders := map[protocol.ID]bool{}
	for _, p := range f.Base.officers {
		if f.Base.Member(p).Holds(a.body.Office) {
			holders[p] = true
		}
	}
	for _, o := range list {
		if o.body.Office == a.body.Office && !f.Past(a.r.ID(), o.r.ID()) {
			for _, p := range o.body.Personas {
				holders[p] = true
			}
		}
	}
	office, _ := f.Charter.Office(a.body.Office)
	return uint64(len(holders)) <= office.Seats
}

// appoint gives the office.
func (f *fold) appoint(r *protocol.Record, body AppointBody) protocol.Verdict {
	why := protocol.Stand(r, RuleAppoint, "Appointed by the founder, sole clerk at the time.")
	for _, p := range body.Personas {
		c := *f.s.Member(p)
		if c.Holds(body.Office) {
			continue
		}
		c.Offices = append(slices.Clone(c.Offices), body.Office)
		slices.Sort(c.Offices)
		c.Because = appendBounded(c.Because, why.Reason, maxReasons)
		f.s = f.s.put(&c)
	}
	return why
}

// MayAppoint reports whether m is a founder and the only clerk.
func MayAppoint(m *Member, s State) bool {
	if m.Rank() != RankClerk || !m.Founder {
		return false
	}
	return !slices.ContainsFunc(s.officers, func(p protocol.ID) bool { return p != m.Persona && s.Member(p).Holds(Clerk) })
}
