package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// RequestRecovery prepares to take up a persona whose keys are lost: it makes
// the key that guardians are to give it, and a request to hand them. The node
// then asks at the link's addresses until they have. The link's invite is not
// used up. Asked again, it gives the same request, and goes on with the new
// link.
func (n *Node) RequestRecovery(_ context.Context, req RecoveryAsk) (out RecoveryRequest, err error) {
	n.joinMu.Lock()
	defer n.joinMu.Unlock()
	l, err := parseLink(req.Link)
	if err != nil {
		return out, err
	}
	persona, err := protocol.ParseID(req.Persona)
	if err != nil {
		return out, &Error{Code: "usage", Exit: ExitUsage, Err: err, Message: "the persona is named by its whole id here", Hint: "any member can tell it: metastate roll list"}
	}
	out = RecoveryRequest{Metastate: l.Metastate, Persona: persona}
	if old := n.lookup(l.Metastate); old != nil {
		out.Request, err = old.asksAgain(l, persona)
		return out, err
	}
	now := time.Now()
	_, err = n.enter(entry{metastate: l.Metastate, name: "recovering " + l.Metastate.String()[:16], passphrase: req.Passphrase},
		func(e *identity.Entropy, d *vault.Daily) (store.Batch, error) {
			// Another key than any that these words gave before.
			d.Index = uint32(now.Unix() / (24 * 3600))
			d.Persona = identity.Digest(persona)
			j, err := newClaim(l, e, *d, now)
			if err != nil {
				return store.Batch{}, err
			}
			out.Request = j.Plea
			return store.Batch{Private: map[string][]byte{privJoin: j.encode()}}, nil
		})
	return out, err
}

// newClaim makes the key that guardians are to give, their request, and the
// grant by which that key will let this device sign.
func newClaim(l link, e *identity.Entropy, d vault.Daily, now time.Time) (*joining, error) {
	p := e.Persona(l.Metastate, d.Index)
	defer p.Erase()
	key, device := p.SigningKey(0), deviceKey(d)
	defer key.Erase()
	persona := protocol.ID(d.Persona)
	grant, err := protocol.Sign(protocol.Header{
		Metastate: l.Metastate, Kind: protocol.Grant, Persona: persona, Key: key.Public(),
		Cosigners: []identity.PublicKey{device.Public()}, Time: now.Unix(),
	}, identity.Grant{Device: device.Public(), Expires: now.Add(identity.DefaultGrantLife * time.Second).Unix()}, nil, key, device)
	if err != nil {
		return nil, err
	}
	j, err := newJoining(l, birth{grant: grant}, device, persona, [32]byte(d.Member), now)
	if err == nil {
		j.Plea = newPlea(l.Metastate, persona, key, p.Commitment(1)).String()
	}
	return j, err
}

// asksAgain gives the request of a recovery under way, and goes on with another
// link.
func (c *Community) asksAgain(l link, persona protocol.ID) (string, error) {
	c.mu.Lock()
	j := c.joining
	c.mu.Unlock()
	if j == nil || j.Plea == "" || c.Persona() != persona {
		return "", &Error{
			Code: "already-entered", Exit: ExitRefused, Message: "this node takes part in that metastate as somebody else, or already",
			Hint: "recover with a folder of its own: metastate --data FOLDER init",
		}
	}
	return j.Plea, c.goOnWith(l)
}

// serveClaim answers who knocks with the grant of a persona to which guardians
// gave another key.
func (c *Community) serveClaim(ctx context.Context, peerID string, req joinRequest) ([]byte, error) {
	grant, err := parseClaim(req, peerID)
	if err != nil {
		return nil, err
	}
	l := c.book()
	if l == nil {
		return nil, errors.New("not a member yet")
	}
	if no := c.takeClaim(l, grant); no != "" {
		return dagcbor.Marshal(joinAnswer{Reason: no})
	}
	ctx, cancel := context.WithTimeout(ctx, admitWait)
	defer cancel()
	for {
		changed := c.Changed()
		s := l.currentTip().State()
		if d := s.Roll().Device(grant.Header().Cosigners[0]); d.Live(s.AsOf()) && d.Persona == grant.Header().Persona {
			if standing := l.finalStanding(d.Persona); standing != roll.Full {
				return dagcbor.Marshal(joinAnswer{Standing: standing.String(), Reason: "the persona is " + standing.String()})
			}
			return c.welcome(req.Binding)
		}
		select {
		case <-ctx.Done():
			return dagcbor.Marshal(joinAnswer{Reason: "the guardians gave the persona this key, and the device waits for the clerks to make it final"})
		case <-changed:
		}
	}
}

// parseClaim returns the grant of a request without an inception, which is of
// the device that the binding names, as whoever knocks.
func parseClaim(req joinRequest, peerID string) (*protocol.Record, error) {
	grant, err := protocol.Parse(req.Grant)
	if err != nil {
		return nil, err
	}
	b, err := identity.ParseBinding(req.Binding)
	if err != nil {
		return nil, err
	}
	h := grant.Header()
	if string(b.PeerID) != peerID || grant.Kind() != protocol.Grant || len(h.Cosigners) != 1 || h.Seq != 0 ||
		protocol.ID(b.Persona) != h.Persona || b.Device != h.Cosigners[0] {
		return nil, errors.New("the request is not of the shape the protocol asks for")
	}
	return grant, nil
}

// takeClaim takes in a grant once it would stand, and says why not before.
func (c *Community) takeClaim(l *ledger, grant *protocol.Record) (no string) {
	s, h := l.Snapshot(), grant.Header()
	m := s.Final.Roll().Member(h.Persona)
	switch {
	case m == nil:
		return "this member does not know the persona (yet)"
	case s.Final.Roll().Device(h.Cosigners[0]) != nil || s.Open[grant.ID()] != nil:
		return ""
	case m.Keys.Key != h.Key || !m.Keys.Given:
		return s.notGiven(m, h.Key)
	}
	l.mu.Lock()
	v := l.foretell(grant) // a void grant would be spent
	l.mu.Unlock()
	if !v.Stands {
		return "the persona is " + m.Standing().String() + ": " + v.Text
	}
	d, err := l.deliver([][]byte{grant.Inner()})
	if err != nil || len(d.refused) > 0 {
		c.log.Warn("a recovered persona's device was not taken in", "cause", errors.Join(err, firstRefusal(d)))
		return "the device could not be taken in; trying again"
	}
	c.publish(p2p.Records, grant.Inner())
	return ""
}

// notGiven says how far the guardians of a persona are with giving it a key.
func (s *Snapshot) notGiven(m *roll.Member, key identity.PublicKey) string {
	const no = "the guardians have not given the persona this key yet"
	vetoed := slices.ContainsFunc(m.Because, func(c protocol.Cause) bool { return c.Rule == roll.RuleVeto })
	switch r := m.Keys.Recovery; {
	case r == nil && vetoed:
		return no + ": whoever has the persona's own keys vetoed what they wanted (metastate rotate). If that is not you, tell your guardians and the members; the guardians can say it again"
	case r == nil || m.Keys.Guard == nil:
		return no
	case r.Run != nil && r.Run.Heir.Key == key:
		return no + ": enough of them want it, and it takes over " + s.recovery(m).Due.Format(time.RFC3339) + " at the soonest, unless the persona's own keys veto it"
	}
	n := 0
	for _, w := range m.Keys.Recovery.Supports {
		if w.Heir.Key == key {
			n++
		}
	}
	if n == 0 {
		return no // a stranger, for all that is known
	}
	return fmt.Sprintf("%s: %d of them want it, and %d are needed", no, n, m.Keys.Guard.Threshold)
}

func firstRefusal(d delivery) error {
	if len(d.refused) == 0 {
		return nil
	}
	return d.refused[0].err
}
