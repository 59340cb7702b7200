package bench

import (
	"crypto/rand"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// faults of the trustees whose key ballots are for may be dishonest: of seven, of
// whom three open a sum.
const faults = 2

// A committee is trustees who have made their key.
type committee struct {
	trustees []*keygen.Trustee
	keys     *keygen.Keys
}

// newCommittee has trustees make a key.
func newCommittee() (*committee, error) {
	kind, err := keygen.NewCommittee([32]byte{1}, faults)
	if err != nil {
		return nil, err
	}
	c := &committee{}
	var announced []keygen.Announcement
	for j := range kind.N() {
		seed := newSeed()
		t, err := keygen.NewTrustee(kind, j+1, &seed)
		if err != nil {
			return nil, err
		}
		c.trustees, announced = append(c.trustees, t), append(announced, t.Announce())
	}
	roster, err := keygen.NewRoster(kind, announced)
	if err != nil {
		return nil, err
	}
	var deals []*keygen.Deal
	for _, t := range c.trustees {
		d, err := t.Deal(roster)
		if err != nil {
			return nil, err
		}
		deals = append(deals, d)
	}
	c.keys, err = keygen.NewKeys(roster, deals)
	return c, err
}

func newSeed() (seed [32]byte) {
	rand.Read(seed[:])
	return seed
}

// An urn is a secret vote on five options, and what each ballot in it marks.
type urn struct {
	*secret.Election
	committee *committee
	poll      protocol.ID
	marks     []uint8
}

const options = 5

func (c *committee) urn(method string, shape secret.Shape, marks []uint8) (*urn, error) {
	u := &urn{committee: c, poll: numbered("secret poll by "+method, 0), marks: marks}
	var err error
	u.Election, err = secret.NewElection(secret.Terms{
		Keys: c.keys, Roll: [32]byte{2}, Question: u.poll, Method: method, Options: optionNames(options), Shape: shape,
		Opens: 1_800_000_000, Closes: 1_800_086_400, Least: 1,
	})
	return u, err
}

func optionNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("option-%02d", i))
	}
	return names
}

// cast makes the ballot of a voter of a key of their own, as a record.
func (u *urn) cast(i int, marks []uint8) (*protocol.Record, error) {
	key, seed := newKey(), newSeed()
	h := protocol.Header{
		Metastate: protocol.Sum([]byte("bench")), Kind: protocol.Ballot, Persona: numbered("persona", i), Key: key.Public(),
		Subject: u.poll, Checkpoint: protocol.Ref{Height: 9, ID: numbered("checkpoint", 9)}, Time: 1_800_000_000,
	}
	body, _, err := u.Encrypt(voter(h), marks, &seed)
	if err != nil {
		return nil, err
	}
	return protocol.Sign(h, decision.BallotBody{Ballot: body}, nil, key)
}

func voter(h protocol.Header) secret.Voter { return secret.Voter{ID: h.Persona, Seq: h.Seq} }

// check reads a record's ballot and verifies its proofs.
func (u *urn) check(r *protocol.Record) (*secret.Ballot, error) {
	body, err := protocol.Body[decision.BallotBody](r)
	if err != nil {
		return nil, err
	}
	return u.Verify(voter(r.Header()), body.Ballot)
}

// open has k trustees make their shares of a sum, checks them as everybody does,
// and opens it.
func (u *urn) open(s secret.Sealed) (secret.Result, error) {
	var shares []*secret.Share
	for _, t := range u.committee.trustees[:u.committee.keys.K()] {
		x, err := t.Share(u.committee.keys)
		if err != nil {
			return secret.Result{}, err
		}
		seed := newSeed()
		b, err := u.Decrypt(x, s, &seed)
		if err != nil {
			return secret.Result{}, err
		}
		share, err := u.VerifyShare(x.Index(), s, b)
		if err != nil {
			return secret.Result{}, err
		}
		shares = append(shares, share)
	}
	return u.Result(s, shares)
}
