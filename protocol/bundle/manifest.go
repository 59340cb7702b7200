package bundle

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"iter"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Version is the version of the layout this package reads and writes.
const Version = 1

// format marks a manifest among all the things a CAR file may hold.
const format = "metastate bundle"

// Errors that say a file is none of ours, not that it is damaged. Their texts are
// for people, after "it is".
var (
	// ErrNotCAR is wrapped when a file is no CARv1 file.
	ErrNotCAR = errors.New("no bundle of records, or one whose beginning is damaged")
	// ErrNotBundle is wrapped when a CARv1 file does not begin with a manifest
	// of this version.
	ErrNotBundle = errors.New("another CAR file, and no bundle of records")
)

var errNoMetastate = errors.New("the manifest names no metastate")

// A Manifest says what a bundle holds. It is the CAR file's only root.
type Manifest struct {
	Metastate    protocol.ID     // whose records they are
	From         uint64          // records not covered at this checkpoint height; 0: all
	Records      uint64          // how many, repeats counted
	Certificates uint64          // how many
	Digest       identity.Digest // of the record ids in file order: [Digest]
}

// Digest returns the digest of records in file order: SHA-256 over the text
// "metastate/bundle/v1", a zero byte and the ids.
func Digest(ids iter.Seq[protocol.ID]) (d identity.Digest) {
	h := newDigest()
	for id := range ids {
		h.Write(id[:])
	}
	h.Sum(d[:0])
	return d
}

func newDigest() hash.Hash {
	h := sha256.New()
	h.Write([]byte("metastate/bundle/v1\x00"))
	return h
}

// manifestBlock is a manifest's block (SPEC §9.2).
type manifestBlock struct {
	Format       string          `cbor:"format"`
	Version      uint64          `cbor:"version"`
	Metastate    protocol.ID     `cbor:"metastate"`
	From         uint64          `cbor:"from"`
	Records      uint64          `cbor:"records"`
	Certificates uint64          `cbor:"certificates"`
	Digest       identity.Digest `cbor:"digest"`
}

func (m Manifest) encode() ([]byte, error) {
	if m.Metastate.IsZero() {
		return nil, errNoMetastate
	}
	return dagcbor.Marshal(manifestBlock{format, Version, m.Metastate, m.From, m.Records, m.Certificates, m.Digest})
}

func parseManifest(b []byte) (Manifest, error) {
	var m manifestBlock
	if err := dagcbor.Unmarshal(b, &m); err != nil {
		return Manifest{}, err
	}
	if m.Format != format || m.Version != Version {
		return Manifest{}, fmt.Errorf("format %q, version %d", m.Format, m.Version)
	}
	if m.Metastate.IsZero() {
		return Manifest{}, errNoMetastate
	}
	return Manifest{m.Metastate, m.From, m.Records, m.Certificates, m.Digest}, nil
}

// A Problem is damage that a reader met and went past.
type Problem struct {
	ID     protocol.ID // the record it befell; zero where that can't be known
	Offset int64       // bytes from the start of the file to where it was met
	Reason string
}

// Error says all of it in one line.
func (p *Problem) Error() string {
	if p.ID.IsZero() {
		return fmt.Sprintf("bundle: at byte %d: %s", p.Offset, p.Reason)
	}
	return fmt.Sprintf("bundle: record %s at byte %d: %s", p.ID, p.Offset, p.Reason)
}
