package secret

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// A Voter is whose ballot it is, and which of them.
type Voter struct {
	ID  [32]byte // the persona's
	Seq uint64   // of the ballot
}

// A Ballot is what a voter sent, decoded.
type Ballot struct {
	election    [64]byte
	ciphertexts []proof.Ciphertext
	branches    []proof.Proof
}

// ErrBallot is wrapped when a ballot is not one of its election and voter. It is a
// fact about the bytes: everybody finds the same.
var ErrBallot = errors.New("not a ballot of this voter in this election")

// Decode reads a ballot and refuses what is not of the election's form, without
// looking whether its proofs hold. It is for what [Election.Verify] took before.
func (e *Election) Decode(body []byte) (*Ballot, error) {
	if len(body) != e.Size() {
		return nil, fmt.Errorf("secret: %w: it has %d bytes and not %d", ErrBallot, len(body), e.Size())
	}
	return e.decode(body)
}

func (e *Election) decode(body []byte) (*Ballot, error) {
	b := &Ballot{election: e.id}
	for len(b.ciphertexts) < e.layout.ciphertexts {
		c, err := proof.ParseCiphertext(body[:proof.CiphertextSize])
		if err != nil {
			return nil, fmt.Errorf("secret: %w: ciphertext %d: %w", ErrBallot, len(b.ciphertexts), err)
		}
		b.ciphertexts, body = append(b.ciphertexts, c), body[proof.CiphertextSize:]
	}
	for ; len(body) > 0; body = body[proof.Size:] {
		p, err := proof.Parse(body[:proof.Size])
		if err != nil {
			return nil, fmt.Errorf("secret: %w: branch %d: %w", ErrBallot, len(b.branches), err)
		}
		b.branches = append(b.branches, p)
	}
	return b, nil
}

// Verify reads a ballot and refuses it, wrapping [ErrBallot], unless it is the
// voter's and says what the shape allows.
func (e *Election) Verify(by Voter, body []byte) (*Ballot, error) {
	b, err := e.Decode(body)
	if err != nil {
		return nil, err
	}
	context, branches := e.context(by, b.ciphertexts), b.branches
	for i, s := range e.layout.statements {
		mine := branches[:len(s.lists)]
		if branches = branches[len(mine):]; !e.membership(context, i, b.ciphertexts).Verify(mine) {
			return nil, fmt.Errorf("secret: %w: proof %d of %d does not hold", ErrBallot, i+1, len(e.layout.statements))
		}
	}
	return b, nil
}

// context binds every proof of a ballot to all of it.
func (e *Election) context(by Voter, ciphertexts []proof.Ciphertext) [64]byte {
	key := e.terms.Keys.Public().Bytes()
	list := [][]byte{e.id[:], by.ID[:], proof.U64(by.Seq), e.terms.Question[:], key[:]}
	for _, c := range ciphertexts {
		list = append(list, c.Append(nil))
	}
	return proof.Hash("ballot", list...)
}

// membership is the statement of that number about the ciphertexts.
func (e *Election) membership(context [64]byte, number int, ciphertexts []proof.Ciphertext) proof.Membership {
	s := e.layout.statements[number]
	m := proof.Membership{Context: context, Index: number, Key: e.terms.Keys.Public(), Lists: s.lists}
	for _, terms := range s.of {
		sum := ciphertexts[terms[0].at]
		for _, t := range terms[1:] {
			if t.times < 0 {
				sum = sum.Sub(ciphertexts[t.at].Times(uint64(-t.times)))
			} else {
				sum = sum.Add(ciphertexts[t.at].Times(uint64(t.times)))
			}
		}
		m.Ciphertexts = append(m.Ciphertexts, sum)
	}
	return m
}

// An Opening is the secret that a ballot is made from.
type Opening [32]byte

// Erase overwrites it.
func (o *Opening) Erase() { clear(o[:]) }

// Encrypt makes a ballot of marks, one for each option, and its opening, from a
// seed of chance. Other marks have another opening, also from one seed.
func (e *Election) Encrypt(by Voter, marks []uint8, seed *[32]byte) ([]byte, Opening, error) {
	normal, err := e.layout.normal(marks)
	if err != nil {
		return nil, Opening{}, fmt.Errorf("secret: %w", err)
	}
	wide := proof.Expand(seed, "opening", e.id[:], by.ID[:], proof.U64(by.Seq), normal)
	defer clear(wide[:])
	o := Opening(wide[:32])
	return e.make(by, normal, &o), o, nil
}

// make makes the ballot of normal marks.
func (e *Election) make(by Voter, marks []uint8, o *Opening) []byte {
	numbers, r := e.layout.numbers(marks), e.randomness(by, o)
	defer clear(numbers)
	defer eraseAll(r)
	return e.encrypt(by, numbers, r, (*[32]byte)(o))
}

// randomness is that of each ciphertext.
func (e *Election) randomness(by Voter, o *Opening) (r []group.Scalar) {
	for i := range e.layout.ciphertexts {
		r = append(r, proof.Derive((*[32]byte)(o), "randomness", e.id[:], by.ID[:], proof.U64(by.Seq), proof.U32(i)))
	}
	return r
}

func eraseAll(s []group.Scalar) {
	for i := range s {
		s[i].Erase()
	}
}

// encrypt makes a ballot of numbers, which may be none that the shape allows: then
// it does not hold.
func (e *Election) encrypt(by Voter, numbers []uint64, r []group.Scalar, seed *[32]byte) []byte {
	ciphertexts, body := make([]proof.Ciphertext, len(numbers)), make([]byte, 0, e.Size())
	for i, m := range numbers {
		ciphertexts[i] = proof.Encrypt(e.terms.Keys.Public(), m, r[i])
		body = ciphertexts[i].Append(body)
	}
	context := e.context(by, ciphertexts)
	for i, s := range e.layout.statements {
		secret := make([]group.Scalar, len(s.of))
		for k, terms := range s.of {
			for _, t := range terms {
				secret[k] = secret[k].Add(r[t.at].Mul(group.Integer(t.times)))
			}
		}
		for _, p := range e.membership(context, i, ciphertexts).Prove(s.which(numbers), secret, seed) {
			body = p.Append(body)
		}
		eraseAll(secret)
	}
	return body
}

// which is the list that the numbers are, or 0; it looks at all of them.
func (s statement) which(numbers []uint64) (which int) {
	for j, list := range s.lists {
		var differ uint64
		for i, terms := range s.of {
			sum := -list[i]
			for _, t := range terms {
				sum += t.times * int64(numbers[t.at])
			}
			differ |= uint64(sum)
		}
		same := subtle.ConstantTimeEq(int32(differ|differ>>32), 0)
		which = subtle.ConstantTimeSelect(same, j, which)
	}
	return which
}

// Open tells what a ballot says from its opening, and refuses one that was not
// made from it, in any byte.
func (e *Election) Open(by Voter, body []byte, o Opening) ([]uint8, error) {
	b, err := e.Decode(body)
	if err != nil {
		return nil, err
	}
	r := e.randomness(by, &o)
	defer eraseAll(r)
	at, top, add := e.layout.marked()
	marks := make([]uint8, len(at))
	for i, k := range at {
		c := b.ciphertexts[k]
		rest := c.B.Sub(e.terms.Keys.Public().Mul(r[k]))
		m := uint64(0)
		for ; m <= top && !rest.IsIdentity(); m++ {
			rest = rest.Sub(group.Generator())
		}
		marks[i] = uint8(m) + add
	}
	normal, err := e.layout.normal(marks)
	if err != nil || !bytes.Equal(e.make(by, normal, &o), body) {
		return nil, errors.New("secret: the opening is not that of this ballot")
	}
	return normal, nil
}

// Ciphertexts are the part of a ballot that [Election.Verify] took which its sums
// are made of.
func (e *Election) Ciphertexts(body []byte) []byte {
	return body[:e.layout.ciphertexts*proof.CiphertextSize]
}

// Recall reads what Ciphertexts kept of a ballot.
func (e *Election) Recall(ciphertexts []byte) (*Ballot, error) {
	if len(ciphertexts) != e.layout.ciphertexts*proof.CiphertextSize {
		return nil, fmt.Errorf("secret: %w: ciphertexts of another length", ErrBallot)
	}
	return e.decode(ciphertexts)
}
