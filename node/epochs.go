package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// epochOverlap is how long after an epoch was replaced its gossip is still heard
// (SPEC §9.3): until then members may not have got the next one.
const epochOverlap = 24 * time.Hour

// maxKeptEpochs bounds the epochs that a node keeps: so many a handshake proves.
const maxKeptEpochs = 16

// A keyring holds a metastate's epochs and keeps them in the store. Where a new
// one comes from is not its business: whoever got it calls adopt.
type keyring struct {
	store *store.Store
	mu    sync.Mutex
	held  []heldEpoch // guarded by mu; newest first, at least one; not changed in place
}

// A heldEpoch is an epoch, when this node got the one that replaced it, and when
// somebody else last showed to hold it.
type heldEpoch struct {
	*protocol.Epoch
	secret   [32]byte
	replaced time.Time // zero: it is the newest
	proven   time.Time // by a handshake; zero: by none
}

// newKeyring holds the epochs that secrets are of, newest first. All but the
// first were replaced at now.
func newKeyring(st *store.Store, now time.Time, secrets ...[32]byte) *keyring {
	k := &keyring{store: st}
	for i, s := range secrets {
		e := heldEpoch{Epoch: protocol.NewEpoch(s, true), secret: s}
		if i > 0 {
			e.replaced = now
		}
		k.held = append(k.held, e)
	}
	return k
}

// openKeyring reads what a keyring keeps; store.ErrNotFound if there is none.
func openKeyring(st *store.Store) (*keyring, error) {
	b, err := st.Private(privEpoch)
	if errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil {
		return nil, storeError(err)
	}
	if len(b) < 32 || (len(b)-32)%40 != 0 {
		return nil, errors.New("node: the epochs' secrets are damaged")
	}
	k := parseEpochs(b)
	k.store = st
	return k, nil
}

// parseEpochs reads what encodeEpochs writes, of the right length.
func parseEpochs(b []byte) *keyring {
	k := newKeyring(nil, time.Time{}, [32]byte(b))
	for b = b[32:]; len(b) > 0; b = b[40:] {
		when := binary.BigEndian.Uint64(b[32:])
		at := time.Unix(int64(when>>1), 0)
		e := newKeyring(nil, at, [32]byte{}, [32]byte(b)).held[1]
		if when&1 != 0 {
			e.proven = at
		}
		k.held = append(k.held, e)
	}
	return k
}

// encodeEpochs is what is kept: the newest secret, then each older one with twice
// the unix second at which it was replaced, and 1 more if a handshake proved it.
func encodeEpochs(held []heldEpoch) []byte {
	var b []byte
	for i, e := range held {
		b = append(b, e.secret[:]...)
		if i > 0 {
			when := uint64(e.replaced.Unix()) << 1
			if !e.proven.IsZero() {
				when++
			}
			b = binary.BigEndian.AppendUint64(b, when)
		}
	}
	return b
}

// adopt makes a secret's epoch the newest, durably. One that is held already
// stays where it is. fresh reports whether anything changed.
func (k *keyring) adopt(secret [32]byte, now time.Time) (fresh bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.ContainsFunc(k.held, func(e heldEpoch) bool { return e.secret == secret }) {
		return false, nil
	}
	held := append(newKeyring(k.store, now, secret).held, makeRoom(k.held)...)
	held[1].replaced = now
	return true, k.put(held)
}

// keep holds a secret's epoch beside the others, as one that was replaced: what is
// met under it counts, and nothing is sealed under it.
func (k *keyring) keep(secret [32]byte, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.ContainsFunc(k.held, func(e heldEpoch) bool { return e.secret == secret }) {
		return nil
	}
	older := newKeyring(k.store, now, secret).held[0]
	older.replaced = now
	return k.put(append(makeRoom(k.held), older))
}

// proves notes that somebody else showed in a handshake to hold a secret. Whoever
// gives a newcomer secrets that nobody has thereby pushes none out that leads to
// members.
func (k *keyring) proves(secret [32]byte, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.held, func(e heldEpoch) bool { return e.secret == secret })
	if i < 0 {
		return nil
	}
	first := k.held[i].proven.IsZero()
	held := slices.Clone(k.held)
	held[i].proven = now
	if first && k.store != nil {
		return k.put(held)
	}
	k.held = held
	return nil
}

// makeRoom is a copy of what is held with room for one more: of a full ring the
// epoch goes that was proven longest ago or never, of several the one at the end.
// Neither the newest does nor the one before, whose gossip may still be heard.
func makeRoom(held []heldEpoch) []heldEpoch {
	held = slices.Clone(held)
	if len(held) < maxKeptEpochs {
		return held
	}
	least := 2
	for i := range held[2:] {
		if !held[2+i].proven.After(held[least].proven) {
			least = 2 + i
		}
	}
	return slices.Delete(held, least, least+1)
}

// put makes a list what is held, durably. Caller holds mu.
func (k *keyring) put(held []heldEpoch) error {
	if err := k.store.PutPrivate(privEpoch, encodeEpochs(held)); err != nil {
		return storeError(err)
	}
	k.held = held
	return nil
}

// all are the epochs held, newest first.
func (k *keyring) all() []heldEpoch {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}

// newest is the epoch that everything is sealed under.
func (k *keyring) newest() heldEpoch { return k.all()[0] }

// inForce are the epochs whose gossip is heard: the newest, and the one before
// while both overlap.
func (k *keyring) inForce(now time.Time) []heldEpoch {
	held := k.all()
	if len(held) > 1 && now.Before(held[1].replaced.Add(epochOverlap)) {
		return held[:2]
	}
	return held[:1]
}

// find is the held epoch of a secret, the newest if there is none.
func (k *keyring) find(secret [32]byte) heldEpoch {
	held := k.all()
	i := slices.IndexFunc(held, func(e heldEpoch) bool { return e.secret == secret })
	return held[max(i, 0)]
}

// sealing is the epoch that r seals under.
func (r *replica) sealing() *protocol.Epoch {
	if r.under != nil {
		return r.under
	}
	return r.keys.newest().Epoch
}

// opening are the epochs that r opens frames of.
func (r *replica) opening() []*protocol.Epoch {
	if r.under != nil {
		return []*protocol.Epoch{r.under}
	}
	var out []*protocol.Epoch
	for _, e := range r.keys.inForce(time.Now()) {
		out = append(out, e.Epoch)
	}
	return out
}

// check judges a frame under the epochs in force.
func (r *replica) check(c protocol.Content, frame []byte) (err error) {
	for _, e := range r.opening() {
		if err = e.Check(c, frame); !errors.Is(err, protocol.ErrOtherEpoch) {
			break
		}
	}
	return err
}

// unseal opens a frame under the epochs in force.
func (r *replica) unseal(c protocol.Content, frame []byte) (content []byte, err error) {
	for _, e := range r.opening() {
		if content, err = e.Open(c, frame); !errors.Is(err, protocol.ErrOtherEpoch) {
			break
		}
	}
	return content, err
}

// Under is r in a session with a peer that shares an epoch, perhaps an old one:
// what r gives is sealed under it, and nothing else is opened.
func (r *replica) Under(secret [32]byte) *replica {
	if err := r.keys.proves(secret, time.Now()); err != nil {
		r.ledger.log.Warn("noting that an epoch leads to members", "cause", err)
	}
	return r.in(secret)
}

func (r *replica) in(secret [32]byte) *replica {
	v := *r
	v.under = r.keys.find(secret).Epoch
	return &v
}

// Epochs lists the epochs whose secrets this node holds.
func (r *replica) Epochs() []p2p.Epoch { return r.keys.epochs() }

func (k *keyring) epochs() (out []p2p.Epoch) {
	heard := len(k.inForce(time.Now()))
	for i, e := range k.all() {
		out = append(out, p2p.Epoch{Secret: e.secret, Gossip: i < heard})
	}
	return out
}

// adoptEpoch goes on under a new epoch: gossip moves to its topic, and goes on
// hearing the one before until the overlap is over.
func (c *Community) adoptEpoch(secret [32]byte) error {
	release, err := c.Hold()
	if err != nil {
		return err
	}
	defer release()
	c.mu.Lock()
	r, m := c.replica, c.member
	c.mu.Unlock()
	if r == nil {
		return errNotYet()
	}
	if fresh, err := r.keys.adopt(secret, time.Now()); err != nil || !fresh {
		return err
	}
	return m.Refresh()
}

// joinEpochs are the secrets that a newcomer gets, newest first: those in force.
func (r *replica) joinEpochs() (secrets [][]byte) {
	for _, e := range r.keys.inForce(time.Now()) {
		secrets = append(secrets, bytes.Clone(e.secret[:]))
	}
	return secrets
}

// parseJoinEpochs is what a newcomer begins with, in the form that is kept. That
// the older was replaced just now at the latest is all that it knows of it.
func parseJoinEpochs(secrets [][]byte, now time.Time) ([]byte, error) {
	if len(secrets) < 1 || len(secrets) > 2 {
		return nil, errors.New("node: the answer has no epoch, or too many")
	}
	var list [][32]byte
	for _, s := range secrets {
		if len(s) != 32 || slices.Contains(list, [32]byte(s)) {
			return nil, errors.New("node: the answer's epochs are malformed")
		}
		list = append(list, [32]byte(s))
	}
	return encodeEpochs(newKeyring(nil, now, list...).held), nil
}
