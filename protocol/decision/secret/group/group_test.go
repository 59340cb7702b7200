package group_test

import (
	"bufio"
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gtank/ristretto255"
	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// order is the group's order, little endian.
var order, _ = hex.DecodeString("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scalars draws any, and with a good chance one at an end of the range.
func scalars() *rapid.Generator[group.Scalar] {
	return rapid.Custom(func(t *rapid.T) group.Scalar {
		if rapid.Bool().Draw(t, "small") {
			return group.Integer(rapid.Int64Range(-20, 20).Draw(t, "n"))
		}
		wide := [64]byte(rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "wide"))
		return group.Reduce(&wide)
	})
}

func TestRFC9496(t *testing.T) {
	f, err := os.Open("testdata/rfc9496.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var seen [3]int
	for in := bufio.NewScanner(f); in.Scan(); {
		word, rest, _ := strings.Cut(in.Text(), " ")
		enc, text, _ := strings.Cut(rest, " ")
		switch word {
		case "multiple":
			p, err := group.ParsePoint(unhex(t, enc))
			want := group.Base(group.Number(uint64(seen[0])))
			got := want.Bytes()
			if err != nil || !p.Equal(want) || hex.EncodeToString(got[:]) != enc {
				t.Errorf("%d·G is %x, not %s (%v)", seen[0], got, enc, err)
			}
			seen[0]++
		case "refused":
			if _, err := group.ParsePoint(unhex(t, enc)); err == nil {
				t.Errorf("takes %s", enc)
			}
			seen[1]++
		case "mapped":
			h := sha512.Sum512([]byte(text))
			e, err := ristretto255.NewIdentityElement().SetUniformBytes(h[:])
			if err != nil {
				t.Fatal(err)
			}
			if p, err := group.ParsePoint(unhex(t, enc)); err != nil || !bytes.Equal(e.Bytes(), unhex(t, enc)) || p.IsIdentity() {
				t.Errorf("%q maps to %x, not %s (%v)", text, e.Bytes(), enc, err)
			}
			seen[2]++
		}
	}
	if seen != [3]int{16, 29, 7} {
		t.Fatalf("read %d vectors", seen)
	}
}

// TestRFC9591: Shamir's shares, and Feldman's check of them, as FROST has them
// for this group (RFC 9591 appendix E.3).
func TestRFC9591(t *testing.T) {
	var v struct {
		Secret         string
		Coefficient1   string
		Shares         []string
		GroupPublicKey string
	}
	b, err := os.ReadFile(shared(t, "ristretto/frost-shamir.json"))
	if err != nil {
		t.Skipf("the published vectors are not here: %v", err)
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Shares) != 3 {
		t.Fatal(err, len(v.Shares))
	}
	parse := func(s string) group.Scalar {
		x, err := group.ParseScalar(unhex(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	secret, slope := parse(v.Secret), parse(v.Coefficient1)
	key := group.Base(secret).Bytes()
	if hex.EncodeToString(key[:]) != v.GroupPublicKey {
		t.Errorf("the key is %x", key)
	}
	for i, s := range v.Shares {
		at := group.Number(uint64(i + 1))
		if !secret.Add(at.Mul(slope)).Equal(parse(s)) {
			t.Errorf("share %d is another", i+1)
		}
		if !group.Base(parse(s)).Equal(group.Base(secret).Add(group.Base(slope).Mul(at))) {
			t.Errorf("share %d fails Feldman's check", i+1)
		}
	}
	// From shares 1 and 3: λ_1 = 3/(3−1), λ_3 = 1/(1−3).
	half := group.Number(2).Inverse()
	if got := group.Number(3).Mul(half).Mul(parse(v.Shares[0])).Sub(half.Mul(parse(v.Shares[2]))); !got.Equal(secret) {
		t.Error("two shares give another secret")
	}
}

func shared(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && filepath.Dir(dir) != dir {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return filepath.Join(dir, "..", "shared", "testdata", name)
}

func TestScalarsAreCanonical(t *testing.T) {
	n := new(big.Int).SetBytes(reversed(order))
	for add := int64(-2); add <= 40; add++ {
		b := reversed(new(big.Int).Add(n, big.NewInt(add)).FillBytes(make([]byte, 32)))
		s, err := group.ParseScalar(b)
		if (err == nil) != (add < 0) {
			t.Errorf("order%+d: %v", add, err)
		}
		if add < 0 && !s.Equal(group.Integer(add)) {
			t.Errorf("order%+d is another number", add)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 31), make([]byte, 33), bytes.Repeat([]byte{255}, 32)} {
		if _, err := group.ParseScalar(b); err == nil {
			t.Errorf("takes %x", b)
		}
	}
}

func reversed(b []byte) []byte { b = slices.Clone(b); slices.Reverse(b); return b }

func TestPointsOfOtherLengths(t *testing.T) {
	g := group.Generator().Bytes()
	for _, b := range [][]byte{nil, g[:31], append(slices.Clone(g[:]), 0)} {
		if _, err := group.ParsePoint(b); err == nil {
			t.Errorf("takes %x", b)
		}
	}
}

func TestIdentityIsNoKey(t *testing.T) {
	zero := make([]byte, group.Size)
	if p, err := group.ParsePoint(zero); err != nil || !p.IsIdentity() {
		t.Error("the identity is a point", err)
	}
	if _, err := group.ParseKey(zero); err == nil {
		t.Error("the identity is taken for a key")
	}
	g := group.Generator().Bytes()
	if p, err := group.ParseKey(g[:]); err != nil || !p.Equal(group.Generator()) {
		t.Error("the generator is a key", err)
	}
}

func TestZeroValues(t *testing.T) {
	var p group.Point
	one := group.Number(1)
	for what, q := range map[string]group.Point{
		"sum": p.Add(p), "difference": p.Sub(p), "multiple": p.Mul(one),
		"combination": group.Combine([]group.Scalar{one}, []group.Point{p}),
		"public":      group.VarTimeCombine([]group.Scalar{one}, []group.Point{p}),
		"with base":   group.VarTimeWithBase(one, p, group.Scalar{}),
	} {
		if !q.IsIdentity() || q.Bytes() != [group.Size]byte{} {
			t.Errorf("the %s of zero points is %x", what, q.Bytes())
		}
	}
}

func TestErase(t *testing.T) {
	s := group.Number(77)
	s.Erase()
	if s.Bytes() != (group.Scalar{}).Bytes() || s != (group.Scalar{}) {
		t.Errorf("%x is left", s.Bytes())
	}
}

// TestLaws: every way to multiply gives the same, and points keep what they
// decode from.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := scalars().Draw(t, "a"), scalars().Draw(t, "b")
		p := group.Base(scalars().Draw(t, "p"))
		want := p.Mul(a).Add(group.Base(b))
		s, ps := []group.Scalar{a, b}, []group.Point{p, group.Generator()}
		for what, got := range map[string]group.Point{
			"Combine": group.Combine(s, ps), "VarTimeCombine": group.VarTimeCombine(s, ps),
			"VarTimeWithBase": group.VarTimeWithBase(a, p, b), "distributed": p.Mul(a.Sub(b)).Add(p.Mul(b)).Add(group.Base(b)),
		} {
			if !got.Equal(want) || got.Bytes() != want.Bytes() {
				t.Errorf("%s differs", what)
			}
		}
		enc := want.Bytes()
		if q, err := group.ParsePoint(enc[:]); err != nil || !q.Equal(want) || q.Bytes() != enc {
			t.Errorf("%x does not come back: %v", enc, err)
		}
		sb := a.Bytes()
		if x, err := group.ParseScalar(sb[:]); err != nil || !x.Equal(a) {
			t.Errorf("%x does not come back: %v", sb, err)
		}
		if !a.Equal(group.Scalar{}) && !a.Mul(a.Inverse()).Equal(group.Number(1)) {
			t.Error("a/a is not 1")
		}
	})
}

func FuzzParsePoint(f *testing.F) {
	g := group.Generator().Bytes()
	f.Add(g[:])
	f.Add(make([]byte, group.Size))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := group.ParsePoint(b); err == nil {
			again, enc := p.Add(group.Generator()).Sub(group.Generator()).Bytes(), p.Bytes()
			if !bytes.Equal(enc[:], b) || again != enc {
				t.Fatalf("%x is taken and is %x", b, again)
			}
		}
		if s, err := group.ParseScalar(b); err == nil {
			if enc := s.Bytes(); !bytes.Equal(enc[:], b) {
				t.Fatalf("%x is taken and is %x", b, enc)
			}
		}
	})
}
