package proof

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

var (
	bits  = [][]int64{{0}, {1}}
	pairs = [][]int64{{0, 0}, {1, 1}, {2, 4}, {3, 9}}
)

func TestMembersAreProven(t *testing.T) {
	for _, lists := range [][][]int64{bits, {{0}, {1}, {2}, {3}}, {{5}}, units(1), units(2), units(7), pairs, {{1, 0, -3}, {0, 1, 3}}} {
		for which, list := range lists {
			in := encrypted(list, lists, which)
			if !in.Verify(in.prove()) {
				t.Errorf("%v of %v is not proven", list, lists)
			}
		}
	}
}

// TestOthersAreNot: numbers outside of the lists, by a prover that does all as it
// should and claims any list.
func TestOthersAreNot(t *testing.T) {
	for _, x := range []struct {
		lists   [][]int64
		numbers [][]int64
	}{
		{bits, [][]int64{{2}, {-1}, {3}, {-2}}},
		{[][]int64{{0}, {1}, {2}}, [][]int64{{3}, {-1}}},
		{[][]int64{{5}}, [][]int64{{4}, {6}, {0}}},
		// The second and fourth have the sum of a choice of one.
		{units(3), [][]int64{{1, 1, 0}, {2, -1, 0}, {0, 0, 0}, {1, 1, -1}, {2, 0, 0}, {0, 0, -1}}},
		{pairs, [][]int64{{1, 0}, {0, 1}, {2, 3}, {4, 16}, {3, 4}, {-1, 1}}},
	} {
		for _, numbers := range x.numbers {
			for which := range x.lists {
				if in := encrypted(numbers, x.lists, which); in.Verify(in.prove()) {
					t.Errorf("%v passes as %v", numbers, x.lists[which])
				}
			}
		}
	}
}

// TestMembershipIsBound: a proof is for its statement, with every part of it.
func TestMembershipIsBound(t *testing.T) {
	good := encrypted([]int64{1}, bits, 1)
	branches := good.prove()
	rerandomised := Encrypt(good.Key, 0, secretOf(4))
	for what, change := range map[string]func(in *instance){
		"context":    func(in *instance) { in.Context[63]++ },
		"index":      func(in *instance) { in.Index++ },
		"key":        func(in *instance) { in.Key = in.Key.Add(group.Generator()) },
		"ciphertext": func(in *instance) { in.Ciphertexts[0] = in.Ciphertexts[0].Add(rerandomised) },
		"lists":      func(in *instance) { in.Lists = [][]int64{{0}, {2}} },
		"order":      func(in *instance) { in.Lists = [][]int64{{1}, {0}} },
		"more lists": func(in *instance) { in.Lists = [][]int64{{0}, {1}, {2}} },
	} {
		in := encrypted([]int64{1}, bits, 1)
		if change(&in); in.Verify(branches) {
			t.Errorf("another statement, by its %s, has the same proof", what)
		}
	}
	for what, bad := range map[string][]Proof{
		"none": nil, "missing": branches[:1], "extra": append(slices.Clone(branches), branches[0]), "swapped": {branches[1], branches[0]},
		"extra zero": append(slices.Clone(branches), Proof{}),
	} {
		if good.Verify(bad) {
			t.Errorf("branches %s are taken", what)
		}
	}
	if (Membership{}).Verify(nil) {
		t.Error("a statement of no lists is proven by nothing")
	}
}

// TestWeakMembership forges for a challenge that leaves out one commitment, as in
// TestWeakFiatShamir: that commitment's equation is free then. Whoever forges
// knows the key's secret too.
func TestWeakMembership(t *testing.T) {
	const m = 2 // is neither
	in := encrypted([]int64{m}, bits, 0)
	y := secretOf(99)
	w := in.weights()
	sum, values := in.sum(w), in.values(w)
	nonce, c0, z0 := secretOf(21), secretOf(22), secretOf(23)
	for left := range 4 {
		j := left / 2
		s := in.r[0]
		if left%2 == 0 { // log_Y of what the branch says is an encryption of 0
			s = s.Add(group.Number(m).Sub(values[j]).Mul(y.Inverse()))
		}
		commitments := make([]group.Point, 4)
		commitments[2*j], commitments[2*j+1] = group.Base(nonce), in.Key.Mul(nonce)
		commitments[left] = group.Point{}
		other := 1 - j // is simulated
		commitments[2*other] = group.VarTimeWithBase(c0.Neg(), sum.A, z0)
		commitments[2*other+1] = group.VarTimeCombine([]group.Scalar{z0, c0.Neg(), c0.Mul(values[other])},
			[]group.Point{in.Key, sum.B, group.Generator()})
		c := in.challenge(sum, values, commitments).Sub(c0)
		branches := make([]Proof, 2)
		branches[j], branches[other] = Proof{c, nonce.Add(c.Mul(s))}, Proof{c0, z0}
		if in.Verify(branches) {
			t.Errorf("forged: commitment %d is not hashed", left)
		}
	}
}

// TestWeightsComeAfter forges for weights that are known before the ciphertexts
// are: a number as large as a weight has the sum of another list.
func TestWeightsComeAfter(t *testing.T) {
	in := encrypted([]int64{0, 0, 0}, units(3), 1)
	in.Ciphertexts[0].B = in.Ciphertexts[0].B.Add(group.Base(in.weights()[1]))
	var bytes []byte
	for _, c := range in.Ciphertexts {
		bytes = c.Append(bytes)
	}
	in.Context = Hash("test", bytes)
	if in.Verify(in.prove()) {
		t.Error("forged: the weights do not depend on the ciphertexts")
	}
}

// TestKeyComesBefore forges for a challenge that leaves out the key, or the
// ciphertext: either is chosen to fit.
func TestKeyComesBefore(t *testing.T) {
	in := encrypted([]int64{9}, [][]int64{{1}}, 0)
	w, u, r := secretOf(31), secretOf(32), in.r[0]
	values := in.values(in.weights())
	commitments := []group.Point{group.Base(w), group.Base(u)}
	encrypted0 := in.Ciphertexts[0].B.Sub(group.Base(values[0]))

	forged := in.Membership
	forged.Key = group.Point{}
	c := forged.challenge(in.Ciphertexts[0], values, commitments)
	z := w.Add(c.Mul(r))
	forged.Key = commitments[1].Add(encrypted0.Mul(c)).Mul(z.Inverse())
	if forged.Verify([]Proof{{c, z}}) {
		t.Error("forged: the key is not hashed")
	}

	forged = in.Membership
	for _, half := range []func(x *Ciphertext) *group.Point{
		func(x *Ciphertext) *group.Point { return &x.A }, func(x *Ciphertext) *group.Point { return &x.B },
	} {
		blank := in.Ciphertexts[0]
		*half(&blank) = group.Point{}
		commitments := []group.Point{group.Base(w), in.Key.Mul(u)}
		c := forged.challenge(blank, values, commitments)
		z, fit := w.Add(c.Mul(r)), in.Ciphertexts[0]
		if half(&fit) == &fit.A { // log_Y of what should encrypt 0 is s
			s := in.r[0].Add(group.Number(9 - 1).Mul(secretOf(99).Inverse()))
			z = u.Add(c.Mul(s))
			fit.A = group.Base(z).Sub(commitments[0]).Mul(c.Inverse())
		} else {
			fit.B = group.Base(values[0]).Add(in.Key.Mul(z.Sub(u)).Mul(c.Inverse()))
		}
		forged.Ciphertexts = []Ciphertext{fit}
		if forged.Verify([]Proof{{c, z}}) {
			t.Error("forged: the ciphertext is not hashed")
		}
	}
}

// TestMembershipFlips: no bit of a proof can be another.
func TestMembershipFlips(t *testing.T) {
	in := encrypted([]int64{1}, bits, 1)
	branches := in.prove()
	rapid.Check(t, func(t *rapid.T) {
		j := rapid.IntRange(0, 1).Draw(t, "branch")
		b := branches[j].Append(nil)
		b[rapid.IntRange(0, Size-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		p, err := Parse(b)
		if err != nil {
			return
		}
		bad := slices.Clone(branches)
		if bad[j] = p; in.Verify(bad) {
			t.Errorf("branch %d as %x is taken", j, b)
		}
	})
}

// TestBranchesLookAlike: challenges and responses of the chosen branch are no
// smaller, zero or equal ones.
func TestBranchesLookAlike(t *testing.T) {
	for which := range 3 {
		in := encrypted([]int64{int64(which)}, [][]int64{{0}, {1}, {2}}, which)
		seen := map[string]bool{}
		for _, p := range in.prove() {
			for _, s := range []group.Scalar{p.c, p.z} {
				b := s.Bytes()
				if seen[string(b[:])] || s.Equal(group.Scalar{}) || slices.Equal(b[24:], make([]byte, 8)) {
					t.Errorf("choice %d shows: %x", which, b)
				}
				seen[string(b[:])] = true
			}
		}
	}
}

func TestCiphertexts(t *testing.T) {
	x := secretOf(3)
	key := group.Base(x)
	a, b := Encrypt(key, 3, secretOf(1)), Encrypt(key, 2, secretOf(2))
	for what, c := range map[string]struct {
		c    Ciphertext
		want int64
	}{
		"sum": {a.Add(b), 5}, "difference": {b.Sub(a), -1}, "multiple": {a.Times(7), 21},
		"once": {a.Times(1), 3}, "never": {a.Times(0), 0}, "nothing": {Ciphertext{}, 0},
	} {
		if !c.c.B.Sub(c.c.A.Mul(x)).Equal(group.Base(group.Integer(c.want))) {
			t.Errorf("the %s is not %d", what, c.want)
		}
	}
	enc := a.Append(nil)
	back, err := ParseCiphertext(enc)
	if err != nil || !back.A.Equal(a.A) || !back.B.Equal(a.B) {
		t.Error("does not come back", err)
	}
	for _, bad := range [][]byte{nil, enc[:32], enc[:63], append(slices.Clone(enc), 0), make([]byte, 128)} {
		if _, err := ParseCiphertext(bad); err == nil {
			t.Errorf("%d bytes are taken", len(bad))
		}
	}
}

func ExampleMembership() {
	x := secretOf(1)
	m := Membership{Context: Hash("example"), Key: group.Base(x), Lists: [][]int64{{0}, {1}}}
	r := secretOf(2)
	m.Ciphertexts = []Ciphertext{Encrypt(m.Key, 1, r)}
	branches := m.Prove(1, []group.Scalar{r}, seedOf(3))
	fmt.Println("encrypts 0 or 1:", m.Verify(branches))
	m.Lists = [][]int64{{1}, {2}}
	fmt.Println("encrypts 1 or 2:", m.Verify(branches))
	// Output:
	// encrypts 0 or 1: true
	// encrypts 1 or 2: false
}
