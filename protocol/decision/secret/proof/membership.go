package proof

import (
	"crypto/subtle"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// Membership says that the numbers which the ciphertexts encrypt under the key
// are one of the lists. A proof of it has a [Proof] for each list.
//
// All ciphertexts are weighed by powers of one hash of them and summed up, and so
// are the numbers of each list: a list that is none of these has the sum of one
// with a chance of len(Lists)·len(Ciphertexts)/2^252 (Bellare, Garay and Rabin
// 1998). That makes a choice of one from n cost n branches, and not 2n and a sum.
type Membership struct {
	Context     [64]byte // binds all ciphertexts, also those of other statements
	Index       int      // of the statement among those of one context
	Key         group.Point
	Ciphertexts []Ciphertext
	Lists       [][]int64 // each with a number for each ciphertext
}

// weights are the powers of the hash, from the 0th.
func (m Membership) weights() []group.Scalar {
	w := []group.Scalar{group.Number(1)}
	if len(m.Ciphertexts) == 1 {
		return w
	}
	rho := challenge("weights", [][]byte{m.Context[:], U32(m.Index)})
	for len(w) < len(m.Ciphertexts) {
		w = append(w, w[len(w)-1].Mul(rho))
	}
	return w
}

// sum is the one ciphertext that all are weighed into.
func (m Membership) sum(w []group.Scalar) Ciphertext {
	if len(w) == 1 {
		return m.Ciphertexts[0]
	}
	a, b := make([]group.Point, len(w)), make([]group.Point, len(w))
	for i, c := range m.Ciphertexts {
		a[i], b[i] = c.A, c.B
	}
	return Ciphertext{group.VarTimeCombine(w, a), group.VarTimeCombine(w, b)}
}

// values are what each list is weighed into.
func (m Membership) values(w []group.Scalar) []group.Scalar {
	out := make([]group.Scalar, len(m.Lists))
	for j, list := range m.Lists {
		for i, n := range list {
			switch n {
			case 0:
			case 1:
				out[j] = out[j].Add(w[i])
			default:
				out[j] = out[j].Add(w[i].Mul(group.Integer(n)))
			}
		}
	}
	return out
}

// challenge is what the branches' challenges must sum up to, given the
// commitments of each branch, two by two.
func (m Membership) challenge(sum Ciphertext, values []group.Scalar, commitments []group.Point) group.Scalar {
	list := [][]byte{m.Context[:], U32(m.Index), pointField(m.Key), pointField(sum.A), pointField(sum.B)}
	for _, v := range values {
		list = append(list, scalarField(v))
	}
	for _, p := range commitments {
		list = append(list, pointField(p))
	}
	return challenge("member", list)
}

// Prove proves that the numbers are those of the list which, given the
// randomness of each ciphertext. What it does does not depend on which.
func (m Membership) Prove(which int, r []group.Scalar, seed *[SeedSize]byte) []Proof {
	w := m.weights()
	sum, values := m.sum(w), m.values(w)
	var secret, total group.Scalar
	defer secret.Erase()
	for i := range w {
		secret = secret.Add(w[i].Mul(r[i]))
	}
	out, chosen := make([]Proof, len(values)), make([]group.Scalar, len(values))
	commitments := make([]group.Point, 0, 2*len(values))
	for j, v := range values {
		at := [][]byte{m.Context[:], U32(m.Index), U32(j)}
		chosen[j] = group.Number(uint64(subtle.ConstantTimeEq(int32(j), int32(which))))
		// The chosen branch begins with the challenge 0, so that its response is
		// the nonce, and is completed below.
		c := Derive(seed, "challenge", at...).Mul(group.Number(1).Sub(chosen[j]))
		z := Derive(seed, "response", at...)
		out[j], total = Proof{c, z}, total.Add(c)
		minus := c.Neg()
		commitments = append(commitments,
			group.Combine([]group.Scalar{z, minus}, []group.Point{group.Generator(), sum.A}),
			group.Combine([]group.Scalar{z, minus, c.Mul(v)}, []group.Point{m.Key, sum.B, group.Generator()}))
	}
	rest := m.challenge(sum, values, commitments).Sub(total)
	for j := range out {
		c := rest.Mul(chosen[j])
		out[j].c = out[j].c.Add(c)
		out[j].z = out[j].z.Add(c.Mul(secret))
	}
	return out
}

// Verify tells whether the branches prove it.
func (m Membership) Verify(branches []Proof) bool {
	if len(branches) != len(m.Lists) || len(branches) == 0 {
		return false
	}
	w := m.weights()
	sum, values := m.sum(w), m.values(w)
	var total group.Scalar
	commitments := make([]group.Point, 0, 2*len(values))
	for j, p := range branches {
		minus := p.c.Neg()
		commitments = append(commitments,
			group.VarTimeWithBase(minus, sum.A, p.z),
			group.VarTimeCombine([]group.Scalar{p.z, minus, p.c.Mul(values[j])},
				[]group.Point{m.Key, sum.B, group.Generator()}))
		total = total.Add(p.c)
	}
	return m.challenge(sum, values, commitments).Equal(total)
}
