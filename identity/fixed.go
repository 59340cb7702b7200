package identity

import (
	"bytes"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Digest is a SHA-256. In CBOR it is a byte string of exactly 32 bytes.
type Digest [32]byte

// Nonce is random bytes that make content unique. In CBOR it is a byte string
// of exactly 16 bytes.
type Nonce [16]byte

// IsZero reports whether d is unset.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalCBOR gives a byte string.
func (d Digest) MarshalCBOR() ([]byte, error) { return appendBytes(nil, d[:]), nil }

// UnmarshalCBOR reads a byte string of 32 bytes.
func (d *Digest) UnmarshalCBOR(b []byte) error { return readFixed(b, d[:]) }

// MarshalCBOR gives a byte string.
func (n Nonce) MarshalCBOR() ([]byte, error) { return appendBytes(nil, n[:]), nil }

// UnmarshalCBOR reads a byte string of 16 bytes.
func (n *Nonce) UnmarshalCBOR(b []byte) error { return readFixed(b, n[:]) }

// appendBytes appends the CBOR byte string of s, which is shorter than 256
// bytes.
func appendBytes(b, s []byte) []byte {
	if len(s) < 24 {
		return append(append(b, 0x40|byte(len(s))), s...)
	}
	return append(append(b, 0x58, byte(len(s))), s...)
}

// readFixed reads a byte string of exactly len(dst) bytes into dst. The CBOR
// library would fill an array from a shorter or longer string, or from an
// array of numbers, and so give one value many encodings.
func readFixed(b, dst []byte) error {
	r := dagcbor.NewReader(b)
	s := r.Bytes(len(dst))
	if err := r.End(); err != nil {
		return fmt.Errorf("identity: reading %d bytes: %w", len(dst), err)
	}
	if len(s) != len(dst) {
		return fmt.Errorf("identity: %d bytes where %d are wanted", len(s), len(dst))
	}
	copy(dst, s)
	return nil
}

// unmarshalExact decodes b into v and requires that v encodes to b again: no
// field missing that is always written, none present that is left out when
// empty.
func unmarshalExact(b []byte, limit int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, at most %d", len(b), limit)
	}
	if err := dagcbor.Unmarshal(b, v); err != nil {
		return err
	}
	again, err := dagcbor.Marshal(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return fmt.Errorf("%w: not the encoding of its own value", dagcbor.ErrNotCanonical)
	}
	return nil
}
