package proof

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// Suite names the group, the hash and these rules in everything that is hashed.
const Suite = "metastate/secret/v1/ristretto255-sha512"

// SeedSize is the length of what secrets are derived from.
const SeedSize = 32

// fields joins the suite, a label and fields, each after its length in 4 bytes,
// so that no two lists of fields give the same bytes.
func fields(label string, list [][]byte) []byte {
	n := 8 + len(Suite) + len(label)
	for _, f := range list {
		n += 4 + len(f)
	}
	b := appendField(make([]byte, 0, n), []byte(Suite))
	b = appendField(b, []byte(label))
	for _, f := range list {
		b = appendField(b, f)
	}
	return b
}

func appendField(b, f []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
}

// Hash is H of SPEC §8.5: SHA-512 of the suite, the label and the fields.
func Hash(label string, list ...[]byte) [64]byte { return sha512.Sum512(fields(label, list)) }

// Digest is the first 32 bytes of Hash.
func Digest(label string, list ...[]byte) [32]byte {
	h := Hash(label, list...)
	return [32]byte(h[:32])
}

func challenge(label string, list [][]byte) group.Scalar {
	h := Hash(label, list...)
	return group.Reduce(&h)
}

// Expand is HMAC-SHA-512 under the seed, of the suite, the label and the fields.
func Expand(seed *[SeedSize]byte, label string, list ...[]byte) (out [64]byte) {
	m := hmac.New(sha512.New, seed[:])
	b := fields(label, list)
	m.Write(b)
	clear(b)
	m.Sum(out[:0])
	return out
}

// Derive is Expand as a scalar.
func Derive(seed *[SeedSize]byte, label string, list ...[]byte) group.Scalar {
	wide := Expand(seed, label, list...)
	defer clear(wide[:])
	return group.Reduce(&wide)
}

// U32 is the field of a small number.
func U32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

// U64 is the field of a number.
func U64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// List is one field for several: their number in 4 bytes, then each after its
// length in 4 bytes.
func List[T ~string | ~[]byte](items []T) []byte {
	b := U32(len(items))
	for _, x := range items {
		b = appendField(b, []byte(x))
	}
	return b
}

func pointField(p group.Point) []byte {
	b := p.Bytes()
	return b[:]
}

func scalarField(s group.Scalar) []byte {
	b := s.Bytes()
	return b[:]
}
