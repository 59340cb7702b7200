package node

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// rested is what a node keeps of a community at rest: enough to be met by its
// peers, to tell those that hold the same so, and to say how it stands. It is not
// changed once made. Between runs it is in a file, under the store's key, which
// counts for nothing once the store is another.
type rested struct {
	Stamp  [32]byte              `json:"stamp"`  // of the closed store; in the file only
	Survey []byte                `json:"survey"` // as p2p.Survey has it
	Epochs []byte                `json:"epochs"` // as encodeEpochs has them
	Own    []byte                `json:"own"`    // this device's binding
	Peer   string                `json:"peer"`   // that it names
	Where  []string              `json:"where"`  // addresses as last announced
	When   time.Time             `json:"when"`   // they were
	Known  map[string]int64      `json:"known"`  // peers in good standing, and when their bindings expire, unix seconds
	Doors  map[string]int64      `json:"doors"`  // lobbies of such, likewise
	Shun   map[string]bool       `json:"shun"`   // peers whose gossip is not heard
	Relays bool                  `json:"relays"` // it has itself reached through some
	Shown  map[string]bool       `json:"shown"`  // SHA-256 of bindings in force, in hexadecimal
	Proven []string              `json:"proven"` // devices, in hexadecimal, whose peers proved to be the ones they name
	Book   []p2p.Peer            `json:"book"`
	Ports  [2][]byte             `json:"ports"` // where member and lobby listened
	Status Status                `json:"status"`
	Awaits awaited               `json:"awaits"`
	People map[string]PeerMember `json:"people"` // whose computers peers are
	Signs  bool                  `json:"signs"`  // this device makes checkpoints
	Due    time.Time             `json:"due"`    // when something has to be done; zero: nothing by itself

	keys *keyring
}

// summary makes what is kept of a community that rests; nil if it can't. Nobody
// else uses it meanwhile.
func (c *Community) summary() *rested {
	c.mu.Lock()
	l, r, m, keeper := c.ledger, c.replica, c.member, c.keeper
	c.mu.Unlock()
	survey, err := p2p.Survey(r)
	if err != nil {
		c.log.Error("a community can't be put to rest", "cause", err)
		return nil
	}
	s := &rested{
		Survey: survey, Epochs: encodeEpochs(r.keys.all()), Own: r.Binding(), Peer: r.ownPeer, Where: keeper.where, When: keeper.when,
		Known: map[string]int64{}, Doors: map[string]int64{}, Shun: map[string]bool{}, Shown: map[string]bool{}, Book: r.book(),
		Relays: keeper.via != "" && keeper.via != noRelays, Status: c.statusOf(l), Awaits: r.awaits(), People: r.people(), Signs: l.isSigner(), Due: l.dueAt(),
	}
	if s.When.IsZero() { // it can't announce itself: not now
		s.Where, s.When = c.whereabouts(m.Addrs()), time.Now()
	}
	r.mu.Lock()
	for device, b := range r.bindings {
		if !r.inForce(b) {
			continue
		}
		s.Shown[fingerprint(b.signed)] = true
		s.Known[string(b.PeerID)] = max(s.Known[string(b.PeerID)], b.Expires)
		if b.Lobby != nil {
			s.Doors[string(b.Lobby.PeerID)] = max(s.Doors[string(b.Lobby.PeerID)], b.Expires)
		}
		if b.proven {
			s.Proven = append(s.Proven, hex.EncodeToString(device[:]))
		}
	}
	r.mu.Unlock()
	for peer := range s.Known {
		if r.Shunned(peer) {
			s.Shun[peer] = true
		}
	}
	s.Ports[0], _ = l.store.Private(privMemberListen) // none yet: any will do
	s.Ports[1], _ = l.store.Private(privLobbyListen)
	s.ready()
	return s
}

// ready makes what follows from the rest.
func (s *rested) ready() { s.keys = parseEpochs(s.Epochs) }

// check judges a frame's form and MAC under the epochs in force.
func (s *rested) check(kind p2p.Kind, frame []byte) p2p.Verdict {
	for _, e := range s.keys.inForce(time.Now()) {
		switch err := e.Check(protocol.Content(kind), frame); {
		case err == nil:
			return p2p.Accept
		case !errors.Is(err, protocol.ErrOtherEpoch):
			return p2p.Reject
		}
	}
	return p2p.Ignore
}

func fingerprint(binding []byte) string {
	sum := sha256.Sum256(binding)
	return hex.EncodeToString(sum[:])
}

// knows reports whether a peer was in good standing and its binding has not
// expired.
func (s *rested) knows(peer string) bool { return stillFor(s.Known, peer) }

// stillFor reports whether what a peer has expires later than now.
func stillFor(expiry map[string]int64, peer string) bool { return time.Now().Unix() < expiry[peer] }

// wakeAt is when the community has to be woken: for a checkpoint that is due, or
// to announce itself as it does daily.
func (s *rested) wakeAt() time.Time {
	at := s.When.Add(bindEvery)
	if !s.Due.IsZero() && s.Due.Before(at) {
		at = s.Due
	}
	if held := s.keys.all(); len(held) > 1 { // its gossip is not heard any more
		if end := held[1].replaced.Add(epochOverlap); end.After(time.Now()) && end.Before(at) {
			at = end
		}
	}
	return at
}

// proven takes up again which devices' peers had proved to be theirs.
func (r *replica) proven(devices []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range devices {
		var device identity.PublicKey
		if b, err := hex.DecodeString(text); err == nil && copy(device[:], b) == len(device) {
			if p, ok := r.bindings[device]; ok {
				p.proven = true
				r.bindings[device] = p
			}
		}
	}
}

// restKey is what the summary of a community is sealed under.
func (c *Community) restKey() ([]byte, error) {
	secret := [32]byte(c.daily.StoreKey)
	return hkdf.Key(sha256.New, secret[:], nil, "metastate/node/rest/1", chacha20poly1305.KeySize)
}

// restPath is where a store's community is kept while it rests.
func restPath(storeDir string) string { return storeDir + ".rest" }

// saveRest keeps what is known of a community at rest for the next run. A torn
// file is none.
func (c *Community) saveRest(s *rested) error {
	stamp, err := store.Stamp(c.net.dir)
	if err != nil {
		return err
	}
	kept := *s
	kept.Stamp = stamp
	b, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("node: keeping a community at rest: %w", err)
	}
	defer clear(b)
	key, err := c.restKey()
	if err != nil {
		return err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return err
	}
	nonce := make([]byte, aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	if err := os.WriteFile(restPath(c.net.dir), aead.Seal(nonce, nonce, b, nil), 0o600); err != nil {
		return fmt.Errorf("node: keeping a community at rest: %w", err)
	}
	return nil
}

// maxRest bounds the file of a community at rest: its peers' addresses take most.
const maxRest = 64 << 20

var errNoRest = errors.New("node: nothing is kept of it")

// loadRest is what saveRest kept, if the store is still as it was.
func (c *Community) loadRest() (*rested, error) {
	info, err := os.Stat(restPath(c.net.dir))
	if err != nil || info.Size() > maxRest {
		return nil, errNoRest
	}
	sealed, err := os.ReadFile(restPath(c.net.dir))
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	key, err := c.restKey()
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, errNoRest
	}
	b, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
	if err != nil {
		return nil, errNoRest
	}
	defer clear(b)
	s := &rested{}
	if err := json.Unmarshal(b, s); err != nil || len(s.Epochs) < 32 || (len(s.Epochs)-32)%40 != 0 {
		return nil, errNoRest
	}
	if stamp, err := store.Stamp(c.net.dir); err != nil || stamp != s.Stamp {
		return nil, errNoRest
	}
	s.ready()
	return s, nil
}
