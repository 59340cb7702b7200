package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// serveJoin answers a stranger who knocks at the lobby.
func (c *Community) serveJoin(ctx context.Context, peerID string, raw []byte) ([]byte, error) {
	release, err := c.Hold()
	if err != nil {
		return nil, err
	}
	defer release()
	var req joinRequest
	if err := dagcbor.Unmarshal(raw, &req); err != nil {
		return nil, err
	}
	if no := c.tooEarly(req); no != nil {
		return dagcbor.Marshal(*no)
	}
	if len(req.Inception) == 0 {
		return c.serveClaim(ctx, peerID, req)
	}
	recs, err := parseRequest(req, peerID)
	if err != nil {
		return nil, err
	}
	l := c.book()
	if l == nil {
		return nil, errors.New("not a member yet")
	}
	persona := recs[0].ID()
	if l.finalStanding(persona) == 0 {
		if no := c.admit(l, recs); no != nil {
			return dagcbor.Marshal(*no)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, admitWait)
	defer cancel()
	for {
		changed := c.Changed()
		switch s := l.finalStanding(persona); {
		case s == roll.Full:
			return c.welcome(req.Binding)
		case s != 0 && s != roll.Pending:
			return dagcbor.Marshal(joinAnswer{Taken: true, Reason: "the persona is " + s.String()})
		case s == roll.Pending:
			return dagcbor.Marshal(joinAnswer{Standing: s.String(), Reason: l.waits(persona)})
		}
		select {
		case <-ctx.Done():
			return dagcbor.Marshal(joinAnswer{Taken: true, Reason: "the request is taken and waits for the clerks to make it final"})
		case <-changed:
		}
	}
}

// tooEarly tells a newcomer that its clock is ahead: nobody takes its binding
// until that time has come.
func (c *Community) tooEarly(req joinRequest) (no *joinAnswer) {
	l := c.book()
	b, err := identity.ParseBinding(req.Binding)
	if l == nil || err != nil || !l.ahead(b) {
		return nil
	}
	return &joinAnswer{Reason: "this computer's clock is ahead of that of the member who was asked by " +
		InDays(time.Until(time.Unix(b.Issued, 0)).Round(time.Minute)) + "; once it is that late there, the request is taken"}
}

// parseRequest returns the inception and the grant of a request that hang
// together: the grant is of that persona and that device, and whoever knocks is
// the peer that the device names. Others may hold a copy of the request.
func parseRequest(req joinRequest, peerID string) ([]*protocol.Record, error) {
	recs, errs := protocol.ParseBatch(nil, [][]byte{req.Inception, req.Grant})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	b, err := identity.ParseBinding(req.Binding)
	if err != nil {
		return nil, err
	}
	in, grant := recs[0], recs[1]
	switch h := grant.Header(); {
	case string(b.PeerID) != peerID:
		return nil, errors.New("the request is another peer's")
	case in.Kind() != protocol.Inception || len(in.Header().Cosigners) > 1,
		grant.Kind() != protocol.Grant || len(h.Cosigners) != 1 || h.Persona != in.ID() || h.Key != in.Header().Key,
		protocol.ID(b.Persona) != in.ID() || b.Device != h.Cosigners[0]:
		return nil, errors.New("the request is not of the shape the protocol asks for")
	}
	return recs, nil
}

// waits tells a newcomer what a final admission that is not complete waits for.
func (l *ledger) waits(persona protocol.ID) string {
	s := l.currentTip().State()
	m := s.Roll().Member(persona)
	by := "you wait to be admitted by name: " + whoAdmits(s.Charter())
	if slices.ContainsFunc(m.Because, func(c protocol.Cause) bool { return c.Rule == roll.RuleUses }) {
		return "others came in by this invite before your admission was final, and it has no use left; you are on the roll and " +
			by + ". Ask for it: metastate roll admit " + persona.String()
	}
	return by
}

func (l *ledger) finalStanding(persona protocol.ID) roll.Standing {
	if m := l.currentTip().State().Roll().Member(persona); m != nil {
		return m.Standing()
	}
	return 0
}

// admit serves a newcomer: one admission, in this member's name. It returns
// why not, in words, if it can't be.
func (c *Community) admit(l *ledger, recs []*protocol.Record) (no *joinAnswer) {
	s := l.Snapshot()
	persona := recs[0].ID()
	if s.View.Roll().Member(persona) != nil {
		return nil // on its way
	}
	invite, no := door(s, recs[0].Header().Cosigners)
	if no != nil {
		return no
	}
	body := roll.AdmitBody{Persona: persona, Invite: invite}
	r, err := l.write(c.Persona(), c.key.Public(), protocol.Admit, protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		// Half of what this device may write is not for strangers to spend.
		state := l.tip.State()
		if end, ok := state.Roll().Chain(h.Persona, h.Key); !ok || h.Seq >= end.Next+protocol.MaxAhead/2 || !end.Room(h.Seq, state.AsOf(), protocol.DailyRecords/2) {
			return nil, refuse("this member has admitted as many as it can for now", "")
		}
		r, err := protocol.Sign(h, body, recs, c.key)
		if err != nil {
			return nil, err
		}
		// A void admission would still count against this member's quota, and
		// strangers could spend it all.
		if v := l.foretell(r); !v.Stands {
			return nil, refuse(v.Text, "")
		}
		return r, nil
	})
	if err != nil {
		return &joinAnswer{Reason: AsError(err).Message}
	}
	c.publish(p2p.Records, r.Inner())
	return nil
}

// door is the invite whose key signed a newcomer's inception, or zero where the
// charter asks for none; or why there is none, in words.
func door(s *Snapshot, cosigners []identity.PublicKey) (invite protocol.ID, no *joinAnswer) {
	if len(cosigners) == 0 {
		if s.Final.Charter().Admission.Policy != charter.PolicyOpen {
			return invite, &joinAnswer{Reason: "the charter admits nobody without an invite", Refused: true}
		}
		return invite, nil
	}
	for id, inv := range s.View.Roll().Invites() {
		if inv.Key != cosigners[0] {
			continue
		}
		switch {
		case inv.Revoked:
			return id, &joinAnswer{Reason: "the invite was revoked", Refused: true}
		case inv.Expires <= time.Now().Unix():
			return id, &joinAnswer{Reason: "the invite has expired", Refused: true}
		case inv.Used >= inv.Uses:
			return id, &joinAnswer{Reason: "the invite has no uses left", Refused: true}
		}
		return id, nil
	}
	return invite, &joinAnswer{Reason: "this member does not know the invite (yet)"}
}

// welcome gives a new member what it needs to meet the others.
func (c *Community) welcome(binding []byte) ([]byte, error) {
	c.mu.Lock()
	r := c.replica
	c.mu.Unlock()
	if r == nil {
		return nil, errClosed()
	}
	if _, err := r.addBinding(binding); err != nil {
		return nil, err
	}
	c.publish(p2p.Bindings, binding)
	genesis, err := c.stored(c.id)
	if err != nil {
		return nil, storeError(err)
	}
	a := joinAnswer{Standing: roll.Full.String(), Genesis: genesis, Epochs: r.joinEpochs(), Bindings: [][]byte{r.Binding()}}
	r.mu.Lock()
	for _, p := range r.bindings {
		if len(a.Bindings) < maxJoinPeers && len(p.Addrs) > 0 && r.inForce(p) {
			a.Bindings = append(a.Bindings, p.signed)
		}
	}
	r.mu.Unlock()
	return dagcbor.Marshal(a)
}
