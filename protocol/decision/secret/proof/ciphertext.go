package proof

import "github.com/metastate-p2p/metastate/protocol/decision/secret/group"

// CiphertextSize is the length of an encoded ciphertext.
const CiphertextSize = 2 * group.Size

// A Ciphertext is (A, B) = (r·G, r·Y + m·G). The zero Ciphertext encrypts 0,
// readable by all.
type Ciphertext struct{ A, B group.Point }

// Encrypt encrypts m under the key with the randomness r.
func Encrypt(key group.Point, m uint64, r group.Scalar) Ciphertext {
	return Ciphertext{group.Base(r), key.Mul(r).Add(group.Base(group.Number(m)))}
}

// ParseCiphertext decodes 64 bytes: two points, both canonical.
func ParseCiphertext(b []byte) (Ciphertext, error) {
	half := min(len(b), group.Size)
	a, err := group.ParsePoint(b[:half])
	if err != nil {
		return Ciphertext{}, err
	}
	p, err := group.ParsePoint(b[half:])
	return Ciphertext{a, p}, err
}

// Append appends the encoding.
func (c Ciphertext) Append(b []byte) []byte {
	return append(append(b, pointField(c.A)...), pointField(c.B)...)
}

// Add encrypts the sum.
func (c Ciphertext) Add(d Ciphertext) Ciphertext { return Ciphertext{c.A.Add(d.A), c.B.Add(d.B)} }

// Sub encrypts the difference.
func (c Ciphertext) Sub(d Ciphertext) Ciphertext { return Ciphertext{c.A.Sub(d.A), c.B.Sub(d.B)} }

// Times encrypts n times what c does, n being public.
func (c Ciphertext) Times(n uint64) Ciphertext {
	if n == 1 {
		return c
	}
	s := []group.Scalar{group.Number(n)}
	return Ciphertext{
		group.VarTimeCombine(s, []group.Point{c.A}),
		group.VarTimeCombine(s, []group.Point{c.B}),
	}
}
