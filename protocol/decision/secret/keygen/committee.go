package keygen

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// MaxFaults bounds a committee: 31 trustees.
const MaxFaults = 10

// A Committee is how many trustees there are, and what its messages are bound to.
type Committee struct {
	id     [32]byte
	faults int
}

// NewCommittee has 3·faults+1 trustees, numbered from 1. The id is of its term:
// no two have the same.
func NewCommittee(id [32]byte, faults int) (Committee, error) {
	if faults < 1 || faults > MaxFaults {
		return Committee{}, fmt.Errorf("keygen: a committee bears from 1 to %d faulty trustees, not %d: "+
			"choose 4, 7, 10, … up to 31 trustees", MaxFaults, faults)
	}
	return Committee{id, faults}, nil
}

// N is how many trustees there are.
func (c Committee) N() int { return 3*c.faults + 1 }

// K is how many are needed, and enough, to decrypt.
func (c Committee) K() int { return c.faults + 1 }

// Q is how many must agree on what is decrypted.
func (c Committee) Q() int { return 2*c.faults + 1 }

func (c Committee) has(index int) error {
	if index < 1 || index > c.N() {
		return fmt.Errorf("keygen: there is no trustee %d among %d", index, c.N())
	}
	return nil
}

// A Roster is a committee with the keys of its trustees.
type Roster struct {
	Committee
	keys []group.Point
	id   [32]byte
}

// NewRoster takes one announcement of each trustee, in their order, and refuses
// all if one does not hold. At most as many as may be faulty are absent: of these
// the announcement is the zero one, and they never have a share.
func NewRoster(c Committee, all []Announcement) (*Roster, error) {
	if len(all) != c.N() || c.faults == 0 {
		return nil, fmt.Errorf("keygen: %d announcements for %d trustees", len(all), c.N())
	}
	r := &Roster{Committee: c}
	seen, absent := map[[group.Size]byte]bool{}, 0
	list := [][]byte{c.id[:], proof.U32(c.N()), proof.U32(c.K()), proof.U32(c.Q())}
	for i, a := range all {
		if a == (Announcement{}) {
			if absent++; absent > c.faults {
				return nil, fmt.Errorf("keygen: more than %d trustees are absent", c.faults)
			}
			// What is sealed to it nobody opens.
			a.key = group.FromUniform(proof.Hash("absent", c.id[:], proof.U32(i+1)))
		} else if err := a.Check(c, i+1); err != nil {
			return nil, err
		}
		enc := a.key.Bytes()
		if seen[enc] {
			return nil, fmt.Errorf("keygen: trustee %d has another's key", i+1)
		}
		seen[enc] = true
		r.keys, list = append(r.keys, a.key), append(list, enc[:])
	}
	r.id = proof.Digest("roster", list...)
	return r, nil
}

// An Announcement is a trustee's key with a proof that it has the secret.
type Announcement struct {
	key   group.Point
	proof proof.Proof
}

// Key is the trustee's key.
func (a Announcement) Key() group.Point { return a.key }

// errProof is what a proof without effect is told by.
var errProof = errors.New("the proof does not hold")

func (a Announcement) knowledge(c Committee, index int) proof.Knowledge {
	return proof.Knowledge{Label: "trustee", Bound: [][]byte{c.id[:], proof.U32(index)}, X: a.key}
}

// Check refuses the announcement if the trustee of that number did not make it
// for this committee.
func (a Announcement) Check(c Committee, index int) error {
	if err := c.has(index); err != nil {
		return err
	}
	if a.key.IsIdentity() || !a.knowledge(c, index).Verify(a.proof) {
		return fmt.Errorf("keygen: announcement of trustee %d: %w", index, errProof)
	}
	return nil
}
