package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// vouchWindow is how long a vouch counts against who gave it, seconds.
const vouchWindow = 30 * 24 * 3600

// named applies admissions by name: of who is pending, or was removed. As many
// approvals as the charter asks for make a member. A member who vouches in one
// batch for more people than the charter lets vouches for none of them.
func (f *fold) named(list []*protocol.Record) {
	vouches := map[protocol.ID]map[protocol.ID]bool{} // voucher → personas
	var good []*protocol.Record
	for _, r := range list {
		body, _ := protocol.Body[AdmitBody](r)
		if v := f.mayApprove(r, body); !v.Stands {
			f.verdicts[r.ID()] = v
			continue
		}
		good = append(good, r)
		if vouches[r.Author()] == nil {
			vouches[r.Author()] = map[protocol.ID]bool{}
		}
		vouches[r.Author()][body.Persona] = true
	}
	vouch := f.Charter.Admission.Policy == charter.PolicyVouch
	for _, r := range good {
		body, _ := protocol.Body[AdmitBody](r)
		n := len(f.Base.Member(r.Author()).vouched(f.Step.AsOf)) + len(vouches[r.Author()])
		if vouch && uint64(n) > f.Charter.Admission.Vouch.Cap {
			f.verdicts[r.ID()] = noPower(r, "The charter does not let one member vouch for so many in 30 days.")
			continue
		}
		f.verdicts[r.ID()] = f.approve(r, body, vouch)
	}
}

// mayApprove checks an approval against everything but how many its author gave.
func (f *fold) mayApprove(r *protocol.Record, body AdmitBody) protocol.Verdict {
	m, ok := f.author(r)
	if !ok || !MayAdmit(m, f.Base, f.Charter, f.AsOf) {
		return noPower(r, "The charter does not let the author admit.")
	}
	p, was := f.s.Member(body.Persona), f.Base.Member(body.Persona)
	switch {
	case p == nil:
		return noPower(r, "The persona has not asked to join.")
	case was != nil && was.Removed():
		return noPower(r, "Who left or was expelled comes back by a decision.")
	case p.Standing() != Pending && !(was == nil || was.Standing() == Pending):
		return noPower(r, "The persona is not pending.")
	case slices.Contains(p.Approved, m.Persona):
		return noPower(r, "The author approved the persona already.")
	}
	return protocol.Verdict{Stands: true}
}

// approve adds an approval.
func (f *fold) approve(r *protocol.Record, body AdmitBody, vouch bool) protocol.Verdict {
	why := protocol.Stand(r, RuleByName, "Admitted by name by one who may.")
	if vouch {
		why = protocol.Stand(r, RuleVouch, "A member vouched for the persona.")
		a := *f.s.Member(r.Author())
		used := a.Quota()
		used.Vouched = append(slices.Clone(a.vouched(f.Step.AsOf)), f.Step.AsOf)
		a.use(used)
		f.s = f.s.put(&a)
	}
	p := f.s.Member(body.Persona)
	c := *p
	c.Approved = setMember(p.Approved, r.Author(), true)
	// An approval counts while who gave it is a member: an admission falls with
	// what it rests on, until it is final.
	stand := uint64(0)
	for _, by := range c.Approved {
		if f.Base.Member(by).Rank() >= RankMember {
			stand++
		}
	}
	if p.Standing() == Pending && stand >= approvals(f.Charter) {
		f.s = f.s.put(c.with(f.Step, Full, why.Reason))
		return why
	}
	c.Because = appendBounded(p.Because, why.Cause(), maxReasons)
	f.s = f.s.put(&c)
	return why
}

// vouched are the times of the vouches that count against m.
func (m *Member) vouched(asOf int64) []int64 {
	list := m.Quota().Vouched
	i := slices.IndexFunc(list, func(at int64) bool { return at > asOf-vouchWindow })
	if i < 0 {
		return nil
	}
	return list[i:]
}

// approvals is how many admit by name: as many as the charter asks for where
// registrars decide or members vouch, otherwise one.
func approvals(c *charter.Charter) uint64 {
	switch c.Admission.Policy {
	case charter.PolicyRegistrar:
		return max(1, c.Admission.Registrars)
	case charter.PolicyVouch:
		return max(1, c.Admission.Vouch.Needs)
	}
	return 1
}

// MayAdmit reports whether the charter lets m admit by name: who has been a
// member for long enough where members vouch; nobody where the roll decides by
// ballot; otherwise a registrar, or a clerk while no registrar sits.
func MayAdmit(m *Member, s State, c *charter.Charter, asOf int64) bool {
	switch c.Admission.Policy {
	case charter.PolicyVouch:
		return m.Rank() >= RankMember && asOf-m.Since() >= c.Admission.Vouch.Age
	case charter.PolicyBallot:
		return false
	}
	return m.Rank() >= RankOfficer && (m.Holds(Registrar) || m.Holds(Clerk) && len(s.Holders(Registrar)) == 0)
}
