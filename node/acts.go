package node

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Defaults of acts.
const (
	defaultInviteLife = 72 * time.Hour
	handOver          = 3 * time.Second // to a connected peer, before an act returns
)

// act makes a control record of this node's own, durable when it returns.
func (c *Community) act(kind protocol.Kind, body any, carried ...*protocol.Record) (*protocol.Record, error) {
	return c.write(kind, protocol.ID{}, body, carried...)
}

func (c *Community) write(kind protocol.Kind, subject protocol.ID, body any, carried ...*protocol.Record) (*protocol.Record, error) {
	l := c.book()
	if l == nil {
		return nil, errNotYet()
	}
	r, err := l.write(c.Persona(), c.key.Public(), kind, subject, func(h protocol.Header) (*protocol.Record, error) {
		return protocol.Sign(h, body, carried, c.key)
	})
	if err != nil {
		return nil, err
	}
	c.publish(p2p.Records, r.Inner())
	return r, nil
}

func errNotYet() error {
	return &Error{
		Code: "not-member", Exit: ExitRefused, Message: "you are not a member of it yet",
		Hint: "metastate status says how far joining got",
	}
}

// hand gives a record to connected peers and returns how many took it. With
// nobody there it is 0: the record is stored, and sync brings it.
func (c *Community) hand(ctx context.Context, r *protocol.Record) int {
	c.mu.Lock()
	rep, m := c.replica, c.member
	c.mu.Unlock()
	if m == nil || rep == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, handOver)
	defer cancel()
	n, receipts, err := m.Push(ctx, p2p.Records, rep.seal(p2p.Records, r.Inner())...)
	if err != nil {
		c.log.Debug("handing a record over", "cause", err)
	}
	if len(receipts) > 0 {
		rep.takeReceipts(r, receipts)
	}
	return n
}

// done hands an act's record to connected peers and names it.
func (c *Community) done(ctx context.Context, r *protocol.Record, err error) (RecordRef, error) {
	if err != nil {
		return RecordRef{}, err
	}
	return RecordRef{Record: r.ID(), Sent: c.hand(ctx, r)}, nil
}

// refuse is an act that the rules would void, said before it is made.
func refuse(why, hint string) error {
	return &Error{Code: "refused", Exit: ExitRefused, Message: why, Hint: hint}
}

// me is this persona's entry in the final state.
func (c *Community) me() (*Snapshot, *roll.Member, error) {
	s := c.Snapshot()
	if s == nil {
		return nil, nil, errNotYet()
	}
	m := s.Final.Roll().Member(c.Persona())
	if m == nil {
		return nil, nil, errNotYet()
	}
	return s, m, nil
}

// CreateInvite makes an invite and its link.
func (c *Community) CreateInvite(ctx context.Context, req InviteRequest) (InviteLink, error) {
	s, m, err := c.me()
	if err != nil {
		return InviteLink{}, err
	}
	a := s.Final.Charter().Admission
	if req.Public {
		return c.publicLink(s, m)
	}
	if req.Uses == 0 {
		req.Uses = 1
	}
	if req.Expires == 0 {
		req.Expires = min(defaultInviteLife, time.Duration(a.MaxAge)*time.Second)
	}
	switch {
	case !roll.MayInvite(m, s.Final.Charter()):
		return InviteLink{}, refuse("the charter does not let you invite: invites are made by "+a.Invites, "ask an officer for an invite")
	case req.Uses > a.MaxUses:
		return InviteLink{}, refuse(fmt.Sprintf("the charter allows at most %d uses of one invite", a.MaxUses), "give --uses a smaller number")
	case req.Expires < time.Second || req.Expires > time.Duration(a.MaxAge)*time.Second:
		return InviteLink{}, refuse("the charter lets an invite live at most "+InDays(time.Duration(a.MaxAge)*time.Second), "give --expires a shorter time")
	}
	secret := [linkSecretSize]byte{}
	rand.Read(secret[:])
	key := identity.InviteKey(secret, c.id)
	defer key.Erase()
	expires := time.Now().Add(req.Expires).UTC().Truncate(time.Second)
	l := link{
		Version: 1, Metastate: c.id, Secret: secret[:], Expires: expires.Unix(), Uses: req.Uses,
		Height: s.Ref.Height, ID: s.Ref.ID, Bootstraps: c.bootstraps(s),
	}
	if len(l.Bootstraps) == 0 {
		return InviteLink{}, errNoAddress()
	}
	r, err := c.act(protocol.Invite, roll.InviteBody{Key: key.Public(), Uses: req.Uses, Expires: expires.Unix()})
	if err != nil {
		return InviteLink{}, err
	}
	c.hand(ctx, r)
	return InviteLink{Link: l.String(), Expires: expires, Uses: req.Uses, Invite: r.ID()}, nil
}

// publicLink is a link that anyone can join by, of a metastate whose charter asks
// for no invite. It needs no record.
func (c *Community) publicLink(s *Snapshot, m *roll.Member) (InviteLink, error) {
	switch {
	case s.Final.Charter().Admission.Policy != charter.PolicyOpen:
		return InviteLink{}, refuse("the charter admits nobody without an invite", "leave out --public")
	case m.Rank() < roll.RankMember:
		return InviteLink{}, refuse("only members in full standing let others in", "metastate status")
	}
	l := link{Version: 1, Metastate: c.id, Secret: []byte{}, Height: s.Ref.Height, ID: s.Ref.ID, Bootstraps: c.bootstraps(s)}
	if len(l.Bootstraps) == 0 {
		return InviteLink{}, errNoAddress()
	}
	return InviteLink{Link: l.String()}, nil
}

func errNoAddress() error {
	return &Error{Code: "no-address", Exit: ExitFailed, Message: "this node listens nowhere that a newcomer could reach", Hint: "start it with --listen, or a hidden node with --onion"}
}

// RevokeInvite ends an invite.
func (c *Community) RevokeInvite(ctx context.Context, invite protocol.ID) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	inv := s.View.Roll().Invite(invite)
	if inv == nil {
		return RecordRef{}, &Error{Code: "not-found", Exit: ExitNotFound, Message: "there is no such invite", Hint: "metastate invite list"}
	}
	if inv.By != m.Persona && m.Rank() < roll.RankOfficer {
		return RecordRef{}, refuse("an invite is revoked by whoever made it, or by an officer", "")
	}
	if inv.Revoked {
		return RecordRef{}, refuse("the invite is revoked already", "metastate invite list")
	}
	r, err := c.act(protocol.InviteRevoke, roll.InviteRevokeBody{Invite: invite})
	return c.done(ctx, r, err)
}

// Admit approves one who waits for admission, by name.
func (c *Community) Admit(ctx context.Context, persona protocol.ID) (RecordRef, error) {
	s, m, err := c.me()
	if err != nil {
		return RecordRef{}, err
	}
	if !roll.MayAdmit(m, s.Final.Roll(), s.Final.Charter(), s.Final.AsOf()) {
		return RecordRef{}, refuse("the charter does not let you admit: "+whoAdmits(s.Final.Charter()), "metastate charter show")
	}
	if p := s.View.Roll().Member(persona); p == nil || p.Standing() != roll.Pending {
		return RecordRef{}, refuse("the persona is not waiting for admission", "metastate roll list --provisional")
	}
	r, err := c.act(protocol.Admit, roll.AdmitBody{Persona: persona})
	return c.done(ctx, r, err)
}

// stays refuses for somebody who has nothing left to leave.
func (c *Community) stays() error {
	s, _, err := c.me()
	if err != nil {
		return err
	}
	switch s.View.Roll().Member(c.Persona()).Standing() {
	case roll.Left:
		return refuse("you have left it already, and where a share goes is said on leaving", "metastate status")
	case roll.Expelled:
		return refuse("you were expelled: there is nothing left to leave", "metastate why "+c.Persona().String())
	}
	return nil
}

// Leave ends this persona's membership. It needs nobody's consent.
func (c *Community) Leave(ctx context.Context) (RecordRef, error) {
	if err := c.stays(); err != nil {
		return RecordRef{}, err
	}
	r, err := c.act(protocol.Leave, roll.LeaveBody{})
	return c.done(ctx, r, err)
}

// Propose puts a question to the vote.
func (c *Community) Propose(ctx context.Context, req ProposeRequest) (ProposalRef, error) {
	s, m, err := c.me()
	if err != nil {
		return ProposalRef{}, err
	}
	body := decision.ProposeBody{
		Title: req.Title, Text: req.Text, Method: req.Method, Options: req.Options, Class: req.Class,
		Seats: req.Seats, Voting: int64(req.ClosesIn / time.Second), Tie: req.Tie, Rehearsal: req.Rehearsal,
		Params: req.Params,
	}
	if req.Confirms != "" {
		if body, err = c.again(s, body, req.Confirms); err != nil {
			return ProposalRef{}, err
		}
	} else if err := c.effect(s, &body, req.Act); err != nil {
		return ProposalRef{}, err
	}
	if body.Method == "" {
		body.Method = "yes-no"
	}
	if body.Class == "" {
		body.Class = "ordinary"
	}
	if err := c.makeSecret(s, &body, req); err != nil {
		return ProposalRef{}, err
	}
	if err := c.checkProposal(s, m, body); err != nil {
		return ProposalRef{}, err
	}
	r, err := c.act(protocol.Propose, body)
	if err != nil {
		return ProposalRef{}, err
	}
	return ProposalRef{Proposal: r.ID(), Sent: c.hand(ctx, r)}, nil
}

// again is a decision that objections set aside, as it is proposed once more.
func (c *Community) again(s *Snapshot, body decision.ProposeBody, ref string) (decision.ProposeBody, error) {
	id, err := s.proposal(ref)
	if err != nil {
		return body, err
	}
	p := s.Final.Decisions().Poll(id)
	if p == nil || !p.SetAside() {
		return body, refuse("only a decision that objections set aside is taken again", "metastate propose show "+id.String())
	}
	was, err := c.proposed(p)
	if err != nil {
		return body, err
	}
	was.Title, was.Text, was.Voting, was.Confirms = body.Title, cmp.Or(body.Text, was.Text), body.Voting, id
	return was, nil
}

// checkProposal refuses what the rules would void.
func (c *Community) checkProposal(s *Snapshot, m *roll.Member, body decision.ProposeBody) error {
	if err := body.Validate(); err != nil {
		return &Error{Code: "usage", Exit: ExitUsage, Message: err.Error(), Err: err}
	}
	class, ok := s.Final.Charter().Class(body.Class)
	switch {
	case !ok:
		return &Error{Code: "usage", Exit: ExitUsage, Message: fmt.Sprintf("the charter has no class of decision %q", body.Class), Hint: "metastate charter show"}
	case m.Rank() < roll.RankMember:
		return refuse("only members in full standing propose", "metastate status")
	case body.Voting < class.Voting && !body.Rehearsal:
		return refuse(fmt.Sprintf("for the class %s the charter asks for at least %s of voting", body.Class, InDays(time.Duration(class.Voting)*time.Second)), "give --closes-in at least that")
	}
	return nil
}

// Sync exchanges with every connected peer what either lacks.
func (c *Community) Sync(ctx context.Context) (SyncReport, error) {
	m := c.presence()
	if m == nil {
		return SyncReport{}, errNotYet()
	}
	res, err := m.SyncNow(ctx)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return SyncReport{}, &Error{Code: "timeout", Exit: ExitTimeout, Message: "the exchange took too long", Err: err}
		}
		return SyncReport{}, err
	}
	return SyncReport{Peers: res.Peers, Received: res.Received, Sent: res.Sent}, nil
}
