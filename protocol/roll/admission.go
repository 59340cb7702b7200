package roll

import (
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// invite opens a door. The author must be one whom the charter lets invite.
func (f *fold) invite(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[InviteBody](r)
	if err != nil || body.Uses == 0 {
		return protocol.Void(r, RuleMalformed, "This invite is not of the shape the protocol asks for.")
	}
	m, _ := f.author(r)
	if !MayInvite(m, f.Charter) {
		return noPower(r, "The charter does not let the author invite.")
	}
	if body.Uses > f.Charter.Admission.MaxUses {
		return noPower(r, "The invite has more uses than the charter allows.")
	}
	f.s.invites = f.s.invites.Put(r.ID(), &Invite{
		By: m.Persona, Key: body.Key, Uses: body.Uses,
		Expires: min(body.Expires, f.Step.AsOf+f.Charter.Admission.MaxAge),
	})
	return protocol.Stand(r, RuleOffer, "The author may invite under the charter.")
}

// MayInvite reports whether the charter lets m make invites.
func MayInvite(m *Member, c *charter.Charter) bool {
	if c.Admission.Invites == charter.InvitesMembers {
		return m.Rank() >= RankMember
	}
	return m.Rank() >= RankOfficer
}

// inviteRevoke closes a door: by whoever opened it, or an officer.
func (f *fold) inviteRevoke(r *protocol.Record) protocol.Verdict {
	body, err := protocol.Body[InviteRevokeBody](r)
	inv := f.s.Invite(body.Invite)
	if err != nil || inv == nil {
		return protocol.Void(r, RuleMalformed, "This names no invite.")
	}
	m, _ := f.author(r)
	if rank := m.Rank(); rank < RankMember || (rank < RankOfficer && m.Persona != inv.By) {
		return noPower(r, "An invite is revoked by whoever made it, or by an officer.")
	}
	f.revokes[body.Invite] = append(f.revokes[body.Invite], r.ID())
	c := *inv
	c.Revoked = true
	f.s.invites = f.s.invites.Put(body.Invite, &c)
	return protocol.Stand(r, RuleRevoke, "Revoked by one who may.")
}

// admissions applies admissions under invites, then those by name. Those under
// one invite stand or fall together when there are more of them than it has
// uses left, so that no order among them matters (SPEC §5.2).
func (f *fold) admissions() {
	newcomers := map[protocol.ID]map[protocol.ID]bool{} // invite → personas new in this batch
	var invited, named []*protocol.Record
	f.each(protocol.Admit, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, err := protocol.Body[AdmitBody](r)
		if err != nil {
			return protocol.Void(r, RuleMalformed, "This admission is not of the shape the protocol asks for."), true
		}
		if body.Invite.IsZero() {
			named = append(named, r)
			return protocol.Verdict{}, false
		}
		if v := f.invited(r, body); !v.Stands {
			return v, true
		}
		invited = append(invited, r)
		if f.Base.Member(body.Persona) == nil {
			if newcomers[body.Invite] == nil {
				newcomers[body.Invite] = map[protocol.ID]bool{}
			}
			newcomers[body.Invite][body.Persona] = true
		}
		return protocol.Verdict{}, false
	})
	// Who comes by several invites comes by one that has room, if one has.
	for _, room := range []bool{true, false} {
		for _, r := range invited {
			body, _ := protocol.Body[AdmitBody](r)
			inv := f.s.Invite(body.Invite)
			if room == (inv.Used+uint64(len(newcomers[body.Invite])) <= inv.Uses) {
				f.verdicts[r.ID()] = f.admitInvited(r, body, room)
			}
		}
	}
	for id, personas := range newcomers {
		f.use(id, uint64(len(personas)))
	}
	for _, r := range named {
		body, _ := protocol.Body[AdmitBody](r)
		f.verdicts[r.ID()] = f.admitByName(r, body)
	}
}

// invited checks an admission under an invite against everything but the
// number of uses.
func (f *fold) invited(r *protocol.Record, body AdmitBody) protocol.Verdict {
	if !f.Authorised(r) {
		return noPower(r, "Only a member can serve an admission.")
	}
	inv := f.s.Invite(body.Invite)
	if inv == nil {
		return noPower(r, "The invite that it names does not exist.")
	}
	if inv.Revoked && !f.revokedAfter(body.Invite, r) {
		return noPower(r, "The invite that it names was revoked.")
	}
	if inv.Expires <= f.Step.AsOf {
		return noPower(r, "The invite that it names has expired.")
	}
	c := r.Carried()
	if len(c) != 2 || c[0].Kind() != protocol.Inception || c[1].Kind() != protocol.Grant || c[0].ID() != body.Persona ||
		c[0].Header().Metastate != r.Header().Metastate || c[1].Header().Metastate != r.Header().Metastate {
		return protocol.Void(r, RuleMalformed, "An admission carries the newcomer's inception and first grant.")
	}
	if co := c[0].Header().Cosigners; len(co) != 1 || co[0] != inv.Key {
		return noPower(r, "The newcomer's inception is not signed by the invite's key.")
	}
	in, err := protocol.Body[identity.Inception](c[0])
	if err != nil || in.Validate() != nil || c[0].Header().Seq != 0 {
		return protocol.Void(r, RuleMalformed, "The newcomer's inception is not of the shape the protocol asks for.")
	}
	if _, _, v := f.granted(newMember(c[0], in), c[1]); !v.Stands && f.s.Member(body.Persona) == nil {
		return protocol.Void(r, v.Rule, v.Text)
	}
	return protocol.Verdict{Stands: true}
}

// revokedAfter reports whether the invite was revoked only by records of this
// batch that have r in their past: the admission came first.
func (f *fold) revokedAfter(invite protocol.ID, r *protocol.Record) bool {
	if inv := f.Base.Invite(invite); inv != nil && inv.Revoked {
		return false
	}
	return !slices.ContainsFunc(f.revokes[invite], func(o protocol.ID) bool { return !f.Past(r.ID(), o) })
}

// admitInvited puts the newcomer on the roll: as a member where the charter
// asks no more than an invite, otherwise pending.
func (f *fold) admitInvited(r *protocol.Record, body AdmitBody, room bool) protocol.Verdict {
	if m := f.s.Member(body.Persona); m != nil {
		if f.Base.Member(body.Persona) == nil && !m.Founder {
			return protocol.Stand(r, RuleInvite, "Admitted by more than one member at once.")
		}
		return noPower(r, "The persona is on the roll already.")
	}
	in, _ := protocol.Body[identity.Inception](r.Carried()[0])
	m, dev, v := f.granted(newMember(r.Carried()[0], in), r.Carried()[1])
	if !v.Stands {
		return protocol.Void(r, v.Rule, v.Text)
	}
	m.Invite = body.Invite
	standing := Full
	why := protocol.Stand(r, RuleInvite, "The invite admits without a further act.")
	switch {
	case !room:
		standing = Pending
		why = protocol.Stand(r, RuleUses, "More people came by this invite than it has uses left: a registrar admits them by name.")
	case f.Charter.Admission.Policy == charter.PolicyRegistrar:
		standing = Pending
		why = protocol.Stand(r, RulePending, "The charter asks for registrars' approval.")
	}
	f.s = f.s.put(m.with(f.Step, standing, why.Reason))
	f.s.devices = f.s.devices.Put(dev.key, dev.Device)
	return why
}

// use counts n uses of an invite, unless the group as a whole is too large.
func (f *fold) use(invite protocol.ID, n uint64) {
	c := *f.s.Invite(invite)
	if c.Used+n > c.Uses {
		return
	}
	c.Used += n
	f.s.invites = f.s.invites.Put(invite, &c)
}

// admitByName is a registrar's approval of one who is pending. As many as the
// charter asks for make a member.
func (f *fold) admitByName(r *protocol.Record, body AdmitBody) protocol.Verdict {
	m, _ := f.author(r)
	if !MayAdmit(m, f.Base) {
		return noPower(r, "Admission by name is a registrar's, or a clerk's while no registrar sits.")
	}
	p := f.s.Member(body.Persona)
	if p == nil || len(r.Carried()) > 0 {
		return noPower(r, "The persona has not asked to join.")
	}
	if p.Standing() != Pending && !(f.Base.Member(body.Persona) == nil || f.Base.Member(body.Persona).Standing() == Pending) {
		return noPower(r, "The persona is not pending.")
	}
	why := protocol.Stand(r, RuleByName, "Admitted by name by one who may.")
	c := *p
	c.Approved = setMember(p.Approved, m.Persona, true)
	if p.Standing() == Pending && uint64(len(c.Approved)) >= approvals(f.Charter) {
		f.s = f.s.put(c.with(f.Step, Full, why.Reason))
	} else {
		c.Because = appendBounded(p.Because, why.Reason, maxReasons)
		f.s = f.s.put(&c)
	}
	return why
}

// approvals is how many admit by name: as many as the charter asks for where
// registrars decide, otherwise one.
func approvals(c *charter.Charter) uint64 {
	if c.Admission.Policy == charter.PolicyRegistrar {
		return max(1, c.Admission.Registrars)
	}
	return 1
}

// MayAdmit reports whether m may admit by name: a registrar, or a clerk while
// no registrar sits.
func MayAdmit(m *Member, s State) bool {
	if m.Rank() < RankOfficer {
		return false
	}
	if m.Holds(Registrar) {
		return true
	}
	return m.Holds(Clerk) && !slices.ContainsFunc(s.officers, func(p protocol.ID) bool { return s.Member(p).Holds(Registrar) })
}
