package identity

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Bounds on a Binding.
const (
	MaxBindingSize  = 3072 // bytes, as signed and encoded
	MaxBindingAddrs = 8
	MaxLobbyAddrs   = 4
	MaxAddrBytes    = 160
	MaxPeerIDBytes  = 64
	MaxBindingLife  = MaxGrantLife // seconds

	labelBinding = "metastate/binding/v1"
)

// ErrBadBinding is wrapped by every refusal of a binding.
var ErrBadBinding = errors.New("not a valid binding")

// Binding says which libp2p peer a device uses in a metastate. The device signs
// it, and it is shown only inside members' handshakes: peer ids are random and
// must not point to personas for anyone else.
//
// A valid signature says that Device made it, not that Device is granted, nor
// that the peer at hand is PeerID, nor that it is current: the handshake checks
// these ([Binding.CurrentAt]).
type Binding struct {
	Metastate Digest    `cbor:"ms"`
	Persona   Digest    `cbor:"persona"`
	Device    PublicKey `cbor:"dev"`
	PeerID    []byte    `cbor:"peer"`
	Addrs     []string  `cbor:"addrs,omitempty"` // multiaddrs the device may be reached at
	Lobby     *Lobby    `cbor:"lobby,omitempty"` // where strangers may knock who have an invite; nil if nowhere
	Relay     bool      `cbor:"relay,omitempty"` // members may have themselves reached through it
	Issued    int64     `cbor:"iat"`             // unix seconds
	Expires   int64     `cbor:"exp"`             // unix seconds
}

// A Lobby is the transport peer of a device where strangers may knock. Other
// members name it in their invites.
type Lobby struct {
	PeerID []byte   `cbor:"p"`
	Addrs  []string `cbor:"a"` // multiaddrs, 1 to MaxLobbyAddrs
}

// signedBinding is the wire form. The body is kept as the bytes that were
// signed.
type signedBinding struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

// SignBinding returns the wire form of b, signed by its device. The signed
// message is "metastate/binding/v1" ‖ 00 ‖ DAG-CBOR of b.
func SignBinding(b Binding, device Signer) ([]byte, error) {
	if device.Public() != b.Device {
		return nil, fmt.Errorf("identity: signing a binding: the signer is not the binding's device")
	}
	if err := b.validate(); err != nil {
		return nil, fmt.Errorf("identity: signing a binding: %w", err)
	}
	body, err := dagcbor.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("identity: signing a binding: %w", err)
	}
	sig := device.Sign(bindingMessage(body))
	wire, err := dagcbor.Marshal(signedBinding{Body: body, Sig: sig[:]})
	if err != nil {
		return nil, fmt.Errorf("identity: signing a binding: %w", err)
	}
	return wire, nil
}

// ParseBinding reads what SignBinding writes: one canonical encoding, within
// the bounds, with the device's signature verified ([Verify]). Errors wrap
// [ErrBadBinding].
func ParseBinding(wire []byte) (Binding, error) {
	var s signedBinding
	if err := unmarshalExact(wire, MaxBindingSize, &s); err != nil {
		return Binding{}, fmt.Errorf("identity: %w: %w", ErrBadBinding, err)
	}
	var b Binding
	if err := unmarshalExact(s.Body, MaxBindingSize, &b); err != nil {
		return Binding{}, fmt.Errorf("identity: %w: %w", ErrBadBinding, err)
	}
	if err := b.validate(); err != nil {
		return Binding{}, err
	}
	if !Verify(b.Device, bindingMessage(s.Body), s.Sig) {
		return Binding{}, fmt.Errorf("identity: %w: bad signature", ErrBadBinding)
	}
	return b, nil
}

// CurrentAt reports whether the binding is in force at the given unix second.
// Issued is not compared: the peers' clocks may differ.
func (b Binding) CurrentAt(unix int64) bool { return unix < b.Expires }

func (b Binding) validate() error {
	switch {
	case b.Metastate.IsZero(), b.Persona.IsZero(), b.Device.IsZero():
		return fmt.Errorf("identity: %w: metastate, persona or device missing", ErrBadBinding)
	case len(b.PeerID) == 0, len(b.PeerID) > MaxPeerIDBytes:
		return fmt.Errorf("identity: %w: peer id of %d bytes, want 1 to %d", ErrBadBinding, len(b.PeerID), MaxPeerIDBytes)
	case len(b.Addrs) > MaxBindingAddrs:
		return fmt.Errorf("identity: %w: %d addresses, at most %d", ErrBadBinding, len(b.Addrs), MaxBindingAddrs)
	case b.Issued <= 0, b.Expires <= b.Issued, b.Expires-b.Issued > MaxBindingLife:
		return fmt.Errorf("identity: %w: in force from %d to %d", ErrBadBinding, b.Issued, b.Expires)
	}
	if err := validAddrs(b.Addrs); err != nil || b.Lobby == nil {
		return err
	}
	if n, at := len(b.Lobby.PeerID), len(b.Lobby.Addrs); n == 0 || n > MaxPeerIDBytes || at == 0 || at > MaxLobbyAddrs {
		return fmt.Errorf("identity: %w: a lobby with a peer id of %d bytes and %d addresses", ErrBadBinding, n, at)
	}
	return validAddrs(b.Lobby.Addrs)
}

func validAddrs(addrs []string) error {
	for _, a := range addrs {
		if len(a) == 0 || len(a) > MaxAddrBytes || !printableASCII(a) {
			return fmt.Errorf("identity: %w: an address is empty, over %d bytes, or not printable ASCII", ErrBadBinding, MaxAddrBytes)
		}
	}
	return nil
}

func bindingMessage(body []byte) []byte {
	return append(append([]byte(labelBinding), 0), body...)
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= utf8.RuneSelf-1 {
			return false
		}
	}
	return true
}
