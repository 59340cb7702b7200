package secret

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// An Aggregate is a sum of ballots, each as often as its voter's weight. It is a
// value: sums of the same ballots in any order are equal, and have equal digests.
type Aggregate struct {
	election [64]byte
	sums     []proof.Ciphertext // of what is opened
	ballots  uint64
	weight   uint64
}

// Empty is the sum of no ballots.
func (e *Election) Empty() Aggregate {
	return Aggregate{election: e.id, sums: make([]proof.Ciphertext, len(e.layout.opened))}
}

// Ballots is how many ballots were summed up.
func (a Aggregate) Ballots() uint64 { return a.ballots }

// Plus adds a ballot that [Election.Verify] took. The weight is 1 unless the
// election is weighted.
func (e *Election) Plus(a Aggregate, b *Ballot, weight uint64) (Aggregate, error) {
	sum, carry := bits.Add64(a.weight, weight, 0)
	if carry != 0 || sum > MaxTotal/e.layout.top {
		return a, fmt.Errorf("secret: more than %d could not be opened", uint64(MaxTotal))
	}
	out, err := e.change(a, b, weight, proof.Ciphertext.Add)
	if err != nil {
		return a, err
	}
	out.ballots, out.weight = a.ballots+1, sum
	return out, nil
}

// Minus takes away a ballot that was added with that weight, as when another
// replaces it.
func (e *Election) Minus(a Aggregate, b *Ballot, weight uint64) (Aggregate, error) {
	if a.ballots == 0 || a.weight < weight {
		return a, errors.New("secret: the ballot was not added")
	}
	out, err := e.change(a, b, weight, proof.Ciphertext.Sub)
	if err != nil {
		return a, err
	}
	out.ballots, out.weight = a.ballots-1, a.weight-weight
	return out, nil
}

func (e *Election) change(a Aggregate, b *Ballot, weight uint64, by func(c, d proof.Ciphertext) proof.Ciphertext) (Aggregate, error) {
	if a.election != e.id || b.election != e.id {
		return a, errors.New("secret: the ballot or the sum is of another election")
	}
	if weight == 0 || weight != 1 && !e.terms.Weighted {
		return a, fmt.Errorf("secret: a ballot of weight %d", weight)
	}
	out := Aggregate{election: a.election}
	for i, at := range e.layout.opened {
		out.sums = append(out.sums, by(a.sums[i], b.ciphertexts[at].Times(weight)))
	}
	return out, nil
}

// Bytes is the encoding (SPEC §8.5 rule 15): ballots and weight as u64be, and the
// ciphertexts, 64 bytes each.
func (a Aggregate) Bytes() []byte {
	b := append(proof.U64(a.ballots), proof.U64(a.weight)...)
	for _, c := range a.sums {
		b = c.Append(b)
	}
	return b
}

// Digest is what the closing checkpoint says of the sum (SPEC §8.6 rule 6).
func (a Aggregate) Digest() [32]byte {
	return proof.Digest("aggregate", a.election[:], a.Bytes())
}
