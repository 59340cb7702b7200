package group

import (
	"encoding/binary"
	"errors"

	"github.com/gtank/ristretto255"
)

// Size is the length in bytes of an encoded point, and of an encoded scalar.
const Size = 32

var (
	errScalar = errors.New("group: no canonical scalar")
	errPoint  = errors.New("group: no canonical point")
	errKey    = errors.New("group: the identity is no key")
)

// A Scalar is an integer modulo the group's order. The zero Scalar is 0.
type Scalar struct{ s ristretto255.Scalar }

// ParseScalar decodes 32 bytes, little endian, and refuses the order and what is
// above it (RFC 9496 §4.4).
func ParseScalar(b []byte) (Scalar, error) {
	var s Scalar
	if _, err := s.s.SetCanonicalBytes(b); err != nil {
		return Scalar{}, errScalar
	}
	return s, nil
}

// Reduce takes 64 bytes, little endian, modulo the order: uniform bytes give a
// uniform scalar.
func Reduce(b *[64]byte) Scalar {
	var s Scalar
	if _, err := s.s.SetUniformBytes(b[:]); err != nil {
		panic("group: " + err.Error()) // of 64 bytes there is none
	}
	return s
}

// Number is the scalar n.
func Number(n uint64) Scalar {
	var wide [64]byte
	binary.LittleEndian.PutUint64(wide[:], n)
	return Reduce(&wide)
}

// Integer is the scalar n; one below zero is minus its amount.
func Integer(n int64) Scalar {
	if n < 0 {
		return Number(-uint64(n)).Neg()
	}
	return Number(uint64(n))
}

// Add is s + t.
func (s Scalar) Add(t Scalar) Scalar { s.s.Add(&s.s, &t.s); return s }

// Sub is s − t.
func (s Scalar) Sub(t Scalar) Scalar { s.s.Subtract(&s.s, &t.s); return s }

// Mul is s · t.
func (s Scalar) Mul(t Scalar) Scalar { s.s.Multiply(&s.s, &t.s); return s }

// Neg is −s.
func (s Scalar) Neg() Scalar { s.s.Negate(&s.s); return s }

// Inverse is 1/s, or 0 for 0.
func (s Scalar) Inverse() Scalar { s.s.Invert(&s.s); return s }

// Equal tells whether s is t, in constant time.
func (s Scalar) Equal(t Scalar) bool { return s.s.Equal(&t.s) == 1 }

// Bytes is the encoding.
func (s Scalar) Bytes() (b [Size]byte) {
	copy(b[:], s.s.Bytes())
	return b
}

// Erase overwrites the scalar with 0.
func (s *Scalar) Erase() { s.s.Zero() }
