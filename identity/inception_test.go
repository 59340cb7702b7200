package identity_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

func goodInception() identity.Inception {
	return identity.Inception{
		Next:  identity.Commit(identity.PublicKey{1}),
		Nonce: [16]byte{2},
		Name:  "Ana Ñusta",
		Guardians: &identity.Guardians{
			Threshold: 2,
			Hashes:    []identity.Digest{{1}, {2}, {3}},
			Delay:     identity.DefaultGuardianDelay,
		},
	}
}

func TestInceptionRoundTrip(t *testing.T) {
	bare := goodInception()
	bare.Name, bare.Guardians = "", nil
	for _, in := range []identity.Inception{goodInception(), bare} {
		b, err := dagcbor.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, append([]byte{0x58, 32}, in.Next[:]...)) || !bytes.Contains(b, append([]byte{0x50}, in.Nonce[:]...)) {
			t.Errorf("digests are not byte strings: %x", b)
		}
		got, err := identity.ParseInception(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := dagcbor.Marshal(got)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x, again %x, %v", b, again, err)
		}
	}
}

func TestInceptionValidate(t *testing.T) {
	if err := goodInception().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*identity.Inception){
		"no next key":         func(i *identity.Inception) { i.Next = identity.Digest{} },
		"name of 65 bytes":    func(i *identity.Inception) { i.Name = strings.Repeat("a", 65) },
		"name not UTF-8":      func(i *identity.Inception) { i.Name = "a\xff" },
		"new line":            func(i *identity.Inception) { i.Name = "a\nb" },
		"C1":                  func(i *identity.Inception) { i.Name = "a\u0085b" },
		"override":            func(i *identity.Inception) { i.Name = "a\u202eb" },
		"isolate":             func(i *identity.Inception) { i.Name = "a\u2066b" },
		"zero width space":    func(i *identity.Inception) { i.Name = "a\u200bb" },
		"tag characters":      func(i *identity.Inception) { i.Name = "a\U000e0041" },
		"leading space":       func(i *identity.Inception) { i.Name = " a" },
		"trailing space":      func(i *identity.Inception) { i.Name = "a\u00a0" },
		"no guardians in set": func(i *identity.Inception) { i.Guardians.Hashes = nil },
		"17 guardians": func(i *identity.Inception) {
			i.Guardians.Hashes = nil
			for n := range 17 {
				i.Guardians.Hashes = append(i.Guardians.Hashes, identity.Digest{byte(n)})
			}
		},
		"threshold 0":        func(i *identity.Inception) { i.Guardians.Threshold = 0 },
		"threshold 4 of 3":   func(i *identity.Inception) { i.Guardians.Threshold = 4 },
		"one guardian twice": func(i *identity.Inception) { i.Guardians.Hashes[1] = i.Guardians.Hashes[0] },
		"not ascending": func(i *identity.Inception) {
			h := i.Guardians.Hashes
			h[0], h[1] = h[1], h[0]
		},
		"delay too short": func(i *identity.Inception) { i.Guardians.Delay = identity.MinGuardianDelay - 1 },
		"delay too long":  func(i *identity.Inception) { i.Guardians.Delay = identity.MaxGuardianDelay + 1 },
	} {
		in := goodInception()
		if spoil(&in); in.Validate() == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if b, err := dagcbor.Marshal(in); err == nil {
			if _, err := identity.ParseInception(b); err == nil {
				t.Errorf("%s: parsed", name)
			}
		}
	}
}

func TestValidNameAllows(t *testing.T) {
	for _, s := range []string{"", "a", "Ana María", "علی\u200cرضا", "क्\u200dष", "👩\u200d🌾", "李", "O'Neill-İ", strings.Repeat("é", 32)} {
		if err := identity.ValidName(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestGrant(t *testing.T) {
	g := identity.Grant{Device: identity.PublicKey{9}, Expires: 1_800_000_000}
	b, err := dagcbor.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := identity.ParseGrant(b); err != nil || got != g {
		t.Errorf("%v, %v", got, err)
	}
	for name, bad := range map[string]identity.Grant{
		"no device": {Expires: 1}, "no expiry": {Device: g.Device}, "before 1970": {Device: g.Device, Expires: -1},
	} {
		b, err := dagcbor.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.ParseGrant(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// One value has one encoding: fixed sizes are exact, nothing is missing, and
// what is empty is left out.
func TestBodiesHaveOneEncoding(t *testing.T) {
	digest := func(n int) []byte { return bytes.Repeat([]byte{1}, n) }
	nonce := digest(16)
	for name, v := range map[string]map[string]any{
		"short digest":       {"next": digest(31), "nonce": nonce},
		"long digest":        {"next": digest(33), "nonce": nonce},
		"digest of numbers":  {"next": []int{1, 2, 3}, "nonce": nonce},
		"short nonce":        {"next": digest(32), "nonce": nonce[:15]},
		"no nonce":           {"next": digest(32)},
		"no digest":          {"nonce": nonce},
		"null":               {"next": digest(32), "nonce": nil},
		"empty name written": {"next": digest(32), "nonce": nonce, "name": ""},
		"null guardians":     {"next": digest(32), "nonce": nonce, "guard": nil},
		"unknown field":      {"next": digest(32), "nonce": nonce, "more": 1},
	} {
		b, err := dagcbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.ParseInception(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	b, err := dagcbor.Marshal(map[string]any{"next": digest(32), "nonce": nonce})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.ParseInception(b); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func FuzzParseInception(f *testing.F) {
	b, err := dagcbor.Marshal(goodInception())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := identity.ParseInception(b)
		if err != nil {
			return
		}
		if again, err := dagcbor.Marshal(in); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("another encoding of one value: %x, %v", b, err)
		}
	})
}

func FuzzParseGrant(f *testing.F) {
	b, err := dagcbor.Marshal(identity.Grant{Device: identity.PublicKey{9}, Expires: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := identity.ParseGrant(b)
		if err != nil {
			return
		}
		if again, err := dagcbor.Marshal(g); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("another encoding of one value: %x, %v", b, err)
		}
	})
}

func TestGuardianHashSalted(t *testing.T) {
	a := identity.GuardianHash([16]byte{1}, [32]byte{2})
	if a == identity.GuardianHash([16]byte{2}, [32]byte{2}) || a == identity.GuardianHash([16]byte{1}, [32]byte{3}) {
		t.Error("salt or guardian does not count")
	}
}

// Digests and nonces are exact by themselves, wherever they are decoded.
func TestFixedSizes(t *testing.T) {
	for n := range 40 {
		b, err := dagcbor.Marshal(make([]byte, n))
		if err != nil {
			t.Fatal(err)
		}
		var d identity.Digest
		var nonce identity.Nonce
		if err := dagcbor.Unmarshal(b, &d); (err == nil) != (n == 32) {
			t.Errorf("a digest of %d bytes: %v", n, err)
		}
		if err := dagcbor.Unmarshal(b, &nonce); (err == nil) != (n == 16) {
			t.Errorf("a nonce of %d bytes: %v", n, err)
		}
	}
}

// Size is refused before anything is decoded.
func TestBodiesAreBounded(t *testing.T) {
	b, err := dagcbor.Marshal(map[string][]byte{"x": make([]byte, 4096)})
	if err != nil {
		t.Fatal(err)
	}
	_, inception := identity.ParseInception(b)
	_, grant := identity.ParseGrant(b)
	_, binding := identity.ParseBinding(b)
	for _, err := range []error{inception, grant, binding} {
		if err == nil || !strings.Contains(err.Error(), "at most") {
			t.Error(err)
		}
	}
}
