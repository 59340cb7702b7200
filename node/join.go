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
		Taken    bool     `cbor:"taken,omitempty"`   // an admission of the newcomer is written
		Genesis  []byte   `cbor:"genesis,omitempty"` // inner form, once a member
		Epochs   [][]byte `cbor:"epochs,omitempty"`  // secrets of the epochs in force, newest first, once a member
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
	Link    string   `cbor:"link"`
	More    []string `cbor:"more,omitempty"` // links given before, newest first: their lobbies are asked, too
	Request []byte   `cbor:"request"`
	Step    string   `cbor:"step"`
	Trouble string   `cbor:"trouble,omitempty"` // the last reason for not getting on
	Remedy  string   `cbor:"remedy,omitempty"`  // what to do about it
	Taken   bool     `cbor:"taken,omitempty"`   // a member said that it wrote the admission
	Dead    bool     `cbor:"dead,omitempty"`    // a member said that the invite is used up, revoked or expired
	Plea    string   `cbor:"plea,omitempty"`    // to guardians, of who takes up a persona again
	Greeter string   `cbor:"greeter,omitempty"` // the lobby that welcomed
	Since   int64    `cbor:"since,omitempty"`   // when it did, unix seconds
	Next    []byte   `cbor:"next,omitempty"`    // a joining that takes the place of this one once the vault has its persona
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

// noteJoin makes progress durable, unless joining is over. change is called with
// c.mu held.
func (c *Community) noteJoin(change func(*joining)) error {
	c.mu.Lock()
	if c.joining == nil {
		c.mu.Unlock()
		return nil
	}
	j := *c.joining
	change(&j)
	err := c.store.PutPrivate(privJoin, j.encode()) // under mu, so that what is stored is the latest
	if err == nil {
		c.joining = &j
	}
	c.mu.Unlock()
	if err != nil {
		return storeError(err)
	}
	c.changed()
	return nil
}

// resumeJoin goes on joining in the background, as often as it takes.
func (c *Community) resumeJoin() error {
	j, err := joiningAt(c.store, privJoin)
	if err != nil {
		return fmt.Errorf("node: neither a member nor joining: %w", err)
	}
	j = j.of(c.Persona())
	c.mu.Lock()
	c.joining = &j
	c.mu.Unlock()
	c.asks(&j)
	if c.net.cfg.Profile == ProfileRelay && c.daily.Presence == "" { // perhaps it is the way to whom it asks
		if err := c.openLobby(); err != nil {
			return err
		}
	}
	if j.Dead {
		c.hasTried()
		return nil
	}
	c.wg.Go(c.keepTrying)
	return nil
}

// keepTrying asks to be let in until it is, or the invite is dead. Another link
// ends a try, or the wait for the next, and its lobbies are asked alone at first:
// one of those before may be slow to say nothing.
func (c *Community) keepTrying() {
	fresh := true
	for wait := joinRetry; ; wait = min(2*wait, joinRetryMax) {
		ctx, cancel := context.WithCancel(c.ctx)
		c.mu.Lock()
		c.hurry = cancel
		c.mu.Unlock()
		err := c.tryJoin(ctx, fresh)
		if err != nil {
			c.log.Info("joining goes on", "cause", err)
		}
		if ctx.Err() == nil {
			c.hasTried()
		}
		if _, dead := c.deadInvite(); dead || c.book() != nil { // or admitted
			cancel()
			return
		}
		select {
		case <-ctx.Done():
			wait, fresh = joinRetry/2, true
		case <-time.After(wait):
			fresh = false
		}
		cancel()
		if c.ctx.Err() != nil {
			return
		}
	}
}

func joiningAt(st *store.Store, key string) (j joining, err error) {
	b, err := st.Private(key)
	if err != nil {
		return j, storeError(err)
	}
	if err := dagcbor.Unmarshal(b, &j); err != nil {
		return j, fmt.Errorf("node: reading how far joining got: %w", err)
	}
	return j, nil
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

// hasTried notes that a member was asked by the latest link.
func (c *Community) hasTried() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.tried:
	default:
		close(c.tried)
	}
}

// awaitFirstTry waits until a member was asked by the latest link, or ctx ends.
// Who is a member has nobody to ask.
func (c *Community) awaitFirstTry(ctx context.Context) {
	if c.book() != nil {
		return
	}
	c.mu.Lock()
	tried := c.tried
	c.mu.Unlock()
	select {
	case <-tried:
	case <-c.ctx.Done():
	case <-ctx.Done():
	}
}

// tryJoin knocks once at the lobbies of the latest link and, unless that is fresh,
// of those before.
func (c *Community) tryJoin(ctx context.Context, fresh bool) error {
	c.mu.Lock()
	j := *c.joining
	c.mu.Unlock()
	l, err := parseLink(j.Link)
	if err != nil {
		return err
	}
	lobbies := j.lobbies()
	if fresh {
		lobbies = l.peers()
	}
	var best *joinAnswer
	greeter := ""
	err = p2p.Knock(ctx, c.presenceConfig(c.daily.Member, nil, memberPort), lobbies, j.Request, func(lobby string, raw []byte) bool {
		a, err := readAnswer(l, raw)
		if err != nil {
			c.log.Debug("an answer to the request to join", "cause", err)
			return false
		}
		if best == nil || a.worth() > best.worth() {
			best, greeter = &a, lobby
		}
		return a.Standing == roll.Full.String()
	})
	trouble := func(words, remedy string) error {
		return errors.Join(err, c.noteJoin(func(j *joining) { j.Trouble, j.Remedy = words, remedy }))
	}
	switch {
	case best != nil && best.Standing == roll.Full.String():
		return c.admitted(l, *best, greeter)
	case ctx.Err() != nil: // what it heard is not all
		return ctx.Err()
	case errors.Is(err, p2p.ErrRefused):
		return trouble("a member was reached and refused the request", anotherInvite)
	case err != nil:
		return trouble(c.unreached(ctx))
	case best == nil:
		return trouble("who was reached gave no answer that fits the invite; trying again", anotherInvite)
	}
	return c.noteJoin(func(j *joining) {
		j.Step, j.Trouble, j.Dead, j.Greeter = stepReached, best.Reason, best.Refused, greeter
		j.Taken = !best.Refused && (j.Taken || best.taken())
		switch {
		case j.Plea != "":
			j.Remedy = "ask your guardians; what they do is taken up here by itself"
		case j.Taken:
			j.Remedy = "ask a member; what they do is taken up here by itself"
		default:
			j.Remedy = anotherInvite
		}
	})
}

// anotherInvite is what helps who was answered, and not let in.
const anotherInvite = "if it stays so, ask for a new invite; joining goes on with it: metastate join LINK"

// unreached says why no lobby was reached, as far as this node can tell, and what
// to do about it.
func (c *Community) unreached(ctx context.Context) (trouble, remedy string) {
	if c.net.cfg.Profile == ProfileHidden {
		ctx, cancel := context.WithTimeout(ctx, torPatience)
		defer cancel()
		if e := c.net.cfg.Hidden.reach(ctx); e != nil {
			return e.Message, e.Hint
		}
	}
	return "no member could be reached at the addresses of the invite; trying again",
		"see that this computer is on the internet and who invited you is online, or ask another member for an invite; joining goes on with it: metastate join LINK"
}

// readAnswer reads a member's answer. One that welcomes must be about the
// metastate of the invite; the rest of it comes by sync, and is checked from the
// genesis on.
func readAnswer(l link, raw []byte) (a joinAnswer, err error) {
	if err := dagcbor.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("node: a member's answer: %w", err)
	}
	if a.Standing != roll.Full.String() {
		return a, nil
	}
	genesis, err := protocol.Parse(a.Genesis)
	if err != nil {
		return a, fmt.Errorf("node: a member's answer: %w", err)
	}
	if _, err := parseJoinEpochs(a.Epochs, time.Now()); err != nil {
		return a, err
	}
	if genesis.ID() != l.Metastate {
		return a, errors.New("node: the answer is not about the metastate of the invite")
	}
	return a, nil
}

// worth orders the answers of several members. A refusal counts least: only if
// all who can be reached say that the invite is dead is it taken for dead.
func (a joinAnswer) worth() int {
	switch {
	case a.Standing == roll.Full.String():
		return 3
	case a.taken():
		return 2
	case !a.Refused:
		return 1
	}
	return 0
}

// taken reports whether the newcomer's admission is written, so that another
// application would be of a second self.
func (a joinAnswer) taken() bool { return a.Taken || a.Standing != "" }

// admitted stores the answer of a member who welcomes, and begins life as a
// member.
func (c *Community) admitted(l link, a joinAnswer, greeter string) error {
	var j joining
	if err := c.noteJoin(func(now *joining) {
		now.Step, now.Greeter, now.Since = stepVerified, greeter, time.Now().Unix()
		j = *now
	}); err != nil {
		return err
	}
	epochs, err := parseJoinEpochs(a.Epochs, time.Now())
	if err != nil {
		return err
	}
	private := map[string][]byte{privEpoch: epochs, privJoin: nil, privDoor: j.encode()}
	if l.Height > 0 {
		private[privKnown] = knownCheckpoint(protocol.Ref{Height: l.Height, ID: l.ID})
	}
	for _, b := range a.Bindings[:min(len(a.Bindings), maxJoinPeers)] {
		if bind, err := identity.ParseBinding(b); err == nil {
			private[bindingKey(bind.Device)] = b
		}
	}
	batch := store.Batch{Items: []store.Item{{ID: l.Metastate, Inner: a.Genesis}}, Private: private}
	if err := c.store.Commit(batch); err != nil {
		return storeError(err)
	}
	keys, err := openKeyring(c.store)
	if err != nil {
		return err
	}
	return c.activate(keys)
}
