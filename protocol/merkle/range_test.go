package merkle_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/merkle"
)

type text string

func (s text) AppendLeaf(b []byte) []byte { return append(b, s...) }

// drawTexts draws a map, some of whose keys share long prefixes.
func drawTexts(t *rapid.T) (m merkle.Map[text]) {
	for range rapid.IntRange(0, 60).Draw(t, "entries") {
		var key [32]byte
		for range rapid.IntRange(0, 4).Draw(t, "bytes") {
			key[rapid.IntRange(0, 31).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		m = m.Put(key, text(rapid.StringN(0, 90, 90).Draw(t, "value")))
	}
	return m
}

// TestLawCut: parts are all of the tree in order, each within the limit unless
// it is one leaf, as few as can be, and join to the root; leaves of each make
// its digest, and all together the map.
func TestLawCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawTexts(t)
		limit := rapid.IntRange(1, 400).Draw(t, "limit")
		parts, bits := m.Cut(limit)
		if root, err := merkle.Join(digests(parts), bits); err != nil || root != m.Root() {
			t.Fatalf("parts don't join to the root: %v", err)
		}
		var keys [][32]byte
		for i, p := range parts {
			weight, n := 0, len(keys)
			for key, value := range m.Leaves(p) {
				weight += 40 + len(value)
				keys = append(keys, key)
			}
			if n = len(keys) - n; n == 0 || n > 1 && weight > limit {
				t.Fatalf("part %d has %d leaves of %d bytes", i, n, weight)
			}
			if d, err := merkle.Digest(m.Leaves(p)); err != nil || d != p.Digest {
				t.Fatalf("part %d has another digest: %v", i, err)
			}
		}
		if !slices.Equal(keys, slices.Collect(only(m.All()))) {
			t.Fatal("not the map's keys")
		}
		fewest(t, m, parts, limit)
		again, err := merkle.Decode(all(m, parts), func(_ [32]byte, b []byte) (text, error) { return text(b), nil })
		if err != nil || again.Root() != m.Root() || again.Len() != m.Len() {
			t.Fatalf("another map: %v", err)
		}
	})
}

// fewest requires that the subtree one bit up from a part is over the limit.
func fewest(t *rapid.T, m merkle.Map[text], parts []merkle.Part, limit int) {
	for _, p := range parts {
		if p.Bits == 0 {
			continue
		}
		weight := 0
		for _, value := range m.Leaves(merkle.Part{Prefix: p.Prefix, Bits: p.Bits - 1}) {
			weight += 40 + len(value)
		}
		if weight <= limit {
			t.Fatalf("a part of %d bits could be larger", p.Bits)
		}
	}
}

func digests(parts []merkle.Part) (list [][32]byte) {
	for _, p := range parts {
		list = append(list, p.Digest)
	}
	return list
}

func only[V any](entries iter.Seq2[[32]byte, V]) iter.Seq[[32]byte] {
	return func(yield func([32]byte) bool) {
		for key := range entries {
			if !yield(key) {
				return
			}
		}
	}
}

func all(m merkle.Map[text], parts []merkle.Part) iter.Seq2[[32]byte, []byte] {
	return func(yield func([32]byte, []byte) bool) {
		for _, p := range parts {
			for key, value := range m.Leaves(p) {
				if !yield(key, value) {
					return
				}
			}
		}
	}
}

// TestLawJoinCommits: no other digests or bits join to the root.
func TestLawJoinCommits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawTexts(t)
		parts, bits := m.Cut(rapid.IntRange(1, 200).Draw(t, "limit"))
		list := digests(parts)
		if len(list) == 0 {
			return
		}
		i := rapid.IntRange(0, len(list)-1).Draw(t, "part")
		switch {
		case len(bits) > 0 && rapid.Bool().Draw(t, "a bit"):
			bits[i%len(bits)] ^= 1 << rapid.IntRange(0, 7).Draw(t, "which")
		case rapid.Bool().Draw(t, "drop"):
			list = slices.Delete(list, i, i+1)
			bits = bits[:max(0, len(list)-1)]
		default:
			list[i][rapid.IntRange(0, 31).Draw(t, "byte")] ^= 1
		}
		if root, err := merkle.Join(list, bits); err == nil && root == m.Root() {
			t.Fatal("others join to the same root")
		}
	})
}

func TestJoinRefuses(t *testing.T) {
	d := [32]byte{1}
	for _, x := range []struct {
		n    int
		bits []byte
	}{{0, []byte{1}}, {1, []byte{1}}, {2, nil}, {3, []byte{4, 4}}, {4, []byte{4, 5, 4}}} {
		if _, err := merkle.Join(slices.Repeat([][32]byte{d}, x.n), x.bits); !errors.Is(err, merkle.ErrShape) {
			t.Errorf("%d by %v: %v", x.n, x.bits, err)
		}
	}
	if root, err := merkle.Join(nil, nil); err != nil || root != [32]byte{} {
		t.Errorf("of nothing: %x, %v", root, err)
	}
}

func TestDigestRefuses(t *testing.T) {
	for _, keys := range [][][32]byte{{{2}, {1}}, {{1}, {1}}} {
		_, err := merkle.Digest(func(yield func([32]byte, []byte) bool) {
			for _, k := range keys {
				if !yield(k, nil) {
					return
				}
			}
		})
		if !errors.Is(err, merkle.ErrUnsorted) {
			t.Errorf("%x: %v", keys, err)
		}
	}
	bad := errors.New("bad")
	m := merkle.Map[text]{}.Put([32]byte{1}, "a").Put([32]byte{2}, "b")
	parts, _ := m.Cut(1)
	if _, err := merkle.Decode(all(m, parts), func(_ [32]byte, b []byte) (text, error) {
		if string(b) == "b" {
			return "", bad
		}
		return text(b), nil
	}); !errors.Is(err, bad) {
		t.Errorf("an entry that can't be decoded: %v", err)
	}
	if _, err := merkle.Decode(all(m, []merkle.Part{parts[1], parts[0]}), func(_ [32]byte, b []byte) (text, error) {
		return text(b), nil
	}); !errors.Is(err, merkle.ErrUnsorted) {
		t.Errorf("parts out of order: %v", err)
	}
}

// A map is cut, one part is sent, and checked by somebody who knows the root.
func ExampleJoin() {
	var m merkle.Map[text]
	for i := range 100 {
		m = m.Put([32]byte{byte(37 * i)}, text(fmt.Sprint("value ", i)))
	}
	parts, bits := m.Cut(1000)
	var list [][32]byte
	for _, p := range parts {
		list = append(list, p.Digest)
	}
	root, err := merkle.Join(list, bits)
	fmt.Println("the digests are the root's:", err == nil && root == m.Root())
	sent, err := merkle.Digest(m.Leaves(parts[3]))
	fmt.Println("the leaves are the part's:", err == nil && sent == list[3])
	// Output:
	// the digests are the root's: true
	// the leaves are the part's: true
}
