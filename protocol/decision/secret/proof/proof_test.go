package proof

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

func equality(x group.Scalar) Equality {
	p := group.Base(secretOf(11))
	return Equality{Label: "test", Bound: [][]byte{{1}, {2, 3}}, X: group.Base(x), P: p, Q: p.Mul(x)}
}

func knowledge(x group.Scalar) Knowledge {
	return Knowledge{Label: "test", Bound: [][]byte{{1}, {2, 3}}, X: group.Base(x)}
}

func TestTrueStatementsAreProven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, seed := scalars().Draw(t, "x"), seedOf(rapid.Uint64().Draw(t, "seed"))
		e, k := equality(x), knowledge(x)
		if !e.Verify(e.Prove(x, seed)) || !k.Verify(k.Prove(x, seed)) {
			t.Error("a true statement is not proven")
		}
		other := x.Add(group.Number(1))
		if e.Verify(e.Prove(other, seed)) || k.Verify(k.Prove(other, seed)) {
			t.Error("another secret proves it")
		}
	})
}

// TestStatementsAreBound: a proof is for its statement, with every part of it.
func TestStatementsAreBound(t *testing.T) {
	x := secretOf(5)
	e, k := equality(x), knowledge(x)
	pe, pk := e.Prove(x, seedOf(1)), k.Prove(x, seedOf(1))
	g := group.Generator()
	for what, change := range map[string]func(e *Equality, k *Knowledge){
		"label":       func(e *Equality, k *Knowledge) { e.Label, k.Label = "tests", "tests" },
		"a field":     func(e *Equality, k *Knowledge) { e.Bound[1] = []byte{2, 4}; k.Bound[1] = []byte{2, 4} },
		"a border":    func(e *Equality, k *Knowledge) { e.Bound = [][]byte{{1, 2}, {3}}; k.Bound = [][]byte{{1, 2}, {3}} },
		"a field off": func(e *Equality, k *Knowledge) { e.Bound = e.Bound[:1]; k.Bound = k.Bound[:1] },
		"X":           func(e *Equality, k *Knowledge) { e.X, k.X = e.X.Add(g), k.X.Add(g) },
		// What follows is true for the same x, so only the hash tells it apart.
		"P and Q": func(e *Equality, k *Knowledge) { e.P, e.Q = e.P.Add(g), e.Q.Add(e.X); k.X = g },
		"Q":       func(e *Equality, k *Knowledge) { e.Q = e.Q.Add(g); k.X = k.X.Sub(g) },
	} {
		e, k := equality(x), knowledge(x)
		if change(&e, &k); e.Verify(pe) || k.Verify(pk) {
			t.Errorf("another statement, by %s, has the same proof", what)
		}
	}
	if !e.Verify(pe) || !k.Verify(pk) {
		t.Error("the statement itself is not proven")
	}
}

// TestWeakFiatShamir forges for a challenge that does not depend on everything:
// first what a challenge is computed from is left out, then chosen to fit it.
func TestWeakFiatShamir(t *testing.T) {
	x, w, u := secretOf(5), secretOf(6), secretOf(7)
	e, k := equality(x), knowledge(x)

	// Without commitments: any response fits some.
	z := secretOf(8)
	if e.Verify(Proof{e.challenge(group.Point{}, group.Point{}), z}) {
		t.Error("equality: forged, the commitments are not hashed")
	}
	if k.Verify(Proof{challenge(k.Label, append(k.list(), make([]byte, group.Size))), z}) || k.Verify(Proof{challenge(k.Label, k.list()), z}) {
		t.Error("knowledge: forged, the commitments are not hashed")
	}
	// With one commitment hashed and the other not: what belongs to that is free.
	forged := e
	forged.Q = e.P
	c := forged.challenge(group.Base(w), group.Point{})
	if forged.Verify(Proof{c, w.Add(c.Mul(x))}) {
		t.Error("equality: forged, the second commitment is not hashed")
	}
	forged = e
	forged.X = group.Generator()
	c = forged.challenge(group.Point{}, e.P.Mul(u))
	if forged.Verify(Proof{c, u.Add(c.Mul(x))}) {
		t.Error("equality: forged, the first commitment is not hashed")
	}

	// Without Q: commitments u and w that do not match, and the Q that they fit.
	blank := e
	blank.Q = group.Point{}
	a, b := group.Base(w), e.P.Mul(u)
	c = blank.challenge(a, b)
	z = w.Add(c.Mul(x))
	forged = e
	forged.Q = e.P.Mul(z.Sub(u).Mul(c.Inverse()))
	if forged.Q.Equal(e.Q) {
		t.Fatal("this is no forgery")
	}
	if forged.Verify(Proof{c, z}) {
		t.Error("equality: forged, Q is not hashed")
	}

	// Without P: a Q of choice, and the P that the commitments fit.
	forged = e
	forged.P, forged.Q = group.Point{}, group.Base(secretOf(12))
	b = group.Base(u)
	c = forged.challenge(a, b)
	z = w.Add(c.Mul(x))
	forged.P = b.Add(forged.Q.Mul(c)).Mul(z.Inverse())
	if forged.Verify(Proof{c, z}) {
		t.Error("equality: forged, P is not hashed")
	}

	// Without X: of a Q = v·P, the X that the commitments fit.
	v := secretOf(10)
	blank = e
	blank.Q, blank.X = e.P.Mul(v), group.Point{}
	b = e.P.Mul(u)
	c = blank.challenge(a, b)
	z = u.Add(c.Mul(v))
	forged = blank
	forged.X = group.Base(z.Sub(w).Mul(c.Inverse()))
	if forged.Verify(Proof{c, z}) {
		t.Error("equality: forged, X is not hashed")
	}
	blankKey := k
	blankKey.X = group.Point{}
	c = challenge(k.Label, append(blankKey.list(), pointField(a)))
	blankKey.X = group.Base(z).Sub(a).Mul(c.Inverse())
	if blankKey.Verify(Proof{c, z}) {
		t.Error("knowledge: forged, X is not hashed")
	}
}

// TestNonces: what is committed to differs with each part of the statement and
// with the secret, under one seed.
func TestNonces(t *testing.T) {
	seen := map[[group.Size]byte]string{}
	commitment := func(what string, x group.Scalar, e Equality, seed uint64) {
		p := e.Prove(x, seedOf(seed))
		a := group.VarTimeWithBase(p.c.Neg(), group.Base(x), p.z).Bytes()
		if before, twice := seen[a]; twice {
			t.Errorf("%s and %s have one nonce", before, what)
		}
		seen[a] = what
	}
	e := equality(secretOf(5))
	commitment("plain", secretOf(5), e, 1)
	commitment("seed", secretOf(5), e, 2)
	commitment("secret", secretOf(6), e, 1)
	labelled, bound, other := e, e, e
	labelled.Label = "other"
	bound.Bound = [][]byte{{9}}
	other.P = other.P.Add(other.P)
	commitment("label", secretOf(5), labelled, 1)
	commitment("bound", secretOf(5), bound, 1)
	commitment("point", secretOf(5), other, 1)
}

func TestProofEncoding(t *testing.T) {
	x := secretOf(5)
	b := knowledge(x).Prove(x, seedOf(1)).Append(nil)
	if len(b) != Size || !bytes.Equal(mustParse(t, b).Append(nil), b) {
		t.Fatalf("%x does not come back", b)
	}
	order := []byte("\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10")
	for i, part := range [][]byte{b[:group.Size], b[group.Size:]} {
		raised, carry := slices.Clone(part), 0
		for k := range raised {
			carry += int(raised[k]) + int(order[k])
			raised[k], carry = byte(carry), carry>>8
		}
		again := append(slices.Clone(raised), b[group.Size:]...)
		if i == 1 {
			again = append(slices.Clone(b[:group.Size]), raised...)
		}
		if _, err := Parse(again); err == nil {
			t.Errorf("part %d: the same number plus the order is taken", i)
		}
	}
	for _, bad := range [][]byte{nil, b[:63], append(slices.Clone(b), 0)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%d bytes are taken", len(bad))
		}
	}
}

func FuzzParse(f *testing.F) {
	x := secretOf(5)
	k := knowledge(x)
	good := k.Prove(x, seedOf(1)).Append(nil)
	f.Add(good)
	f.Add(Encrypt(k.X, 1, x).Append(nil))
	f.Add(make([]byte, Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := Parse(b); err == nil {
			if !bytes.Equal(p.Append(nil), b) {
				t.Fatalf("%x is taken as %x", b, p.Append(nil))
			}
			if k.Verify(p) && !bytes.Equal(b, good) {
				t.Fatalf("forged: %x", b)
			}
		}
		if c, err := ParseCiphertext(b); err == nil && !bytes.Equal(c.Append(nil), b) {
			t.Fatalf("%x is taken as %x", b, c.Append(nil))
		}
	})
}
