// Package wire reads and writes the fixed maps that certificates and the
// agreement on them are made of, each in its one canonical form (SPEC §2.1).
package wire

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// ErrMalformed is wrapped when bytes are not the canonical encoding of what
// was to be parsed, or break one of its caps. It is a fact about the bytes:
// every node finds the same.
var ErrMalformed = errors.New("malformed")

// A Decoder reads fixed maps, their keys in the one canonical order.
// The CBOR library is not used to read: it fills an array from a byte string
// of any length, takes null for anything, and allocates before a cap can be
// asked about. The first violation sticks.
type Decoder struct {
	r   dagcbor.Reader
	bad error
}

// NewDecoder reads b, which must not change.
func NewDecoder(b []byte) *Decoder { return &Decoder{r: dagcbor.NewReader(b)} }

// Fail notes a violation, unless there was one before.
func (d *Decoder) Fail(format string, args ...any) {
	if d.bad == nil && d.r.Err() == nil {
		d.bad = fmt.Errorf(format, args...)
	}
}

func (d *Decoder) ok() bool { return d.bad == nil && d.r.Err() == nil }

// End returns the first violation, or one for bytes left over, wrapping
// [ErrMalformed].
func (d *Decoder) End() error {
	err := d.bad
	if err == nil {
		err = d.r.End()
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// Open reads the head of a map of least to most pairs and returns their number.
func (d *Decoder) Open(least, most int) int {
	n := d.r.Map(most)
	if n < least {
		d.Fail("a map of %d pairs where %d are wanted", n, least)
	}
	return n
}

// Key requires that name is the map's next key.
func (d *Decoder) Key(name string) {
	if !d.Optional(name) {
		d.Fail("key %q missing", name)
	}
}

// Optional passes over the key name if it is next.
func (d *Decoder) Optional(name string) bool {
	if !d.ok() {
		return false
	}
	before := d.r
	if k := d.r.Key(nil); d.r.Err() != nil || string(k) != name {
		d.r = before
		return false
	}
	return true
}

// Uint reads an unsigned integer of at most limit.
func (d *Decoder) Uint(limit uint64) uint64 {
	n := d.r.Uint()
	if n > limit {
		d.Fail("%d is over %d", n, limit)
		return 0
	}
	return n
}

// Fixed reads a byte string of exactly len(dst) bytes.
func (d *Decoder) Fixed(dst []byte) {
	b := d.r.Bytes(len(dst))
	if len(b) != len(dst) {
		d.Fail("a byte string of %d where %d are wanted", len(b), len(dst))
		return
	}
	copy(dst, b)
}

// Digest reads a byte string of 32.
func (d *Decoder) Digest() (b [32]byte) {
	d.Fixed(b[:])
	return b
}

// Link reads a link that names something.
func (d *Decoder) Link() protocol.ID {
	id := protocol.ID(d.r.Link())
	if id.IsZero() {
		d.Fail("a link to nothing")
	}
	return id
}

// Bytes reads a byte string of at most limit bytes, which shares memory with
// what is read.
func (d *Decoder) Bytes(limit int) []byte { return d.r.Bytes(limit) }

// PublicKey reads a multikey.
func (d *Decoder) PublicKey() identity.PublicKey {
	b := d.r.Bytes(identity.MultikeySize)
	if !d.ok() {
		return identity.PublicKey{}
	}
	k, err := identity.ParseMultikey(b)
	if err != nil {
		d.Fail("%w", err)
	}
	return k
}

// List reads an array of at most limit items, each by one.
func List[T any](d *Decoder, limit int, one func(*Decoder) T) []T {
	n := d.r.Array(limit)
	if n == 0 || !d.ok() {
		return nil
	}
	out := make([]T, 0, n)
	for len(out) < n && d.ok() {
		out = append(out, one(d))
	}
	return out
}
