package merkle

import (
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// maxProof is the length of the longest encoded proof, in bytes: 256 steps and
// another entry. A proof about a million hashed keys has some 700.
const maxProof = 1 + (3 + KeyBits) + (3 + KeyBits*32) + (2 + 64)

// ErrProof is wrapped when a proof does not show what it was asked to show.
var ErrProof = errors.New("the proof does not hold")

// Proof shows that a map with a given root has a key with a given value, or
// has no such key. It is made by [Map.Prove] or [ParseProof]. Which keys,
// values and roots it holds for only [VerifyPresent] and [VerifyAbsent] tell.
type Proof struct {
	steps []step // from the root down, at strictly ascending bits
	other *other // nil: the key itself is at the path's end
}

// step is an inner node on the path: its critical bit, and the digest of the
// side not taken.
type step struct {
	bit     uint8
	sibling [32]byte
}

// other is the entry at the end of the path of a key that is absent.
type other struct {
	key, value [32]byte // the value's SHA-256
}

// Prove returns a proof of key's value, or of its absence. It costs O(depth)
// once the map's digests are known.
func (m Map[V]) Prove(key [32]byte) Proof {
	var p Proof
	var scratch []byte
	t := m.tree()
	for t.n != nil && !t.isLeaf() {
		side := bitAt(&key, t.bit())
		p.steps = append(p.steps, step{uint8(t.bit()), t.side(1 - side).sum(&scratch)})
		t = t.side(side)
	}
	if t.n != nil && t.n.hash != key {
		p.other = &other{t.n.hash, t.n.sumValue(&scratch)}
	}
	return p
}

// VerifyPresent checks that p shows that the map with the given root maps key
// to the value with the given canonical encoding (rule 9); for a set, that is
// empty. The error wraps [ErrProof].
func VerifyPresent(root, key [32]byte, value []byte, p Proof) error {
	if p.other != nil {
		return fmt.Errorf("merkle: verifying presence: %w: it is one of absence", ErrProof)
	}
	if p.fold(key, sumLeaf(key, sumValue(value))) != root {
		return fmt.Errorf("merkle: verifying presence: %w: another root", ErrProof)
	}
	return nil
}

// VerifyAbsent checks that p shows that the map with the given root has no
// entry for key (rule 10). The error wraps [ErrProof].
func VerifyAbsent(root, key [32]byte, p Proof) error {
	var digest [32]byte // of the empty map
	switch {
	case p.other == nil && len(p.steps) > 0:
		return fmt.Errorf("merkle: verifying absence: %w: it is one of presence", ErrProof)
	case p.other != nil && p.other.key == key:
		return fmt.Errorf("merkle: verifying absence: %w: it ends at the key", ErrProof)
	case p.other != nil:
		digest = p.fold(key, sumLeaf(p.other.key, p.other.value))
	}
	if digest != root {
		return fmt.Errorf("merkle: verifying absence: %w: another root", ErrProof)
	}
	return nil
}

// fold returns the root that the steps lead to from the digest at their end.
func (p Proof) fold(key, digest [32]byte) [32]byte {
	for _, s := range slices.Backward(p.steps) {
		pair := [2][32]byte{s.sibling, s.sibling}
		pair[bitAt(&key, int(s.bit))] = digest
		digest = sumInner(int(s.bit), pair[0], pair[1])
	}
	return digest
}

// proofWire is the encoding of a proof (rule 8).
type proofWire struct {
	_        struct{} `cbor:",toarray"`
	Indices  []byte
	Siblings []byte
	Other    []byte
}

// MarshalCBOR returns the canonical encoding of p (rule 8).
func (p Proof) MarshalCBOR() ([]byte, error) {
	w := proofWire{
		Indices:  make([]byte, 0, len(p.steps)),
		Siblings: make([]byte, 0, len(p.steps)*32),
		Other:    []byte{},
	}
	for _, s := range p.steps {
		w.Indices = append(w.Indices, s.bit)
		w.Siblings = append(w.Siblings, s.sibling[:]...)
	}
	if p.other != nil {
		w.Other = slices.Concat(p.other.key[:], p.other.value[:])
	}
	b, err := dagcbor.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("merkle: encoding a proof: %w", err)
	}
	return b, nil
}

// UnmarshalCBOR reads what [Proof.MarshalCBOR] wrote, as [ParseProof] does.
func (p *Proof) UnmarshalCBOR(b []byte) (err error) {
	*p, err = ParseProof(b)
	return err
}

// ParseProof reads the one canonical encoding of a proof (rule 8). Each part
// has its cap, which is checked before anything is allocated; together they
// come to maxProof. What it returns is well formed, not yet verified.
func ParseProof(b []byte) (Proof, error) {
	r := dagcbor.NewReader(b)
	fields := r.Array(3)
	indices, siblings, rest := r.Bytes(KeyBits), r.Bytes(KeyBits*32), r.Bytes(64)
	if err := r.End(); err != nil {
		return Proof{}, fmt.Errorf("merkle: parsing a proof: %w", err)
	}
	if fields != 3 || len(siblings) != 32*len(indices) || (len(rest) != 0 && len(rest) != 64) {
		return Proof{}, errors.New("merkle: parsing a proof: its parts do not fit together")
	}
	var p Proof
	if len(indices) > 0 {
		p.steps = make([]step, len(indices))
	}
	for i, bit := range indices {
		if i > 0 && bit <= indices[i-1] {
			return Proof{}, errors.New("merkle: parsing a proof: its indices do not ascend")
		}
		p.steps[i] = step{bit, [32]byte(siblings[32*i:])}
	}
	if len(rest) == 64 {
		p.other = &other{[32]byte(rest), [32]byte(rest[32:])}
	}
	return p, nil
}
