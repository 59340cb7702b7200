package proof

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

func seedOf(n uint64) *[SeedSize]byte {
	var s [SeedSize]byte
	binary.BigEndian.PutUint64(s[:], n)
	return &s
}

// secretOf is a scalar that everybody knows, for tests.
func secretOf(n uint64) group.Scalar { return Derive(seedOf(n), "test") }

func scalars() *rapid.Generator[group.Scalar] {
	return rapid.Custom(func(t *rapid.T) group.Scalar { return secretOf(rapid.Uint64().Draw(t, "scalar")) })
}

// An instance is a true membership, with what its prover knows.
type instance struct {
	Membership
	which int
	r     []group.Scalar
}

// encrypted is the membership of numbers in lists, true or not.
func encrypted(numbers []int64, lists [][]int64, which int) instance {
	in := instance{Membership{Index: 3, Key: group.Base(secretOf(99)), Lists: lists}, which, nil}
	var bytes []byte
	for i, n := range numbers {
		r := secretOf(uint64(1000 + i))
		in.r = append(in.r, r)
		c := Encrypt(in.Key, 0, r)
		c.B = c.B.Add(group.Base(group.Integer(n)))
		in.Ciphertexts = append(in.Ciphertexts, c)
		bytes = c.Append(bytes)
	}
	in.Context = Hash("test", bytes)
	return in
}

func (in instance) prove() []Proof { return in.Prove(in.which, in.r, seedOf(7)) }

// units are the lists in which one of n numbers is 1 and the others are 0.
func units(n int) (lists [][]int64) {
	for i := range n {
		list := make([]int64, n)
		list[i] = 1
		lists = append(lists, list)
	}
	return lists
}

func mustParse(t *testing.T, b []byte) Proof {
	t.Helper()
	p, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
