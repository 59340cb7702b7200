package identity_test

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
)

// pinned is the persona of the pinned vector: E = 00 01 … 1f, the metastate id
// SHA-256("example-metastate"), index 0.
func pinned() identity.Persona {
	var e identity.Entropy
	for i := range e {
		e[i] = byte(i)
	}
	return e.Persona(sha256.Sum256([]byte("example-metastate")), 0)
}

func TestDerivationPinned(t *testing.T) {
	p := pinned()
	k0, k1, c1 := p.SigningKey(0).Public(), p.SigningKey(1).Public(), p.Commitment(1)
	for _, v := range []struct {
		name string
		got  []byte
		want string
	}{
		{"K0", k0[:], "15c32c4b6e6188d25b8f905e5e5a10b7b124fc4a7c0f611e69f56295b9a232c6"},
		{"K1", k1[:], "308b6dc00cd6f91193cb0b210bf86772e803a8579040adb8ee30b0cadb7e9057"},
		{"C(1)", c1[:], "126e0b97e2eea96cec97fc1d3a56269c688f05bef7fcf5561f5c6a367b5dc90d"},
		{"Khpke(1)", p.HPKEKey(1).PublicKey().Bytes(), "967a646fc2a8d697c31d847326a653e04262eb79bca5fda98ec74fc0e6d23b28"},
	} {
		if got := hex.EncodeToString(v.got); got != v.want {
			t.Errorf("%s = %s, want %s", v.name, got, v.want)
		}
	}
}

// The intermediate secret P of the pinned vector, and the construction as the
// design writes it.
func TestDerivationConstruction(t *testing.T) {
	e := make([]byte, 32)
	for i := range e {
		e[i] = byte(i)
	}
	ms := sha256.Sum256([]byte("example-metastate"))
	prk, err := hkdf.Extract(sha256.New, e, []byte("metastate/root/v1"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := hkdf.Expand(sha256.New, prk, "persona/v1\x00"+string(ms[:])+"\x00\x00\x00\x00", 32)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(p); got != "ccdab71a0e8d1c81064d6fc1134bae166fd2010de436e3481da314ba4cabef29" {
		t.Errorf("P = %s", got)
	}
	seed, err := hkdf.Expand(sha256.New, p, "persona-sign/v1\x00"+string(binary.BigEndian.AppendUint32(nil, 7)), 32)
	if err != nil {
		t.Fatal(err)
	}
	if got := pinned().SigningKey(7).Seed(); got != [32]byte(seed) {
		t.Errorf("seed of K7 = %x, want %x", got, seed)
	}
}

// Law: whatever differs among entropy, metastate, index and number, no key is
// the same.
func TestDerivationSeparates(t *testing.T) {
	seen := map[identity.PublicKey]string{}
	rapid.Check(t, func(t *rapid.T) {
		e := identity.Entropy{byte(rapid.IntRange(0, 3).Draw(t, "e"))}
		ms := [32]byte{31: byte(rapid.IntRange(0, 3).Draw(t, "ms"))}
		i := rapid.SampledFrom([]uint32{0, 1, 256, 1 << 31}).Draw(t, "index")
		n := rapid.SampledFrom([]uint32{0, 1, 256, 1 << 31}).Draw(t, "n")
		at := fmt.Sprint([32]byte(e), ms, i, n)
		k := e.Persona(ms, i).SigningKey(n).Public()
		if was, ok := seen[k]; ok && was != at {
			t.Fatalf("one key at %s and %s", was, at)
		}
		seen[k] = at
	})
}

func TestInviteKeyPinned(t *testing.T) {
	ms := sha256.Sum256([]byte("example-metastate"))
	seed, err := hkdf.Key(sha256.New, []byte("0123456789abcdef"), []byte("metastate/invite-key/v1"), string(ms[:]), 32)
	if err != nil {
		t.Fatal(err)
	}
	k := identity.InviteKey([16]byte([]byte("0123456789abcdef")), ms)
	if k.Seed() != [32]byte(seed) {
		t.Errorf("seed %x, want %x", k.Seed(), seed)
	}
	if got := k.Public().String(); got != invitePinned {
		t.Errorf("key %s, pinned %s", got, invitePinned)
	}
	if identity.InviteKey([16]byte([]byte("0123456789abcdef")), [32]byte{}).Public() == k.Public() {
		t.Error("an invite's key is the same in another metastate")
	}
}

const invitePinned = "z6MkpFj7ZqxcDAaN5CVxwV1xKpSAeRpXK4kGePkwpSeRAvE3"

func TestPersonaErase(t *testing.T) {
	p := pinned()
	before := p.SigningKey(0).Public()
	p.Erase()
	if p.SigningKey(0).Public() == before {
		t.Error("the persona still gives its key after Erase")
	}
	e := identity.GenerateEntropy()
	if e.Erase(); e != (identity.Entropy{}) {
		t.Error("the entropy is still there")
	}
}

// The stdlib's HKDF is what derivation rests on.
func TestHKDFWycheproof(t *testing.T) {
	var file struct {
		TestGroups []struct {
			Tests []struct {
				TcID                         int
				IKM, Salt, Info, OKM, Result string
				Size                         int
			}
		}
	}
	readShared(t, "wycheproof/hkdf_sha256.json.gz", &file)
	n := 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			n++
			got, err := hkdf.Key(sha256.New, unhex(t, v.IKM), unhex(t, v.Salt), string(unhex(t, v.Info)), v.Size)
			if ok := err == nil && hex.EncodeToString(got) == v.OKM; ok != (v.Result == "valid") {
				t.Errorf("tcId %d: %v, want %s", v.TcID, ok, v.Result)
			}
		}
	}
	if n != 86 {
		t.Errorf("%d vectors, want 86", n)
	}
}

// TestGuardianSalt: salts follow from the persona's secret, and differ for each
// guardian.
func TestGuardianSalt(t *testing.T) {
	p, guardian := pinned(), sha256.Sum256([]byte("guardian"))
	secret, err := hex.DecodeString("ccdab71a0e8d1c81064d6fc1134bae166fd2010de436e3481da314ba4cabef29") // P, as above
	if err != nil {
		t.Fatal(err)
	}
	want, err := hkdf.Expand(sha256.New, secret, "guardian-salt/v1\x00"+string(guardian[:]), 16)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.GuardianSalt(guardian); got != identity.Nonce(want) {
		t.Errorf("salt %x, want %x", got, want)
	}
	if p.GuardianSalt(guardian) == p.GuardianSalt([32]byte{1}) {
		t.Error("two guardians have one salt")
	}
}
