package secret

import (
	"encoding/binary"
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

// Weight is the sum of their weights.
func (a Aggregate) Weight() uint64 { return a.weight }

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

// Bytes is the encoding: ballots and weight in 8 bytes each, and the ciphertexts.
func (a Aggregate) Bytes() []byte {
	b := append(proof.U64(a.ballots), proof.U64(a.weight)...)
	for _, c := range a.sums {
		b = c.Append(b)
	}
	return b
}

// ParseAggregate decodes a sum that whoever kept it made: nothing in it shows of
// which ballots it is.
func (e *Election) ParseAggregate(b []byte) (Aggregate, error) {
	const head = 16
	if want := head + len(e.layout.opened)*proof.CiphertextSize; len(b) != want {
		return Aggregate{}, fmt.Errorf("secret: a sum of %d bytes and not %d", len(b), want)
	}
	a := Aggregate{election: e.id, ballots: binary.BigEndian.Uint64(b), weight: binary.BigEndian.Uint64(b[8:])}
	if a.ballots > a.weight || a.weight > MaxTotal/e.layout.top {
		return Aggregate{}, fmt.Errorf("secret: a sum of %d ballots of weight %d", a.ballots, a.weight)
	}
	for b = b[head:]; len(b) > 0; b = b[proof.CiphertextSize:] {
		c, err := proof.ParseCiphertext(b[:proof.CiphertextSize])
		if err != nil {
			return Aggregate{}, fmt.Errorf("secret: a sum: %w", err)
		}
		a.sums = append(a.sums, c)
	}
	return a, nil
}

// Digest is a hash of the sum.
func (a Aggregate) Digest() [32]byte {
	return proof.Digest("aggregate", a.election[:], a.Bytes())
}
