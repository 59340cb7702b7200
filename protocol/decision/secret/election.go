package secret

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// Terms are all that the proofs of an election are bound to.
type Terms struct {
	Keys     *keygen.Keys // of the committee
	Roll     [32]byte     // root of the roll that may vote
	Question [32]byte     // the proposal's id
	Method   string       // by which the sums are counted
	Params   []byte       // of the method, in their one encoding
	Options  []string
	Shape    Shape
	Weighted bool   // ballots count by the voter's weight, else once
	Opens    uint64 // seconds
	Closes   uint64 // seconds
	Least    uint64 // ballots that there must be for a trustee to open their sum, at least 1
}

// An Election checks, sums up and opens the ballots of one question. It never
// changes, and any number of goroutines may use it.
type Election struct {
	terms  Terms
	id     [64]byte
	layout *layout
}

// NewElection refuses terms that no secret ballot can be held on, and says what to
// change.
func NewElection(t Terms) (*Election, error) {
	if t.Keys == nil {
		return nil, errors.New("secret: an election needs the keys of a committee")
	}
	if t.Least < 1 {
		return nil, errors.New("secret: at least one ballot must be wanted before a sum is opened")
	}
	l, err := newLayout(t.Shape, len(t.Options))
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	e := &Election{terms: t, layout: l}
	key, dealt := t.Keys.Public().Bytes(), t.Keys.Dealt()
	e.id = proof.Hash("election", key[:], dealt[:],
		proof.U32(t.Keys.N()), proof.U32(t.Keys.K()), proof.U32(t.Keys.Q()),
		t.Roll[:], t.Question[:], []byte(t.Method), t.Params, proof.List(t.Options),
		[]byte(t.Shape.Kind), proof.U64(t.Shape.Top), []byte{byte(bit(t.Weighted))},
		proof.U64(t.Opens), proof.U64(t.Closes), proof.U64(t.Least))
	return e, nil
}

// ID is the hash of the terms.
func (e *Election) ID() [64]byte { return e.id }

// Size is the length of each ballot, in bytes.
func (e *Election) Size() int { return e.layout.size() }

// ShareSize is the length of each trustee's share, in bytes.
func (e *Election) ShareSize() int { return len(e.layout.opened) * factorSize }

func (l *layout) size() int {
	return l.ciphertexts*proof.CiphertextSize + l.branches()*proof.Size
}
