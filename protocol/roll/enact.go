package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// Expel carries out a decision to expel a persona: what it did until the
// checkpoint at which the decision takes effect stands. Opened is the checkpoint
// at which its vote opened: whoever came back since stays.
func (s State) Expel(persona, decision protocol.ID, opened uint64, at Step) State {
	m := s.Member(persona)
	if m == nil || m.Standing() == Expelled || m.readmitted() > opened {
		return s
	}
	c := *m
	c.Until, c.Approved = 0, nil
	c.hold(nil)
	return s.put(c.with(at, Expelled, protocol.Reason{Rule: RuleExpelled, Record: decision}))
}

// Admit carries out a decision to admit a persona that is pending or was
// removed. Who was removed after the vote opened stays out: its voters did not
// decide about that.
func (s State) Admit(persona, decision protocol.ID, opened uint64, at Step) State {
	m := s.Member(persona)
	if m == nil || m.Standing() != Pending && !m.Removed() || m.Removed() && m.Spans[len(m.Spans)-1].Height > opened {
		return s
	}
	return s.put(m.with(at, Full, protocol.Reason{Rule: RuleBallot, Record: decision}))
}

// Claim takes in a persona that moved here from the parent: who is pending is a
// member. Others keep what they have, and the reason is kept.
func (s State) Claim(persona, record protocol.ID, at Step) State {
	m := s.Member(persona)
	why := protocol.Reason{Rule: RuleClaim, Record: record}
	if m.Standing() == Pending {
		return s.put(m.with(at, Full, why))
	}
	c := *m
	c.Because = appendBounded(m.Because, why.Cause(), maxReasons)
	return s.put(&c)
}

// Elect carries out an election: who held the office and was not elected again
// loses it, and whoever was and is a member gets it for a term. The term of clerks
// who sign is over; they go on until enough of those elected serve.
func (s State) Elect(office string, elected []protocol.ID, decision protocol.ID, at Step, c *charter.Charter) State {
	o, ok := c.Office(office)
	if !ok || uint64(len(elected)) > o.Seats {
		return s
	}
	why := protocol.Reason{Rule: RuleElected, Record: decision}
	for _, p := range slices.Clone(s.officers) {
		switch {
		case slices.Contains(elected, p):
		case office == Clerk && slices.ContainsFunc(s.clerks, func(c Clerkship) bool { return c.Persona == p }):
			s = s.retire(p, why)
		default:
			s = s.take(p, office, why)
		}
	}
	var until int64
	if o.Term != 0 {
		until = at.AsOf + o.Term
	}
	for _, p := range elected {
		s = s.give(p, office, until, why, at)
	}
	return s
}

// Under ends the offices that a charter, changed by a decision, does not have any
// more: nobody holds power that the charter does not give, and no recall could take.
func (s State) Under(c *charter.Charter, decision protocol.ID) State {
	for _, p := range slices.Clone(s.officers) {
		for _, h := range s.Member(p).Offices() {
			if _, ok := c.Office(h.Office); !ok {
				s = s.take(p, h.Office, protocol.Reason{Rule: RuleTerm, Record: decision})
			}
		}
	}
	return s
}

// Polled counts proposals of a member that opened, or, below zero, whose votes
// ended.
func (s State) Polled(author protocol.ID, n int) State {
	c := *s.Member(author)
	used := c.Quota()
	used.Polls += uint64(n)
	c.use(used)
	return s.put(&c)
}

// Seat settles who signs the next checkpoint. It ends every step.
func (s State) Seat(at Step) State { return s.seatClerks(at.AsOf).noteSigners(s.clerks, at.Height+1) }
