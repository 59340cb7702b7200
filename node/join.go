package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
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
