package identity

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/mr-tron/base58"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// PublicKey is an Ed25519 public key as on the wire (RFC 8032 §5.1.5). That it
// is a point of the curve is checked where a signature is ([Verify]): a key
// that is none accepts nothing. The zero PublicKey is no key.
type PublicKey [ed25519.PublicKeySize]byte

// MultikeySize is the length of a multikey in bytes: the algorithm's varint
// and the key.
const MultikeySize = 2 + ed25519.PublicKeySize

// The closed table of key algorithms of protocol version 1 has one row:
// Ed25519, multicodec 0xed, as the varint ed 01.
const ed25519Code0, ed25519Code1 = 0xed, 0x01

// ErrBadKey is wrapped when bytes or text are not a public key of this
// protocol version.
var ErrBadKey = errors.New("not a public key")

// maxKeyText bounds the text of a key before it is decoded: 'z' and at most 48
// characters hold 34 bytes.
const maxKeyText = 64

// Multikey returns the key with its algorithm in front: ed 01 ‖ 32 bytes (W3C
// Controlled Identifiers §2.2.2, before multibase).
func (k PublicKey) Multikey() []byte {
	return append([]byte{ed25519Code0, ed25519Code1}, k[:]...)
}

// ParseMultikey reads what [PublicKey.Multikey] writes.
func ParseMultikey(b []byte) (k PublicKey, err error) {
	if len(b) != MultikeySize {
		return k, fmt.Errorf("identity: %w: %d bytes, want %d", ErrBadKey, len(b), MultikeySize)
	}
	if b[0] != ed25519Code0 || b[1] != ed25519Code1 {
		return k, fmt.Errorf("identity: %w: unknown algorithm %02x%02x, want ed01 (Ed25519)", ErrBadKey, b[0], b[1])
	}
	copy(k[:], b[2:])
	return k, nil
}

// String returns the multikey in multibase base58btc: 'z' and 47 characters.
func (k PublicKey) String() string { return "z" + base58.Encode(k.Multikey()) }

// ParsePublicKey reads what [PublicKey.String] writes.
func ParsePublicKey(s string) (PublicKey, error) {
	if len(s) > maxKeyText {
		return PublicKey{}, fmt.Errorf("identity: %w: text too long", ErrBadKey)
	}
	if s == "" || s[0] != 'z' {
		return PublicKey{}, fmt.Errorf("identity: %w: want base58btc multibase ('z…')", ErrBadKey)
	}
	b, err := base58.Decode(s[1:])
	if err != nil {
		return PublicKey{}, fmt.Errorf("identity: %w: not base58", ErrBadKey)
	}
	// Base58 writes each string of 34 bytes in one way, so no second text of
	// the key gets past the length.
	return ParseMultikey(b)
}

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// MarshalText gives the text form; the zero PublicKey gives none.
func (k PublicKey) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, nil
	}
	return []byte(k.String()), nil
}

// UnmarshalText reads the text form.
func (k *PublicKey) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*k = PublicKey{}
		return nil
	}
	*k, err = ParsePublicKey(string(b))
	return err
}

// MarshalCBOR gives the multikey as a byte string.
func (k PublicKey) MarshalCBOR() ([]byte, error) { return appendBytes(nil, k.Multikey()), nil }

// UnmarshalCBOR reads a multikey from a byte string.
func (k *PublicKey) UnmarshalCBOR(b []byte) error {
	r := dagcbor.NewReader(b)
	m := r.Bytes(MultikeySize)
	if err := r.End(); err != nil {
		return fmt.Errorf("identity: %w: %w", ErrBadKey, err)
	}
	got, err := ParseMultikey(m)
	if err == nil {
		*k = got
	}
	return err
}
