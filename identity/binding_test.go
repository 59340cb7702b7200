package identity_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

func goodBinding(device identity.SigningKey) identity.Binding {
	return identity.Binding{
		Metastate: identity.Digest{1}, Persona: identity.Digest{2}, Device: device.Public(),
		PeerID: []byte{0, 0x24, 8, 1}, Addrs: []string{"/ip4/192.0.2.1/tcp/4001"},
		Issued: 1_700_000_000, Expires: 1_700_086_400,
	}
}

func fixedKey() identity.SigningKey { return identity.NewSigningKey(&[32]byte{42}) }

func TestBindingRoundTrip(t *testing.T) {
	k := fixedKey()
	for _, addrs := range [][]string{nil, {"/dns/a.example/udp/1/quic-v1"}} {
		b := goodBinding(k)
		b.Addrs = addrs
		wire, err := identity.SignBinding(b, k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := identity.ParseBinding(wire)
		if err != nil || !reflect.DeepEqual(got, b) {
			t.Errorf("%+v, %v; want %+v", got, err, b)
		}
	}
	b := goodBinding(k)
	b.Relay = true
	b.Lobby = &identity.Lobby{PeerID: []byte{0, 0x24, 8, 2}, Addrs: []string{"/ip4/192.0.2.1/tcp/4002"}}
	wire, err := identity.SignBinding(b, k)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := identity.ParseBinding(wire); err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("%+v, %v; want %+v", got, err, b)
	}
	if !b.CurrentAt(b.Expires-1) || b.CurrentAt(b.Expires) {
		t.Error("the expiry is not the first second out of force")
	}
}

// The largest binding allowed fits the size allowed.
func TestBindingLargest(t *testing.T) {
	k := fixedKey()
	b := goodBinding(k)
	b.PeerID = make([]byte, identity.MaxPeerIDBytes)
	b.Addrs = nil
	for range identity.MaxBindingAddrs {
		b.Addrs = append(b.Addrs, strings.Repeat("a", identity.MaxAddrBytes))
	}
	b.Lobby = &identity.Lobby{PeerID: make([]byte, identity.MaxPeerIDBytes), Addrs: b.Addrs[:identity.MaxLobbyAddrs]}
	b.Relay = true
	b.Issued, b.Expires = 1<<62, 1<<62+identity.MaxBindingLife
	wire, err := identity.SignBinding(b, k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.ParseBinding(wire); err != nil {
		t.Errorf("%d bytes: %v", len(wire), err)
	}
}

func TestBindingRefuses(t *testing.T) {
	k := fixedKey()
	for name, spoil := range map[string]func(*identity.Binding){
		"no metastate":      func(b *identity.Binding) { b.Metastate = identity.Digest{} },
		"no persona":        func(b *identity.Binding) { b.Persona = identity.Digest{} },
		"no peer":           func(b *identity.Binding) { b.PeerID = nil },
		"peer of 65 bytes":  func(b *identity.Binding) { b.PeerID = make([]byte, 65) },
		"9 addresses":       func(b *identity.Binding) { b.Addrs = strings.Split("a/a/a/a/a/a/a/a/a", "/") },
		"empty address":     func(b *identity.Binding) { b.Addrs = []string{""} },
		"address too long":  func(b *identity.Binding) { b.Addrs = []string{strings.Repeat("a", 161)} },
		"address not ASCII": func(b *identity.Binding) { b.Addrs = []string{"/dns/ä"} },
		"address with DEL":  func(b *identity.Binding) { b.Addrs = []string{"/dns/\x7f"} },
		"lobby of no peer":  func(b *identity.Binding) { b.Lobby = &identity.Lobby{Addrs: b.Addrs} },
		"lobby of 65 bytes": func(b *identity.Binding) { b.Lobby = &identity.Lobby{PeerID: make([]byte, 65), Addrs: b.Addrs} },
		"lobby nowhere":     func(b *identity.Binding) { b.Lobby = &identity.Lobby{PeerID: b.PeerID} },
		"lobby at 5 addresses": func(b *identity.Binding) {
			b.Lobby = &identity.Lobby{PeerID: b.PeerID, Addrs: strings.Split("a/a/a/a/a", "/")}
		},
		"lobby's address not ASCII": func(b *identity.Binding) { b.Lobby = &identity.Lobby{PeerID: b.PeerID, Addrs: []string{"/dns/ä"}} },
		"not issued":                func(b *identity.Binding) { b.Issued = 0 },
		"never in force":            func(b *identity.Binding) { b.Expires = b.Issued },
		"in force too long":         func(b *identity.Binding) { b.Expires = b.Issued + identity.MaxBindingLife + 1 },
		"overflowing life":          func(b *identity.Binding) { b.Issued, b.Expires = -1<<63, 1<<63-1 },
	} {
		b := goodBinding(k)
		spoil(&b)
		if _, err := identity.SignBinding(b, k); !errors.Is(err, identity.ErrBadBinding) {
			t.Errorf("%s: signing: %v", name, err)
		}
		if _, err := identity.ParseBinding(forge(t, b, k, "metastate/binding/v1\x00")); !errors.Is(err, identity.ErrBadBinding) {
			t.Errorf("%s: parsing: %v", name, err)
		}
	}
	other := identity.GenerateSigningKey()
	if _, err := identity.SignBinding(goodBinding(k), other); err == nil {
		t.Error("signed by another key than the device's")
	}
	if _, err := identity.ParseBinding(forge(t, goodBinding(k), other, "metastate/binding/v1\x00")); err == nil {
		t.Error("parsed though signed by another key")
	}
	if _, err := identity.ParseBinding(forge(t, goodBinding(k), k, "metastate/other/v1\x00")); err == nil {
		t.Error("parsed though signed for another domain")
	}
	if _, err := identity.ParseBinding(forge(t, goodBinding(k), k, "metastate/binding/v1\x00")); err != nil {
		t.Errorf("the forge makes no good binding: %v", err)
	}
}

// forge signs b without SignBinding's checks.
func forge(t *testing.T, b identity.Binding, k identity.SigningKey, label string) []byte {
	t.Helper()
	body, err := dagcbor.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	sig := k.Sign(append([]byte(label), body...))
	wire, err := dagcbor.Marshal(map[string]any{"body": body, "sig": sig[:]})
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// No change of a bit or of the length goes unseen.
func TestBindingEveryBit(t *testing.T) {
	k := fixedKey()
	wire, err := identity.SignBinding(goodBinding(k), k)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(wire) * 8 {
		bad := bytes.Clone(wire)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := identity.ParseBinding(bad); !errors.Is(err, identity.ErrBadBinding) {
			t.Errorf("bit %d: %v", i, err)
		}
	}
	for n := range wire {
		if _, err := identity.ParseBinding(wire[:n]); !errors.Is(err, identity.ErrBadBinding) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := identity.ParseBinding(append(bytes.Clone(wire), 0)); !errors.Is(err, identity.ErrBadBinding) {
		t.Error("a byte more:", err)
	}
}

func FuzzParseBinding(f *testing.F) {
	k := fixedKey()
	wire, err := identity.SignBinding(goodBinding(k), k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Fuzz(func(t *testing.T, wire []byte) {
		b, err := identity.ParseBinding(wire)
		if err != nil {
			return
		}
		if b.Device == k.Public() {
			if again, err := identity.SignBinding(b, k); err != nil || !bytes.Equal(again, wire) {
				t.Fatalf("another encoding of one binding: %x, %v", wire, err)
			}
		}
	})
}
