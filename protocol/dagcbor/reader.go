package dagcbor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"github.com/ipfs/go-cid"
)

// CBOR major types (RFC 8949 §3.1).
const (
	majorUint  = 0
	majorNint  = 1
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
	majorOther = 7

	tagLink = 42
)

// A Reader walks canonical DAG-CBOR from front to back. The first violation
// sticks: every later call returns zero values, and [Reader.End] reports it.
// Slices it returns share the input's memory.
type Reader struct {
	buf   []byte
	off   int
	depth int
	err   error
}

// NewReader reads from b.
func NewReader(b []byte) Reader { return Reader{buf: b} }

// Err is the first violation met, or nil.
func (r *Reader) Err() error { return r.err }

// End returns the first violation met, or one for bytes left over.
func (r *Reader) End() error {
	if r.err == nil && r.off != len(r.buf) {
		r.fail("%d bytes after the value", len(r.buf)-r.off)
	}
	return r.err
}

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: byte %d: %s", ErrNotCanonical, r.off, fmt.Sprintf(format, args...))
	}
}

// head reads one initial byte and its argument in shortest form.
func (r *Reader) head() (major byte, arg uint64) {
	if r.err != nil {
		return majorOther, 0
	}
	if r.off >= len(r.buf) {
		r.fail("the value is cut short")
		return majorOther, 0
	}
	b := r.buf[r.off]
	major, info := b>>5, b&31
	if info < 24 {
		r.off++
		return major, uint64(info)
	}
	if info > 27 {
		r.fail("indefinite or reserved length")
		return majorOther, 0
	}
	width := 1 << (info - 24)
	if len(r.buf)-r.off-1 < width {
		r.fail("the value is cut short")
		return majorOther, 0
	}
	p := r.buf[r.off+1:]
	var least uint64
	switch width {
	case 1:
		arg, least = uint64(p[0]), 24
	case 2:
		arg, least = uint64(binary.BigEndian.Uint16(p)), 1<<8
	case 4:
		arg, least = uint64(binary.BigEndian.Uint32(p)), 1<<16
	case 8:
		arg, least = binary.BigEndian.Uint64(p), 1<<32
	}
	if major == majorOther { // false, true and null fit the first byte; floats are refused
		r.fail("float or reserved simple value")
		return majorOther, 0
	}
	if arg < least {
		r.fail("number or length not in its shortest form")
		return majorOther, 0
	}
	r.off += 1 + width
	return major, arg
}

// expect reads a head of the given major type.
func (r *Reader) expect(major byte, what string) uint64 {
	start := r.off
	m, arg := r.head()
	if r.err == nil && m != major {
		r.off = start
		r.fail("expected %s", what)
	}
	if r.err != nil {
		return 0
	}
	return arg
}

// Uint reads an unsigned integer.
func (r *Reader) Uint() uint64 { return r.expect(majorUint, "an unsigned integer") }

// Int reads an integer that fits 64 signed bits.
func (r *Reader) Int() int64 {
	m, arg := r.head()
	if r.err != nil {
		return 0
	}
	if arg > 1<<63-1 || (m != majorUint && m != majorNint) {
		r.fail("expected an integer of 64 bits")
		return 0
	}
	if m == majorNint {
		return -1 - int64(arg)
	}
	return int64(arg)
}

// Bytes reads a byte string of at most limit bytes.
func (r *Reader) Bytes(limit int) []byte { return r.str(majorBytes, "a byte string", limit) }

// Text reads a text string of at most limit bytes.
func (r *Reader) Text(limit int) string {
	b := r.str(majorText, "a text string", limit)
	if !utf8.Valid(b) {
		r.fail("text is not valid UTF-8")
		return ""
	}
	return string(b)
}

func (r *Reader) str(major byte, what string, limit int) []byte {
	return r.span(r.expect(major, what), limit)
}

// span takes n bytes, n a claimed length.
func (r *Reader) span(n uint64, limit int) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(len(r.buf)-r.off) {
		r.fail("length %d passes the end", n)
		return nil
	}
	if n > uint64(limit) {
		r.fail("length %d is over the cap of %d", n, limit)
		return nil
	}
	b := r.buf[r.off : r.off+int(n) : r.off+int(n)]
	r.off += int(n)
	return b
}

// Array reads an array's head and returns its length, at most limit.
func (r *Reader) Array(limit int) int { return r.container(majorArray, "an array", limit) }

// Map reads a map's head and returns its number of pairs, at most limit. Keys
// are read with [Reader.Key].
func (r *Reader) Map(limit int) int { return r.container(majorMap, "a map", limit) }

func (r *Reader) container(major byte, what string, limit int) int {
	n := r.expect(major, what)
	if r.err == nil && n > uint64(limit) {
		r.fail("%s of %d is over the cap of %d", what, n, limit)
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// Key reads a map's next key and requires that it sorts after prev, the key
// before it (nil for the first).
func (r *Reader) Key(prev []byte) []byte {
	k := r.str(majorText, "a text key", len(r.buf))
	if r.err != nil {
		return nil
	}
	if !utf8.Valid(k) {
		r.fail("a key is not valid UTF-8")
		return nil
	}
	if prev != nil && (len(k) < len(prev) || (len(k) == len(prev) && bytes.Compare(k, prev) <= 0)) {
		r.fail("map keys are not sorted and unique")
		return nil
	}
	if k == nil {
		k = []byte{} // the empty key is a key
	}
	return k
}

// linkPrefix is what stands between tag 42 and the digest of a link to
// dag-cbor by sha2-256: byte string(37), multibase identity, CIDv1, dag-cbor,
// sha2-256, 32.
var linkPrefix = []byte{0xd8, tagLink, 0x58, 0x25, 0x00, 0x01, 0x71, 0x12, 0x20}

// Link reads a link to dag-cbor content by its SHA-256 and returns the digest.
func (r *Reader) Link() (digest [32]byte) {
	if r.err != nil {
		return digest
	}
	b := r.buf[r.off:]
	if len(b) < len(linkPrefix)+32 || !bytes.Equal(b[:len(linkPrefix)], linkPrefix) {
		r.fail("expected a link to dag-cbor by sha2-256")
		return digest
	}
	copy(digest[:], b[len(linkPrefix):])
	r.off += len(linkPrefix) + 32
	return digest
}

// AppendLink appends the encoding of a link to dag-cbor content with the given
// SHA-256.
func AppendLink(b []byte, digest [32]byte) []byte {
	return append(append(b, linkPrefix...), digest[:]...)
}

// Raw returns the bytes of the next value, whatever it is, checked.
func (r *Reader) Raw() []byte {
	start := r.off
	r.Skip()
	if r.err != nil {
		return nil
	}
	return r.buf[start:r.off:r.off]
}

// Skip checks and passes over one value.
func (r *Reader) Skip() {
	start := r.off
	major, arg := r.head()
	if r.err != nil {
		return
	}
	switch major {
	case majorUint, majorNint:
	case majorBytes, majorText:
		b := r.span(arg, len(r.buf))
		if major == majorText && !utf8.Valid(b) {
			r.fail("text is not valid UTF-8")
		}
	case majorArray, majorMap:
		r.skipItems(major, arg)
	case majorTag:
		if arg != tagLink {
			r.off = start
			r.fail("tag %d", arg)
			return
		}
		r.skipLink()
	default:
		if arg < 20 || arg > 22 { // false, true, null
			r.off = start
			r.fail("undefined or reserved simple value")
		}
	}
}

// skipLink passes over what tag 42 holds: multibase identity (a zero byte) and
// any CID.
func (r *Reader) skipLink() {
	b := r.Bytes(len(r.buf))
	if r.err != nil {
		return
	}
	const own = 4 // where linkPrefix has the multibase byte
	if len(b) == len(linkPrefix)-own+32 && bytes.HasPrefix(b, linkPrefix[own:]) {
		return // the common link, without the allocations of parsing a CID
	}
	if len(b) == 0 || b[0] != 0 || !validCID(b[1:]) {
		r.fail("tag 42 without a CID")
	}
}

func validCID(b []byte) bool {
	n, _, err := cid.CidFromBytes(b)
	return err == nil && n == len(b)
}

func (r *Reader) skipItems(major byte, n uint64) {
	if n > uint64(len(r.buf)-r.off) { // every item takes a byte
		r.fail("length %d passes the end", n)
		return
	}
	if r.depth++; r.depth > MaxDepth {
		r.fail("nested deeper than %d", MaxDepth)
		return
	}
	var key []byte
	for ; n > 0 && r.err == nil; n-- {
		if major == majorMap {
			key = r.Key(key)
		}
		r.Skip()
	}
	r.depth--
}
