package merkle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

type text string

func (s text) AppendLeaf(b []byte) []byte { return append(b, s...) }

// keyGen draws from few enough keys that they meet again, and from ones that
// an adversary ground: long shared prefixes, differences in any bit.
func keyGen() *rapid.Generator[[32]byte] {
	return rapid.Custom(func(t *rapid.T) (key [32]byte) {
		for range rapid.IntRange(0, 3).Draw(t, "ones") {
			i := rapid.SampledFrom([]int{0, 1, 2, 7, 8, 63, 64, 100, 254, 255}).Draw(t, "bit")
			key[i/8] |= 0x80 >> (i % 8)
		}
		return key
	})
}

// rootOf applies rules 3 to 5 to a plain Go map as they are written.
func rootOf(m map[[32]byte]text) [32]byte {
	if len(m) == 0 {
		return [32]byte{}
	}
	if len(m) == 1 {
		for k, v := range m {
			d := sha256.Sum256([]byte(v))
			return sha256.Sum256(slices.Concat([]byte{0}, k[:], d[:]))
		}
	}
	for i := range 256 {
		var sides [2]map[[32]byte]text
		for k, v := range m {
			s := k[i/8] >> (7 - i%8) & 1
			if sides[s] == nil {
				sides[s] = map[[32]byte]text{}
			}
			sides[s][k] = v
		}
		if len(sides[0]) > 0 && len(sides[1]) > 0 {
			l, r := rootOf(sides[0]), rootOf(sides[1])
			b := binary.BigEndian.AppendUint16([]byte{1}, uint16(i))
			return sha256.Sum256(slices.Concat(b, l[:], r[:]))
		}
	}
	panic("equal keys")
}

func compareKeys(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }

// under returns the entries of m that share n bits with prefix.
func under(m map[[32]byte]text, prefix [32]byte, n int) map[[32]byte]text {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(k [32]byte, _ text) bool { return criticalBit(&k, &prefix) < n })
	return m
}

func checkEntries(t *rapid.T, what string, got iter.Seq2[[32]byte, text], want map[[32]byte]text) {
	t.Helper()
	order := slices.SortedFunc(maps.Keys(want), compareKeys)
	i := 0
	for k, v := range got {
		if i == len(order) || k != order[i] || v != want[k] {
			t.Fatalf("%s: entry %d is %x=%q", what, i, k, v)
		}
		i++
	}
	if i != len(order) {
		t.Fatalf("%s: %d entries, want %d", what, i, len(order))
	}
}

func checkSame(t *rapid.T, m Map[text], want map[[32]byte]text) {
	t.Helper()
	if m.Len() != len(want) || m.Root() != rootOf(want) {
		t.Fatalf("Len %d, Root %x; want %d, %x", m.Len(), m.Root(), len(want), rootOf(want))
	}
	checkEntries(t, "All", m.All(), want)
}

// Every version equals a plain map that had the same calls, and stays so.
func TestMapLikePlainMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type version struct {
			m    Map[text]
			want map[[32]byte]text
		}
		versions := []version{{want: map[[32]byte]text{}}}
		for range rapid.IntRange(0, 40).Draw(t, "calls") {
			old := versions[rapid.IntRange(0, len(versions)-1).Draw(t, "version")]
			v := version{old.m, maps.Clone(old.want)}
			key := keyGen().Draw(t, "key")
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				v.m = v.m.Delete(key)
				delete(v.want, key)
			} else {
				val := text(rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "value"))
				v.m = v.m.Put(key, val)
				v.want[key] = val
			}
			if rapid.Bool().Draw(t, "early root") {
				v.m.Root()
			}
			versions = append(versions, v)
		}
		for _, v := range versions {
			checkSame(t, v.m, v.want)
			key := keyGen().Draw(t, "key")
			got, ok := v.m.Get(key)
			if want, held := v.want[key]; got != want || ok != held || v.m.Has(key) != held {
				t.Fatalf("Get(%x) = %q, %v", key, got, ok)
			}
			checkRanges(t, v.m, v.want)
		}
	})
}

func checkRanges(t *rapid.T, m Map[text], want map[[32]byte]text) {
	t.Helper()
	start, n := keyGen().Draw(t, "start"), rapid.IntRange(-1, 257).Draw(t, "bits")
	rest := maps.Clone(want)
	maps.DeleteFunc(rest, func(k [32]byte, _ text) bool { return compareKeys(k, start) < 0 })
	checkEntries(t, "From", m.From(start), rest)
	part := under(want, start, min(n, KeyBits))
	checkEntries(t, "Under", m.Under(start, n), part)
	if digest, count := m.Range(start, n); digest != rootOf(part) || count != len(part) {
		t.Fatalf("Range(%x, %d) = %x, %d; want %x, %d", start, n, digest, count, rootOf(part), len(part))
	}
}

// One root, whatever the order of insertions and the detours on the way.
func TestRootOrderIndependent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(keyGen(), rapid.Map(rapid.String(), func(s string) text { return text(s) })).Draw(t, "entries")
		extra := rapid.SliceOf(keyGen()).Draw(t, "extra")
		order := slices.SortedFunc(maps.Keys(want), compareKeys)
		sorted, err := FromSorted(func(yield func([32]byte, text) bool) {
			for _, k := range order {
				if !yield(k, want[k]) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		checkSame(t, sorted, want)
		var m Map[text]
		for _, k := range extra {
			m = m.Put(k, "detour")
		}
		for _, k := range rapid.Permutation(order).Draw(t, "order") {
			m = m.Put(k, want[k])
		}
		for _, k := range extra {
			if _, ok := want[k]; !ok {
				m = m.Delete(k)
			}
		}
		checkSame(t, m, want)
	})
}

// Rules 3 to 5 against digests computed by other means (coreutils' sha256sum).
func TestRootVectors(t *testing.T) {
	one, two := [32]byte{}, [32]byte{0: 0x80}
	var m Map[text]
	for _, c := range []struct {
		name string
		m    Map[text]
		want string
	}{
		{"no entries", m, "0000000000000000000000000000000000000000000000000000000000000000"},
		{"one", m.Put(one, "x"), "3f007fca7e1b149eb764b5b2aa538f7555ac816f0b1ea0ec116dd6607d917425"},
		{"two", m.Put(one, "x").Put(two, ""), "c931bb244b2f46787f086456bf90fd988688cda87c7195d5afcb571bc50e0f45"},
	} {
		if got := c.m.Root(); hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: root %x, want %s", c.name, got, c.want)
		}
	}
}

// The deepest map there is: each key leaves the path of the one before at the
// next bit.
func TestDepth(t *testing.T) {
	var m Map[text]
	var last [32]byte
	m = m.Put(last, "end")
	for i := KeyBits - 1; i >= 0; i-- {
		var k [32]byte
		k[i/8] = 0x80 >> (i % 8)
		m = m.Put(k, "x")
	}
	p := m.Prove(last)
	if len(p.steps) != KeyBits {
		t.Fatalf("%d steps", len(p.steps))
	}
	b, err := p.MarshalCBOR()
	if err != nil || len(b) > maxProof {
		t.Fatalf("%d bytes: %v", len(b), err)
	}
	if p, err = ParseProof(b); err != nil {
		t.Fatal(err)
	}
	if err := VerifyPresent(m.Root(), last, []byte("end"), p); err != nil {
		t.Fatal(err)
	}
	for k := range m.All() {
		m = m.Delete(k)
	}
	if m.Len() != 0 || m.Root() != [32]byte{} {
		t.Fatal("deleting every key does not give the empty map")
	}
}

func TestFromSortedRefusesDisorder(t *testing.T) {
	a, b := [32]byte{31: 1}, [32]byte{31: 2}
	for _, ks := range [][][32]byte{{a, a}, {b, a}} {
		if _, err := SetFromSorted(slices.Values(ks)); !errors.Is(err, ErrUnsorted) {
			t.Errorf("%x: %v", ks, err)
		}
	}
}

// Iterations end when the loop does.
func TestIterationStops(t *testing.T) {
	s := setOf(t, 100)
	first := [32]byte{}
	for name, seq := range map[string]iter.Seq[[32]byte]{
		"All": s.All(), "From": s.From(first), "Under": s.Under(first, 0),
	} {
		n := 0
		for range seq {
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("%s: %d keys", name, n)
		}
	}
}

// Readers of one version may all be the first to want its digests (-race).
func TestConcurrentReaders(t *testing.T) {
	for range 20 {
		s := setOf(t, 300)
		roots := make([][32]byte, 8)
		var wg sync.WaitGroup
		for i := range roots {
			wg.Go(func() {
				d := s
				for k := range s.From([32]byte{byte(i * 32)}) {
					d = d.Delete(k).Add(k)
					break
				}
				s.Range([32]byte{byte(i)}, 5)
				if roots[i] = d.Root(); roots[i] != s.Root() {
					roots[i] = [32]byte{}
				}
			})
		}
		wg.Wait()
		for _, r := range roots {
			if r != roots[0] || r == ([32]byte{}) {
				t.Fatalf("roots differ: %x", roots)
			}
		}
	}
}

// numbered returns n distinct keys that look like ids, ascending.
func numbered(n int) [][32]byte {
	src := rand.NewChaCha8([32]byte{'m'})
	out := make([][32]byte, n)
	for i := range out {
		_, _ = src.Read(out[i][:]) // never fails
	}
	slices.SortFunc(out, compareKeys)
	return out
}

func setOf(tb testing.TB, n int) Set {
	tb.Helper()
	s, err := SetFromSorted(slices.Values(numbered(n)))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
