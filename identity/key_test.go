package identity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// The first did:key of the W3C test vectors.
const didKeyText = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"

func TestPublicKeyDIDKey(t *testing.T) {
	k, err := identity.ParsePublicKey(didKeyText)
	if err != nil {
		t.Fatal(err)
	}
	const want = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
	if got := fmt.Sprintf("%x", k[:]); got != want {
		t.Errorf("key %s, want %s", got, want)
	}
	if zero := identity.NewSigningKey(new([32]byte)); zero.Public() != k {
		t.Error("the vector's key is that of the zero seed")
	}
}

func TestPublicKeyRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := identity.PublicKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		if got, err := identity.ParseMultikey(k.Multikey()); err != nil || got != k {
			t.Fatal("multikey", got, err)
		}
		if got, err := identity.ParsePublicKey(k.String()); err != nil || got != k {
			t.Fatal("text", got, err)
		}
		b, err := dagcbor.Marshal(k)
		if err != nil || len(b) != 36 || b[0] != 0x58 {
			t.Fatalf("cbor %x, %v", b, err)
		}
		var got identity.PublicKey
		if err := dagcbor.Unmarshal(b, &got); err != nil || got != k {
			t.Fatal("cbor", got, err)
		}
		j, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(j, &got); err != nil || got != k {
			t.Fatal("json", got, err)
		}
	})
}

func TestPublicKeyRefuses(t *testing.T) {
	var k identity.PublicKey
	good := k.Multikey()
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:33], "long": append(bytes.Clone(good), 0),
		"X25519": append([]byte{0xec, 1}, good[2:]...), "varint too long": append([]byte{0xed, 0x81}, good[2:]...),
	} {
		if _, err := identity.ParseMultikey(b); !errors.Is(err, identity.ErrBadKey) {
			t.Errorf("multikey %s: %v", name, err)
		}
	}
	for _, s := range []string{
		"", "z", "Z" + didKeyText[1:], "f" + didKeyText[1:], didKeyText + "1", didKeyText[:40], "z1" + didKeyText[1:],
		strings.Replace(didKeyText, "k", "0", 1), "z" + strings.Repeat("1", 1<<16), " " + didKeyText, "z6MkiTBz1ymü",
	} {
		if _, err := identity.ParsePublicKey(s); !errors.Is(err, identity.ErrBadKey) {
			t.Errorf("text %.60q: %v", s, err)
		}
	}
	for _, b := range [][]byte{{0x40}, {0x58, 33}, append([]byte{0x58, 35}, make([]byte, 35)...), append([]byte{0x58, 34}, make([]byte, 34)...), {0x80}, {0xf6}} {
		if err := dagcbor.Unmarshal(b, &k); err == nil {
			t.Errorf("cbor %x accepted", b)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(didKeyText)
	f.Add("z")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := identity.ParsePublicKey(s); err == nil && k.String() != s {
			t.Fatalf("%q is another text of %s", s, k)
		}
	})
}

func TestPublicKeyZeroText(t *testing.T) {
	var zero, k identity.PublicKey
	b, err := zero.MarshalText()
	if err != nil || len(b) != 0 || !zero.IsZero() {
		t.Errorf("%q, %v", b, err)
	}
	k[0] = 1
	if err := k.UnmarshalText(nil); err != nil || !k.IsZero() {
		t.Errorf("%v, %v", k, err)
	}
}

// printed gives everything that ordinary code prints of v, alone and as an
// exported or unexported field.
func printed(t *testing.T, v any) string {
	t.Helper()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%o"} {
		fmt.Fprintf(&out, verb+"\n", v)
		fmt.Fprintf(&out, verb+"\n", struct{ Field any }{v})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	if b, err := json.Marshal(v); err == nil {
		t.Errorf("%T marshals to %s", v, b)
	}
	return out.String()
}

func TestSecretsAreNotPrinted(t *testing.T) {
	seed := [32]byte(bytes.Repeat([]byte{0xa7}, 32))
	e := identity.Entropy(seed)
	key := identity.NewSigningKey(&seed)
	p := e.Persona([32]byte{}, 0)
	type holder struct{ key identity.SigningKey }
	type owner struct{ persona identity.Persona }
	for name, out := range map[string]string{
		"Entropy": printed(t, e), "*Entropy": printed(t, &e),
		"SigningKey": printed(t, key), "*SigningKey": printed(t, &key),
		"Persona": printed(t, p), "unexported key": fmt.Sprintf("%v %+v %#v", holder{key}, holder{key}, holder{key}),
		"unexported persona": fmt.Sprintf("%v %#v", owner{p}, owner{p}),
	} {
		for _, leak := range []string{"a7a7", "A7A7", "167 167", "167, 167", "0xa7", "\xa7"} {
			if strings.Contains(out, leak) {
				t.Errorf("%s prints %q:\n%s", name, leak, out)
			}
		}
	}
}

func TestSigningKeyErase(t *testing.T) {
	k := identity.GenerateSigningKey()
	seed := k.Seed()
	if again := identity.NewSigningKey(&seed); again.Public() != k.Public() {
		t.Error("the seed gives another key")
	}
	copied := k
	pub := k.Public()
	k.Erase()
	if copied.Seed() != [32]byte{} || copied.Sign([]byte("m")) != [64]byte{} {
		t.Error("a copy still signs after Erase")
	}
	if copied.Public() != pub {
		t.Error("the public key is gone")
	}
	identity.SigningKey{}.Erase() // of no key: nothing to do
}
