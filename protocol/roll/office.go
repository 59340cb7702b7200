package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// appoint gives an office: by the founder while sole clerk (SPEC §5.4).
func (f *fold) appoint(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[AppointBody](r)
	if err != nil || body.Validate() != nil {
		return protocol.Void(r, RuleMalformed, "An appointment names an office and members.")
	}
	m, _ := f.author(r)
	if !MayAppoint(m, f.Base) {
		return noPower(r, "A founder can appoint only while sole clerk; after that, offices are filled by ballot.")
	}
	i := slices.IndexFunc(f.Charter.Offices, func(o charter.Office) bool { return o.Name == body.Office })
	if i < 0 {
		return noPower(r, "The charter has no such office.")
	}
	seats := uint64(0)
	for _, p := range f.s.officers {
		if f.s.Member(p).Holds(body.Office) && !slices.Contains(body.Personas, p) {
			seats++
		}
	}
	if seats+uint64(len(body.Personas)) > f.Charter.Offices[i].Seats {
		return noPower(r, "The office has fewer seats than this would fill.")
	}
	for _, p := range body.Personas {
		if f.Base.Member(p).Rank() == RankNone {
			return noPower(r, "Offices are held by members in full standing.")
		}
	}
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
