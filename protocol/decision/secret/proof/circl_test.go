package proof

import (
	"crypto"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"slices"
	"testing"

	circl "github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/zk/dleq"
	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// What follows verifies proofs a second time, as SPEC §8.5 has them, with another
// implementation of the group and nothing of this package.

var r255 = circl.Ristretto255

type bothKinds interface {
	MarshalBinary() ([]byte, error)
	UnmarshalBinary([]byte) error
}

func decode[T bothKinds](x T, b [32]byte) T {
	if err := x.UnmarshalBinary(b[:]); err != nil {
		panic(err)
	}
	return x
}

func element(p group.Point) circl.Element { return decode(r255.NewElement(), p.Bytes()) }
func scalar(s group.Scalar) circl.Scalar  { return decode(r255.NewScalar(), s.Bytes()) }

func encode(x bothKinds) []byte {
	b, err := x.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return b
}

// minus is a·p − b·q.
func minus(a circl.Scalar, p circl.Element, b circl.Scalar, q circl.Element) circl.Element {
	back := r255.NewElement().Neg(r255.NewElement().Mul(q, b))
	return r255.NewElement().Add(r255.NewElement().Mul(p, a), back)
}

// hashed is SHA-512 of length-prefixed fields modulo the order.
func hashed(label string, list ...[]byte) circl.Scalar {
	h := sha512.New()
	for _, f := range append([][]byte{[]byte("metastate/secret/v1/ristretto255-sha512"), []byte(label)}, list...) {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(f))))
		h.Write(f)
	}
	digest := h.Sum(nil)
	slices.Reverse(digest) // to the top first, then digit by digit
	s, base := r255.NewScalar(), r255.NewScalar().SetUint64(256)
	for _, d := range digest {
		s = r255.NewScalar().Add(r255.NewScalar().Mul(s, base), r255.NewScalar().SetUint64(uint64(d)))
	}
	return s
}

func TestKnowledgeAndEqualityByAnother(t *testing.T) {
	g := r255.Generator()
	rapid.Check(t, func(t *rapid.T) {
		x := scalars().Draw(t, "x")
		k, e := knowledge(x), equality(x)
		pk, pe := k.Prove(x, seedOf(1)), e.Prove(x, seedOf(1))
		if rapid.Bool().Draw(t, "spoil") {
			pk.z, pe.z = pk.z.Add(x), pe.z.Add(x)
		}
		a := minus(scalar(pk.z), g, scalar(pk.c), element(k.X))
		if hashed("test", []byte{1}, []byte{2, 3}, encode(element(k.X)), encode(a)).IsEqual(scalar(pk.c)) != k.Verify(pk) {
			t.Error("knowledge: we differ")
		}
		a = minus(scalar(pe.z), g, scalar(pe.c), element(e.X))
		b := minus(scalar(pe.z), element(e.P), scalar(pe.c), element(e.Q))
		c := hashed("test", []byte{1}, []byte{2, 3}, encode(element(e.X)), encode(element(e.P)), encode(element(e.Q)), encode(a), encode(b))
		if c.IsEqual(scalar(pe.c)) != e.Verify(pe) {
			t.Error("equality: we differ")
		}
	})
}

func TestMembershipByAnother(t *testing.T) {
	for _, x := range []struct {
		numbers []int64
		lists   [][]int64
		which   int
	}{
		{[]int64{1}, bits, 1},
		{[]int64{2}, bits, 1},
		{[]int64{0, 1, 0}, units(3), 1},
		{[]int64{1, 1, 0}, units(3), 1},
		{[]int64{2, 4}, pairs, 2},
		{[]int64{0, 1, 3}, [][]int64{{1, 0, -3}, {0, 1, 3}}, 1},
	} {
		in := encrypted(x.numbers, x.lists, x.which)
		if branches := in.prove(); verified(in, branches) != in.Verify(branches) {
			t.Errorf("%v in %v: we differ", x.numbers, x.lists)
		}
	}
}

// verified is Verify by the other implementation.
func verified(in instance, branches []Proof) bool {
	index := binary.BigEndian.AppendUint32(nil, uint32(in.Index))
	rho := hashed("weights", in.Context[:], index)
	a, b, w := r255.Identity(), r255.Identity(), r255.NewScalar().SetUint64(1)
	values := make([]circl.Scalar, len(in.Lists))
	for j := range values {
		values[j] = r255.NewScalar()
	}
	for i, c := range in.Ciphertexts {
		a = r255.NewElement().Add(a, r255.NewElement().Mul(element(c.A), w))
		b = r255.NewElement().Add(b, r255.NewElement().Mul(element(c.B), w))
		for j, list := range in.Lists {
			values[j] = r255.NewScalar().Add(values[j], r255.NewScalar().Mul(w, scalar(group.Integer(list[i]))))
		}
		w = r255.NewScalar().Mul(w, rho)
	}
	list := [][]byte{in.Context[:], index, encode(element(in.Key)), encode(a), encode(b)}
	for _, v := range values {
		list = append(list, encode(v))
	}
	total := r255.NewScalar()
	for j, p := range branches {
		encrypted0 := minus(r255.NewScalar().SetUint64(1), b, values[j], r255.Generator())
		list = append(list, encode(minus(scalar(p.z), r255.Generator(), scalar(p.c), a)),
			encode(minus(scalar(p.z), element(in.Key), scalar(p.c), encrypted0)))
		total = r255.NewScalar().Add(total, scalar(p.c))
	}
	return hashed("member", list...).IsEqual(total)
}

// TestEqualityMeansTheSame: what another library proves and verifies as equal
// logarithms is what Equality is of.
func TestEqualityMeansTheSame(t *testing.T) {
	params := dleq.Params{G: r255, H: crypto.SHA512, DST: []byte("test")}
	for _, off := range []uint64{0, 1} {
		x := secretOf(5)
		e := equality(x)
		e.Q = e.Q.Add(group.Base(group.Number(off)))
		g, ex, ep, eq := r255.Generator(), element(e.X), element(e.P), element(e.Q)
		p, err := dleq.Prover{Params: params}.Prove(scalar(x), g, ex, ep, eq, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if their := (dleq.Verifier{Params: params}).Verify(g, ex, ep, eq, p); their != e.Verify(e.Prove(x, seedOf(1))) || their != (off == 0) {
			t.Errorf("off by %d: they say %v", off, their)
		}
	}
}
