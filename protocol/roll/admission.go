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

// admissions applies those that bring a newcomer, then those by name. Those under
// one invite stand or fall together when there are more of them than it has
// uses left, so that no order among them matters (SPEC §5.2).
func (f *fold) admissions() {
	newcomers := map[protocol.ID]map[protocol.ID]bool{} // invite → personas new in this batch
	var brought, named []*protocol.Record
	f.each(protocol.Admit, func(r *protocol.Record) (protocol.Verdict, bool) {
		body, err := protocol.Body[AdmitBody](r)
		if err != nil {
			return protocol.Void(r, RuleMalformed, "This admission is not of the shape the protocol asks for."), true
		}
		if body.Invite.IsZero() && len(r.Carried()) == 0 {
			named = append(named, r)
			return protocol.Verdict{}, false
		}
		if v := f.brought(r, body); !v.Stands {
			return v, true
		}
		brought = append(brought, r)
		if f.Base.Member(body.Persona) == nil && !body.Invite.IsZero() {
			if newcomers[body.Invite] == nil {
				newcomers[body.Invite] = map[protocol.ID]bool{}
			}
			newcomers[body.Invite][body.Persona] = true
		}
		return protocol.Verdict{}, false
	})
	// Who comes by several invites comes by one that has room, if one has.
	for _, room := range []bool{true, false} {
		for _, r := range brought {
			body, _ := protocol.Body[AdmitBody](r)
			has := true
			if inv := f.s.Invite(body.Invite); inv != nil {
				has = inv.Used+uint64(len(newcomers[body.Invite])) <= inv.Uses
			}
			if room == has {
				f.verdicts[r.ID()] = f.admitBrought(r, body, room)
			}
		}
	}
	for id, personas := range newcomers {
		f.use(id, uint64(len(personas)))
	}
	f.named(named)
}

// brought checks an admission that brings a newcomer, under an invite or to a
// metastate that is open, against everything but the number of uses.
func (f *fold) brought(r *protocol.Record, body AdmitBody) protocol.Verdict {
	if !f.Authorised(r) {
		return noPower(r, "Only a member can serve an admission.")
	}
	inv, door := f.s.Invite(body.Invite), []identity.PublicKey{}
	switch {
	case body.Invite.IsZero() && f.Charter.Admission.Policy == charter.PolicyOpen:
	case inv == nil:
		return noPower(r, "The invite that it names does not exist.")
	case f.Base.Member(inv.By).Rank() == RankNone || f.sentenced[inv.By]:
		return noPower(r, "Who made the invite is not a member any more.")
	case inv.Revoked && !f.revokedAfter(body.Invite, r):
		return noPower(r, "The invite that it names was revoked.")
	case inv.Expires <= f.Step.AsOf:
		return noPower(r, "The invite that it names has expired.")
	default:
		door = append(door, inv.Key)
	}
	c := r.Carried()
	if len(c) != 2 || c[0].Kind() != protocol.Inception || c[1].Kind() != protocol.Grant || c[0].ID() != body.Persona ||
		c[0].Header().Metastate != r.Header().Metastate || c[1].Header().Metastate != r.Header().Metastate {
		return protocol.Void(r, RuleMalformed, "An admission carries the newcomer's inception and first grant.")
	}
	if !slices.Equal(c[0].Header().Cosigners, door) {
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

// admitBrought puts the newcomer on the roll: as a member where the charter asks
// no more than an invite, otherwise pending.
func (f *fold) admitBrought(r *protocol.Record, body AdmitBody, room bool) protocol.Verdict {
	rule := RuleInvite
	if body.Invite.IsZero() {
		rule = RuleOpen
	}
	if m := f.s.Member(body.Persona); m != nil {
		if f.Base.Member(body.Persona) == nil && !m.Founder() {
			return protocol.Stand(r, rule, "Admitted by more than one member at once.")
		}
		return noPower(r, "The persona is on the roll already.")
	}
	in, _ := protocol.Body[identity.Inception](r.Carried()[0])
	m, dev, v := f.granted(newMember(r.Carried()[0], in), r.Carried()[1])
	if !v.Stands {
		return protocol.Void(r, v.Rule, v.Text)
	}
	m.Invite = body.Invite
	standing, why := Full, protocol.Stand(r, rule, "The charter asks for no further act.")
	switch policy := f.Charter.Admission.Policy; {
	case !room:
		standing = Pending
		why = protocol.Stand(r, RuleUses, "More people came by this invite than it has uses left: they are admitted by name.")
	case policy != charter.PolicyOpen && policy != charter.PolicyInvite:
		standing = Pending
		why = protocol.Stand(r, RulePending, "The charter asks for more than an invite.")
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
