package protocol

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// ID names dag-cbor content by its SHA-256: a record by its payload, a
// checkpoint by its value. Its text is the CIDv1 (dag-cbor, sha2-256, base32).
// A metastate's id is its genesis record's; a persona's is its inception's
// (SPEC §1). The zero ID names nothing.
type ID [sha256.Size]byte

// Sum returns the id of the given content.
func Sum(content []byte) ID { return sha256.Sum256(content) }

// ErrBadID is wrapped when a text or CID is not an id of this protocol.
var ErrBadID = errors.New("not an id")

// ParseID reads an id from its text form.
func ParseID(s string) (ID, error) {
	if len(s) > 128 {
		return ID{}, fmt.Errorf("protocol: %w: too long", ErrBadID)
	}
	c, err := cid.Decode(s)
	if err != nil {
		return ID{}, fmt.Errorf("protocol: %w: %v", ErrBadID, err)
	}
	id, err := FromCID(c)
	if err == nil && id.String() != s {
		return ID{}, fmt.Errorf("protocol: %w: not in base32 lower case", ErrBadID)
	}
	return id, err
}

// FromCID takes the id out of a CIDv1 of dag-cbor by sha2-256.
func FromCID(c cid.Cid) (id ID, err error) {
	p := c.Prefix()
	if p.Version != 1 || p.Codec != cid.DagCBOR || p.MhType != mh.SHA2_256 || p.MhLength != len(id) {
		return ID{}, fmt.Errorf("protocol: %w: a CIDv1 of dag-cbor by sha2-256 is wanted", ErrBadID)
	}
	h := c.Hash()
	copy(id[:], h[len(h)-len(id):])
	return id, nil
}

// CID returns the id as a CIDv1.
func (id ID) CID() cid.Cid {
	h, err := mh.Encode(id[:], mh.SHA2_256)
	if err != nil {
		panic("protocol: " + err.Error()) // sha2-256 of 32 bytes always encodes
	}
	return cid.NewCidV1(cid.DagCBOR, h)
}

// String returns the text form.
func (id ID) String() string { return id.CID().String() }

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText gives the text form; the zero ID gives none.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads the text form.
func (id *ID) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*id = ID{}
		return nil
	}
	*id, err = ParseID(string(b))
	return err
}

// MarshalCBOR gives a link (tag 42).
func (id ID) MarshalCBOR() ([]byte, error) { return dagcbor.AppendLink(nil, id), nil }

// UnmarshalCBOR reads a link.
func (id *ID) UnmarshalCBOR(b []byte) error {
	r := dagcbor.NewReader(b)
	*id = r.Link()
	return r.End()
}

// Compare orders ids by their bytes. The order decides nothing: it only makes
// lists canonical.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }
