package secret_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"math/big"
	"slices"

	circl "github.com/cloudflare/circl/group"
)

// This file and second_test.go are a second implementation of SPEC §8.5, as far as
// checking goes, on another implementation of the group. It reads the vectors and
// uses nothing of the packages under test.

var r255 = circl.Ristretto255

type (
	element = circl.Element
	number  = circl.Scalar
)

func pointOf(b []byte) element {
	p := r255.NewElement()
	check(p.UnmarshalBinary(b))
	return p
}

func numberOf(b []byte) number {
	s := r255.NewScalar()
	check(s.UnmarshalBinary(b))
	return s
}

func bytesOf(x interface{ MarshalBinary() ([]byte, error) }) []byte {
	if e, ok := x.(element); ok {
		b, err := e.MarshalBinaryCompress()
		check(err)
		return b
	}
	b, err := x.MarshalBinary()
	check(err)
	return b
}

func small(n int64) number {
	s := r255.NewScalar().SetUint64(uint64(max(n, -n)))
	if n < 0 {
		return r255.NewScalar().Neg(s)
	}
	return s
}

func plus(p, q element) element                  { return r255.NewElement().Add(p, q) }
func times(s number, p element) element          { return r255.NewElement().Mul(p, s) }
func timesG(s number) element                    { return r255.NewElement().MulGen(s) }
func sumOf(a, b number) number                   { return r255.NewScalar().Add(a, b) }
func product(a, b number) number                 { return r255.NewScalar().Mul(a, b) }
func minus(s number) number                      { return r255.NewScalar().Neg(s) }
func u32(n int) []byte                           { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func u64(n uint64) []byte                        { return binary.BigEndian.AppendUint64(nil, n) }
func mod(b []byte) number                        { return r255.NewScalar().SetBigInt(new(big.Int).SetBytes(backwards(b))) }
func backwards(b []byte) []byte                  { b = bytes.Clone(b); slices.Reverse(b); return b }
func challenge(label string, f ...[]byte) number { return mod(hash(label, f...)) }

func joined(label string, fields ...[]byte) (out []byte) {
	for _, x := range append([][]byte{[]byte("metastate/secret/v1/ristretto255-sha512"), []byte(label)}, fields...) {
		out = append(append(out, u32(len(x))...), x...)
	}
	return out
}

func hash(label string, fields ...[]byte) []byte {
	sum := sha512.Sum512(joined(label, fields...))
	return sum[:]
}

func expand(seed []byte, label string, fields ...[]byte) []byte {
	m := hmac.New(sha512.New, seed)
	m.Write(joined(label, fields...))
	return m.Sum(nil)
}

// knows is rule 1.
func knows(label string, bound [][]byte, x element, p []byte) bool {
	c, z := numberOf(p[:32]), numberOf(p[32:])
	a := plus(timesG(z), times(minus(c), x))
	return challenge(label, append(slices.Clone(bound), bytesOf(x), bytesOf(a))...).IsEqual(c)
}

// equals is rule 2.
func equals(label string, bound [][]byte, x, p, q element, pr []byte) bool {
	c, z := numberOf(pr[:32]), numberOf(pr[32:])
	a, b := plus(timesG(z), times(minus(c), x)), plus(times(z, p), times(minus(c), q))
	return challenge(label, append(slices.Clone(bound), bytesOf(x), bytesOf(p), bytesOf(q), bytesOf(a), bytesOf(b))...).IsEqual(c)
}

// member is rule 4.
func member(ctx []byte, index int, y element, of [][2]element, lists [][]int64, branches [][]byte) bool {
	rho := challenge("weights", ctx, u32(index))
	a, b, w := r255.Identity(), r255.Identity(), small(1)
	values := make([]number, len(lists))
	for j := range values {
		values[j] = small(0)
	}
	for i, c := range of {
		a, b = plus(a, times(w, c[0])), plus(b, times(w, c[1]))
		for j := range lists {
			values[j] = sumOf(values[j], product(w, small(lists[j][i])))
		}
		w = product(w, rho)
	}
	list, commitments, total := [][]byte{ctx, u32(index), bytesOf(y), bytesOf(a), bytesOf(b)}, [][]byte(nil), small(0)
	for j, v := range values {
		c, z := numberOf(branches[j][:32]), numberOf(branches[j][32:])
		list = append(list, bytesOf(v))
		commitments = append(commitments, bytesOf(plus(timesG(z), times(minus(c), a))),
			bytesOf(plus(times(z, y), times(minus(c), plus(b, timesG(minus(v)))))))
		total = sumOf(total, c)
	}
	return challenge("member", append(list, commitments...)...).IsEqual(total)
}
