package bench

import (
	"crypto/rand"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// newKeys has trustees make a key.
func newKeys() (*keygen.Keys, error) {
	kind, err := keygen.NewCommittee([32]byte{1}, trustees/3)
	if err != nil {
		return nil, err
	}
	var all []*keygen.Trustee
	var announced []keygen.Announcement
	for j := range kind.N() {
		seed := newSeed()
		t, err := keygen.NewTrustee(kind, j+1, &seed)
		if err != nil {
			return nil, err
		}
		all, announced = append(all, t), append(announced, t.Announce())
	}
	roster, err := keygen.NewRoster(kind, announced)
	if err != nil {
		return nil, err
	}
	var deals []*keygen.Deal
	for _, t := range all {
		d, err := t.Deal(roster)
		if err != nil {
			return nil, err
		}
		deals = append(deals, d)
	}
	return keygen.NewKeys(roster, deals)
}

func newSeed() (seed [32]byte) {
	rand.Read(seed[:])
	return seed
}

// An urn is a secret vote on five options.
type urn struct {
	*secret.Election
	keys *keygen.Keys
	poll protocol.ID
}

const options = 5

func newUrn(keys *keygen.Keys, method string, shape secret.Shape) (*urn, error) {
	u := &urn{keys: keys, poll: numbered("secret poll by "+method, 0)}
	var err error
	u.Election, err = secret.NewElection(secret.Terms{
		Keys: keys, Roll: [32]byte{2}, Question: u.poll, Method: method, Options: optionNames(options), Shape: shape,
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
