package secret

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// A poll is an election with its trustees.
type poll struct {
	*Election
	shares []*keygen.Share
}

func seedOf(n uint64) *[32]byte {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], n)
	return &s
}

// committee makes keys for four trustees of whom two decrypt.
func committee(t testing.TB, id byte) (*keygen.Keys, []*keygen.Share) {
	t.Helper()
	c, err := keygen.NewCommittee([32]byte{id}, 1)
	if err != nil {
		t.Fatal(err)
	}
	var trustees []*keygen.Trustee
	var announced []keygen.Announcement
	for j := 1; j <= c.N(); j++ {
		x, err := keygen.NewTrustee(c, j, seedOf(uint64(j)))
		if err != nil {
			t.Fatal(err)
		}
		trustees, announced = append(trustees, x), append(announced, x.Announce())
	}
	roster, err := keygen.NewRoster(c, announced)
	if err != nil {
		t.Fatal(err)
	}
	var deals []*keygen.Deal
	for _, x := range trustees[:3] {
		d, err := x.Deal(roster)
		if err != nil {
			t.Fatal(err)
		}
		deals = append(deals, d)
	}
	keys, err := keygen.NewKeys(roster, deals)
	if err != nil {
		t.Fatal(err)
	}
	var shares []*keygen.Share
	for _, x := range trustees {
		s, err := x.Share(keys)
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, s)
	}
	return keys, shares
}

func termsOf(keys *keygen.Keys, s Shape, options int) Terms {
	t := Terms{
		Keys: keys, Roll: [32]byte{1}, Question: [32]byte{2}, Method: "method", Params: []byte{0xa0},
		Shape: s, Opens: 1000, Closes: 2000, Least: 1,
	}
	for i := range options {
		t.Options = append(t.Options, fmt.Sprintf("option %d", i))
	}
	return t
}

func newPoll(t testing.TB, s Shape, options int) *poll {
	t.Helper()
	keys, shares := committee(t, 1)
	return pollOf(t, termsOf(keys, s, options), shares)
}

func pollOf(t testing.TB, terms Terms, shares []*keygen.Share) *poll {
	t.Helper()
	e, err := NewElection(terms)
	if err != nil {
		t.Fatal(err)
	}
	return &poll{e, shares}
}

func voterOf(n byte) Voter { return Voter{ID: [32]byte{n}, Seq: 3} }

func (p *poll) cast(t testing.TB, by Voter, marks ...uint8) []byte {
	t.Helper()
	body, _, err := p.Encrypt(by, marks, seedOf(uint64(by.ID[0])))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// sum is that of ballots of voters 1, 2, … by the marks.
func (p *poll) sum(t testing.TB, all ...[]uint8) Sealed {
	t.Helper()
	a := p.Empty()
	for i, marks := range all {
		by := voterOf(byte(i + 1))
		b, err := p.Verify(by, p.cast(t, by, marks...))
		if err != nil {
			t.Fatal(err)
		}
		if a, err = p.Plus(a, b, 1); err != nil {
			t.Fatal(err)
		}
	}
	return Sealed{[32]byte{9}, a}
}

// share is the checked one of a trustee.
func (p *poll) share(t testing.TB, s Sealed, trustee int) *Share {
	t.Helper()
	body, err := p.Decrypt(p.shares[trustee-1], s, seedOf(77))
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.VerifyShare(trustee, s, body)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (p *poll) open(t testing.TB, s Sealed, trustees ...int) Result {
	t.Helper()
	var shares []*Share
	for _, j := range trustees {
		shares = append(shares, p.share(t, s, j))
	}
	r, err := p.Result(s, shares)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
