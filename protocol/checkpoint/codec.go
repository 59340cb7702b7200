package checkpoint

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

// ErrSignature is wrapped when bytes are well formed but a signature in them
// is not one of the given clerks'. The clerk set may be the wrong one.
var ErrSignature = errors.New("not signed by the clerk")

// A decoder reads the fixed maps of this package in their one canonical order.
// The CBOR library is not used to read: it fills an array from a byte string
// of any length, takes null for anything, and allocates before a cap can be
// asked about. The first violation sticks.
type decoder struct {
	r   dagcbor.Reader
	bad error
}

func newDecoder(b []byte) *decoder { return &decoder{r: dagcbor.NewReader(b)} }

func (d *decoder) fail(format string, args ...any) {
	if d.bad == nil && d.r.Err() == nil {
		d.bad = fmt.Errorf(format, args...)
	}
}

func (d *decoder) ok() bool { return d.bad == nil && d.r.Err() == nil }

// end returns the first violation, or one for bytes left over, wrapping
// [ErrMalformed].
func (d *decoder) end() error {
	err := d.bad
	if err == nil {
		err = d.r.End()
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}

// open reads the head of a map of least to most pairs and returns their number.
func (d *decoder) open(least, most int) int {
	n := d.r.Map(most)
	if n < least {
		d.fail("a map of %d pairs where %d are wanted", n, least)
	}
	return n
}

// key requires that name is the map's next key.
func (d *decoder) key(name string) {
	if !d.optional(name) {
		d.fail("key %q missing", name)
	}
}

// optional passes over the key name if it is next.
func (d *decoder) optional(name string) bool {
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

// uint reads an unsigned integer of at most limit.
func (d *decoder) uint(limit uint64) uint64 {
	n := d.r.Uint()
	if n > limit {
		d.fail("%d is over %d", n, limit)
		return 0
	}
	return n
}

// fixed reads a byte string of exactly len(dst) bytes.
func (d *decoder) fixed(dst []byte) {
	b := d.r.Bytes(len(dst))
	if len(b) != len(dst) {
		d.fail("a byte string of %d where %d are wanted", len(b), len(dst))
		return
	}
	copy(dst, b)
}

func (d *decoder) digest() (b [32]byte) {
	d.fixed(b[:])
	return b
}

// link reads a link that names something.
func (d *decoder) link() protocol.ID {
	id := protocol.ID(d.r.Link())
	if id.IsZero() {
		d.fail("a link to nothing")
	}
	return id
}

func (d *decoder) publicKey() identity.PublicKey {
	b := d.r.Bytes(identity.MultikeySize)
	if !d.ok() {
		return identity.PublicKey{}
	}
	k, err := identity.ParseMultikey(b)
	if err != nil {
		d.fail("%w", err)
	}
	return k
}

// list reads an array of at most limit items, each by one.
func list[T any](d *decoder, limit int, one func(*decoder) T) []T {
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

// encode marshals a value of this package, all of which have an encoding.
func encode(v any) []byte {
	b, err := dagcbor.Marshal(v)
	if err != nil {
		panic("checkpoint: " + err.Error()) // a struct tag of this package is wrong
	}
	return b
}
