package keygen

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

// A board is a committee with all its messages.
type board struct {
	committee Committee
	trustees  []*Trustee
	announced []Announcement
	roster    *Roster
	deals     []*Deal
}

func seedOf(n byte) *[proof.SeedSize]byte { return &[proof.SeedSize]byte{n, 1} }

func newBoard(t testing.TB, id byte, faults int) *board {
	t.Helper()
	c, err := NewCommittee([32]byte{id}, faults)
	if err != nil {
		t.Fatal(err)
	}
	b := &board{committee: c}
	for j := 1; j <= c.N(); j++ {
		x, err := NewTrustee(c, j, seedOf(byte(j)))
		if err != nil {
			t.Fatal(err)
		}
		b.trustees, b.announced = append(b.trustees, x), append(b.announced, x.Announce())
	}
	if b.roster, err = NewRoster(c, b.announced); err != nil {
		t.Fatal(err)
	}
	for _, x := range b.trustees {
		d, err := x.Deal(b.roster)
		if err != nil {
			t.Fatal(err)
		}
		b.deals = append(b.deals, d)
	}
	return b
}

// read is a deal as everybody reads it.
func (b *board) read(d *Deal) (*Deal, error) {
	return ParseDeal(b.roster, d.dealer, d.Commitment(), d.Bytes())
}

func (b *board) keys(t testing.TB, deals ...*Deal) *Keys {
	t.Helper()
	k, err := NewKeys(b.roster, deals)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// interpolated is the secret that shares of the trustees give, whichever they are.
func interpolated(t testing.TB, k *Keys, trustees []*Trustee) group.Scalar {
	t.Helper()
	var sum group.Scalar
	for _, a := range trustees {
		s, err := a.Share(k)
		if err != nil {
			t.Fatal(err)
		}
		lambda := group.Number(1)
		for _, b := range trustees {
			if a != b {
				lambda = lambda.Mul(group.Integer(int64(b.index))).Mul(group.Integer(int64(b.index - a.index)).Inverse())
			}
		}
		sum = sum.Add(lambda.Mul(s.x))
	}
	return sum
}

func number(n uint64) group.Scalar { return group.Number(n) }
