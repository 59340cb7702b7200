package reconcile

import (
	"crypto/sha256"
)

const (
	fanOut    = 16 // a range is split by one hexadecimal digit
	maxDepth  = 64 // hexadecimal digits of an id
	saltSize  = 16
	shortSize = 8
)

// prefix is the first depth hexadecimal digits of ids; bits past them are 0.
// In messages it is a byte string of one digit a byte.
type prefix struct {
	key   [32]byte
	depth int
}

// child returns the i-th part of p.
func (p prefix) child(i int) prefix {
	p.key[p.depth/2] |= byte(i) << (4 * (1 - p.depth%2))
	p.depth++
	return p
}

// bits returns the length of p in bits.
func (p prefix) bits() int { return 4 * p.depth }

func (p prefix) digit(i int) byte { return p.key[i/2] >> (4 * (1 - i%2)) & 15 }

// covers reports whether id begins with p.
func (p prefix) covers(id [32]byte) bool {
	q := prefix{key: id}
	for i := range p.depth {
		if p.digit(i) != q.digit(i) {
			return false
		}
	}
	return true
}

func (p prefix) encode() []byte {
	b := make([]byte, p.depth)
	for i := range b {
		b[i] = p.digit(i)
	}
	return b
}

// decodePrefix reads what encode wrote; b is at most maxDepth long.
func decodePrefix(b []byte) (p prefix, ok bool) {
	for _, digit := range b {
		if digit >= fanOut {
			return prefix{}, false
		}
		p = p.child(int(digit))
	}
	return p, true
}

// salt is a session's own: see the package comment.
type salt [saltSize]byte

// short is the fingerprint of an id or a digest in one session.
type short [shortSize]byte

func (s salt) short(digest [32]byte) short {
	var b [saltSize + 32]byte
	copy(b[:], s[:])
	copy(b[saltSize:], digest[:])
	sum := sha256.Sum256(b[:])
	return short(sum[:])
}
