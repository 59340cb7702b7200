package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// What a newcomer and a serving member tell each other (SPEC §9.1).
type (
	joinRequest struct {
		Inception []byte `cbor:"inception,omitempty"` // none of a persona that guardians recovered
		Grant     []byte `cbor:"grant"`
		Binding   []byte `cbor:"binding"`
	}
	joinAnswer struct {
		Standing string   `cbor:"standing"`          // of the newcomer, final; empty if refused
		Reason   string   `cbor:"reason,omitempty"`  // why not, in words
		Refused  bool     `cbor:"refused,omitempty"` // the invite is dead: asking again is no use
		Genesis  []byte   `cbor:"genesis,omitempty"` // inner form, once a member
		Epoch    []byte   `cbor:"epoch,omitempty"`   // the epoch's secret, once a member
		Bindings [][]byte `cbor:"bindings,omitempty"`
	}
)

// Steps of joining, as people see them.
const (
	stepSaved    = "saved"
	stepReached  = "reached"
	stepVerified = "verified"
	stepMember   = "member"
)

// A joining is what must survive a restart until the newcomer is a member.
type joining struct {
	Link    string `cbor:"link"`
	Request []byte `cbor:"request"`
	Step    string `cbor:"step"`
	Trouble string `cbor:"trouble,omitempty"` // the last reason for not getting on
	Dead    bool   `cbor:"dead,omitempty"`    // a member said that the invite is used up, revoked or expired
	Plea    string `cbor:"plea,omitempty"`    // to guardians, of who takes up a persona again
}

const (
	admitWait    = 8 * time.Second // a serving member waits for finality
	joinRetry    = 2 * time.Second
	joinRetryMax = 2 * time.Minute
	maxJoinPeers = 64 // bindings in an answer
)

// newJoining prepares a newcomer's request.
func newJoining(l link, b birth, device identity.SigningKey, persona protocol.ID, memberSeed [32]byte, now time.Time) (*joining, error) {
	peerID, err := p2p.PeerID(memberSeed)
	if err != nil {
		return nil, err
	}
	binding, err := identity.SignBinding(identity.Binding{
		Metastate: identity.Digest(l.Metastate), Persona: identity.Digest(persona), Device: device.Public(),
		PeerID: []byte(peerID), Issued: now.Unix(), Expires: now.Add(bindingLife).Unix(),
	}, device)
	if err != nil {
		return nil, err
	}
	ask := joinRequest{Grant: b.grant.Inner(), Binding: binding}
	if b.inception != nil {
		ask.Inception = b.inception.Inner()
	}
	req, err := dagcbor.Marshal(ask)
	if err != nil {
		return nil, err
	}
	return &joining{Link: l.String(), Request: req, Step: stepSaved}, nil
}

func (j *joining) encode() []byte {
	return dagcbor.Encode(j)
}

// saveJoin makes progress durable.
func (c *Community) saveJoin(j joining) error {
	if err := c.store.PutPrivate(privJoin, j.encode()); err != nil {
		return storeError(err)
	}
	c.mu.Lock()
	c.joining = &j
	c.mu.Unlock()
	c.changed()
	return nil
}

// resumeJoin goes on joining in the background, as often as it takes.
func (c *Community) resumeJoin() error {
	b, err := c.store.Private(privJoin)
	if err != nil {
		return fmt.Errorf("node: neither a member nor joining: %w", storeError(err))
	}
	var j joining
	if err := dagcbor.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("node: reading how far joining got: %w", err)
	}
	c.mu.Lock()
	c.joining = &j
	c.mu.Unlock()
	if j.Dead {
		c.firstTry.Do(func() { close(c.tried) })
		return nil
	}
	c.wg.Go(func() {
		for wait := joinRetry; ; wait = min(2*wait, joinRetryMax) {
			err := c.tryJoin(c.ctx)
			c.firstTry.Do(func() { close(c.tried) })
			if err != nil {
				c.log.Info("joining goes on", "cause", err)
			}
			if _, dead := c.deadInvite(); dead || c.book() != nil { // or admitted
				return
			}
			select {
			case <-c.ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	})
	return nil
}

// deadInvite reports whether a member said that the invite this node joins by is
// used up, revoked or expired, and the words for it.
func (c *Community) deadInvite() (why string, dead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.joining == nil {
		return "", false
	}
	return c.joining.Trouble, c.joining.Dead
}

// replacedBy reports whether another invite takes the place of the one that this
// node joins by, because that is dead.
func (c *Community) replacedBy(l link) bool {
	_, dead := c.deadInvite()
	c.mu.Lock()
	defer c.mu.Unlock()
	return dead && c.joining.Link != l.String()
}

// awaitFirstTry waits until a member was asked once, or ctx ends. Who is a
// member has nobody to ask.
func (c *Community) awaitFirstTry(ctx context.Context) {
	if c.book() != nil {
		return
	}
	select {
	case <-c.tried:
	case <-c.ctx.Done():
	case <-ctx.Done():
	}
}

// tryJoin knocks once.
func (c *Community) tryJoin(ctx context.Context) error {
	c.mu.Lock()
	j := *c.joining
	c.mu.Unlock()
	l, err := parseLink(j.Link)
	if err != nil {
		return err
	}
	raw, _, err := p2p.Knock(ctx, c.presenceConfig(c.daily.Member, nil), l.peers(), j.Request)
	if err != nil {
		j.Trouble = "no member could be reached at the addresses of the invite; trying again"
		if errors.Is(err, p2p.ErrRefused) {
			j.Trouble = "a member was reached and refused the request"
		}
		return errors.Join(err, c.saveJoin(j))
	}
	var a joinAnswer
	if err := dagcbor.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("node: a member's answer: %w", err)
	}
	j.Trouble, j.Dead = a.Reason, a.Refused
	if a.Standing != roll.Full.String() {
		j.Step = stepReached
		return c.saveJoin(j)
	}
	return c.admitted(l, j, a)
}

// admitted checks a member's answer against the invite, stores it, and begins
// life as a member. The rest comes by sync, and is checked from the genesis on.
func (c *Community) admitted(l link, j joining, a joinAnswer) error {
	genesis, err := protocol.Parse(a.Genesis)
	if err != nil {
		return err
	}
	if genesis.ID() != l.Metastate || len(a.Epoch) != 32 {
		return errors.New("node: the answer is not about the metastate of the invite")
	}
	j.Step = stepVerified
	if err := c.saveJoin(j); err != nil {
		return err
	}
	private := map[string][]byte{privEpoch: a.Epoch, privJoin: nil}
	if l.Height > 0 {
		private[privKnown] = knownCheckpoint(protocol.Ref{Height: l.Height, ID: l.ID})
	}
	for _, b := range a.Bindings[:min(len(a.Bindings), maxJoinPeers)] {
		if bind, err := identity.ParseBinding(b); err == nil {
			private[bindingKey(bind.Device)] = b
		}
	}
	batch := store.Batch{Items: []store.Item{{ID: genesis.ID(), Inner: genesis.Inner()}}, Private: private}
	if err := c.store.Commit(batch); err != nil {
		return storeError(err)
	}
	return c.activate([32]byte(a.Epoch))
}

// serveJoin answers a stranger who knocks at the lobby.
func (c *Community) serveJoin(ctx context.Context, peerID string, raw []byte) ([]byte, error) {
	var req joinRequest
	if err := dagcbor.Unmarshal(raw, &req); err != nil {
		return nil, err
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
			return dagcbor.Marshal(joinAnswer{Reason: "the persona is " + s.String()})
		case s == roll.Pending:
			return dagcbor.Marshal(joinAnswer{Standing: s.String(), Reason: "the request waits for the approval of a registrar"})
		}
		select {
		case <-ctx.Done():
			return dagcbor.Marshal(joinAnswer{Reason: "the request is taken and waits for the clerks to make it final"})
		case <-changed:
		}
	}
}

// parseRequest returns the inception and the grant of a request that hang
// together: the grant is of that persona and that device, and whoever knocks is
// the peer that the device names. Others may hold a copy of the request.
func parseRequest(req joinRequest, peerID string) ([]*protocol.Record, error) {
	recs, errs := protocol.ParseBatch([][]byte{req.Inception, req.Grant})
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

// foretell is the verdict on a record if it were held. Caller holds mu.
func (l *ledger) foretell(r *protocol.Record) protocol.Verdict {
	recs := []*protocol.Record{r}
	for _, o := range l.open {
		recs = append(recs, o.Record)
	}
	_, verdicts := l.tip.State().Advance(state.Step{Records: recs, Provisional: true})
	for _, v := range verdicts {
		if v.Record == r.ID() {
			return v
		}
	}
	return protocol.Verdict{}
}

// welcome gives a new member what it needs to meet the others.
func (c *Community) welcome(binding []byte) ([]byte, error) {
	c.mu.Lock()
	r := c.replica
	c.mu.Unlock()
	if _, err := r.addBinding(binding); err != nil {
		return nil, err
	}
	c.publish(p2p.Bindings, binding)
	genesis, err := c.store.Get(c.id)
	if err != nil {
		return nil, storeError(err)
	}
	a := joinAnswer{Standing: roll.Full.String(), Genesis: genesis, Epoch: r.secret[:], Bindings: [][]byte{r.Binding()}}
	r.mu.Lock()
	for _, p := range r.bindings {
		if len(a.Bindings) < maxJoinPeers && len(p.Addrs) > 0 {
			a.Bindings = append(a.Bindings, p.signed)
		}
	}
	r.mu.Unlock()
	return dagcbor.Marshal(a)
}
