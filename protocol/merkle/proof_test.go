package merkle

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// valuesGen draws maps of a few entries.
func valuesGen() *rapid.Generator[map[[32]byte]text] {
	return rapid.MapOfN(keyGen(), rapid.SampledFrom([]text{"", "a", "b"}), 0, 20)
}

func mapOf(entries map[[32]byte]text) (m Map[text]) {
	for k, v := range entries {
		m = m.Put(k, v)
	}
	return m
}

// A proof survives its encoding, holds for the truth, and for nothing else.
func TestProofSaysWhatIsSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := valuesGen().Draw(t, "entries")
		m := mapOf(entries)
		key := keyGen().Draw(t, "key")
		p := reparse(t, m.Prove(key))

		asked := keyGen().Draw(t, "asked")
		claim := rapid.SampledFrom([]text{"", "a", "b"}).Draw(t, "claim")
		root := m.Root()
		if rapid.Bool().Draw(t, "same key") {
			asked = key
		}
		want, held := entries[asked]
		present := VerifyPresent(root, asked, []byte(claim), p)
		absent := VerifyAbsent(root, asked, p)
		if asked == key {
			if got := present == nil; got != (held && claim == want) {
				t.Fatalf("key %x = %q: presence: %v", asked, claim, present)
			}
			if got := absent == nil; got == held {
				t.Fatalf("key %x: absence: %v", asked, absent)
			}
		}
		// A proof made for another key may hold by luck, never falsely.
		if present == nil && (!held || claim != want) || absent == nil && held {
			t.Fatalf("false proof about %x", asked)
		}
		for _, err := range []error{present, absent} {
			if err != nil && !errors.Is(err, ErrProof) {
				t.Fatal(err)
			}
		}
	})
}

// No proof of one map holds against the root of another that disagrees.
func TestProofOfAnotherRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := valuesGen().Draw(t, "a"), valuesGen().Draw(t, "b")
		key := keyGen().Draw(t, "key")
		p, root := mapOf(a).Prove(key), mapOf(b).Root()
		va, inA := a[key]
		vb, inB := b[key]
		if VerifyPresent(root, key, []byte(va), p) == nil && (!inB || va != vb) {
			t.Fatalf("%x = %q holds (in a: %v)", key, va, inA)
		}
		if VerifyAbsent(root, key, p) == nil && inB {
			t.Fatalf("absence of %x holds", key)
		}
	})
}

// Any flipped bit of a proof, root, key or value breaks a true proof.
func TestProofMutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := valuesGen().Draw(t, "entries")
		m := mapOf(entries)
		key := keyGen().Draw(t, "key")
		val, held := entries[key]
		root := m.Root()
		verify := func(root, key [32]byte, val []byte, p Proof) error {
			if held {
				return VerifyPresent(root, key, val, p)
			}
			return VerifyAbsent(root, key, p)
		}
		p := m.Prove(key)
		if err := verify(root, key, []byte(val), p); err != nil {
			t.Fatal(err)
		}
		flip := func(b []byte) {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		badRoot := root
		flip(badRoot[:])
		if verify(badRoot, key, []byte(val), p) == nil {
			t.Fatal("another root")
		}
		if held && verify(root, key, append([]byte(val), 0), p) == nil {
			t.Fatal("another value")
		}
		badKey := key
		flip(badKey[:])
		if _, also := entries[badKey]; held && verify(root, badKey, []byte(val), p) == nil || !held && also && verify(root, badKey, nil, p) == nil {
			t.Fatal("another key")
		}
		enc, err := p.MarshalCBOR()
		if err != nil {
			t.Fatal(err)
		}
		flip(enc)
		if bad, err := ParseProof(enc); err == nil && verify(root, key, []byte(val), bad) == nil {
			t.Fatal("another proof")
		}
	})
}

// Proofs that only their form, not their digests, gives away.
func TestProofForgeries(t *testing.T) {
	one, two := [32]byte{31: 1}, [32]byte{31: 2}
	m := mapOf(map[[32]byte]text{one: "a", two: "b"})
	root := m.Root()
	present := m.Prove(one)
	asAbsence := Proof{present.steps, &other{one, sumValue([]byte("a"))}}
	if VerifyAbsent(root, one, asAbsence) == nil {
		t.Error("a proof that ends at the key shows its absence")
	}
	if VerifyPresent(root, one, []byte("a"), asAbsence) == nil {
		t.Error("a second encoding of a proof of presence")
	}
	if VerifyAbsent([32]byte{}, one, present) == nil {
		t.Error("a proof with steps and no end shows absence from the empty map")
	}
	if VerifyAbsent([32]byte{}, one, Proof{}) != nil {
		t.Error("the empty map lacks every key")
	}
	if VerifyAbsent(root, one, Proof{}) == nil {
		t.Error("an empty proof shows absence")
	}
	// An inner node passed off as a leaf, and the other way round.
	l, r := sumLeaf(one, sumValue([]byte("a"))), sumLeaf(two, sumValue([]byte("b")))
	if VerifyAbsent(root, [32]byte{}, Proof{nil, &other{l, r}}) == nil {
		t.Error("an inner node passes for a leaf")
	}
}

func TestParseProofRefuses(t *testing.T) {
	p := setOf(t, 3).Prove([32]byte{})
	good, err := p.MarshalCBOR()
	if err != nil || len(p.steps) < 1 || p.other == nil {
		t.Fatal(p, err)
	}
	two := slices.Concat([]byte{0x83, 0x42, 7, 7, 0x58, 64}, make([]byte, 64), []byte{0x40})
	for name, b := range map[string][]byte{
		"empty":             {},
		"trailing":          append(slices.Clone(good), 0),
		"two fields":        {0x82, 0x40, 0x40},
		"long form":         {0x83, 0x58, 0, 0x40, 0x40},
		"a step too few":    {0x83, 0x41, 0, 0x40, 0x40},
		"half an entry":     slices.Concat([]byte{0x83, 0x40, 0x40, 0x58, 32}, make([]byte, 32)),
		"repeated index":    two,
		"over the size cap": slices.Concat(good, make([]byte, maxProof)),
	} {
		if _, err := ParseProof(b); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	two[3] = 8
	if _, err := ParseProof(two); err != nil {
		t.Error(err)
	}
}

func reparse(t *rapid.T, p Proof) Proof {
	b, err := p.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	var q Proof
	if err := q.UnmarshalCBOR(b); err != nil {
		t.Fatal(err)
	}
	return q
}

// Whatever parses has that one encoding.
func FuzzParseProof(f *testing.F) {
	entries := map[[32]byte]text{}
	for i, k := range numbered(20) {
		entries[k] = text(rune('a' + i))
	}
	for k := range maps.Keys(entries) {
		for _, p := range []Proof{mapOf(entries).Prove(k), mapOf(entries).Prove([32]byte{1}), {}} {
			b, err := p.MarshalCBOR()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		again, err := p.MarshalCBOR()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%x encodes as %x: %v", b, again, err)
		}
	})
}
