package certificate

import (
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
)

// MaxChunk is how many ids one chunk lists (SPEC §7.1).
const MaxChunk = 400

// maxChunkSize is the encoding of a full chunk: a head of three bytes, and 34
// for every id.
const maxChunkSize = 3 + 34*MaxChunk

// ParseChunk reads a chunk: an array of 1..MaxChunk strictly rising ids as
// byte strings. Errors wrap [ErrMalformed].
func ParseChunk(b []byte) ([]protocol.ID, error) {
	if len(b) > maxChunkSize {
		return nil, fmt.Errorf("certificate: parsing a chunk: %w: over %d bytes", ErrMalformed, maxChunkSize)
	}
	d := wire.NewDecoder(b)
	ids := wire.List(d, MaxChunk, func(d *wire.Decoder) protocol.ID { return d.Digest() })
	err := d.End()
	if err == nil && (len(ids) == 0 || !rising(ids, itself)) {
		err = fmt.Errorf("%w: ids none or not rising", ErrMalformed)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate: parsing a chunk: %w", err)
	}
	return ids, nil
}

// SplitChunks lists strictly rising ids in chunks, all full but the last, so
// that one set has one list of chunks. A value names each by [protocol.Sum].
// Errors wrap [ErrMalformed].
func SplitChunks(ids []protocol.ID) (chunks [][]byte, err error) {
	if len(ids) > MaxNewlyCovered || !rising(ids, itself) {
		return nil, fmt.Errorf("certificate: splitting into chunks: %w: ids too many or not rising", ErrMalformed)
	}
	for len(ids) > 0 {
		n := min(len(ids), MaxChunk)
		list := make([][32]byte, n)
		for i, id := range ids[:n] {
			list[i] = [32]byte(id)
		}
		chunks = append(chunks, dagcbor.Encode(list))
		ids = ids[n:]
	}
	return chunks, nil
}

// Covered is what a value newly covers in one set.
type Covered struct {
	Subject protocol.ID   // zero: the control plane
	IDs     []protocol.ID // strictly rising
}

// NewlyCovered returns what v newly covers: the control plane if touched, then
// the subjects in their order. chunk returns the bytes of a named chunk, nil if
// not held; they are checked against the name. It refuses lists that are not
// as [SplitChunks] makes them, and more than MaxNewlyCovered ids. Errors wrap
// [ErrMalformed], except that of a missing chunk.
func (v Value) NewlyCovered(chunk func(name protocol.ID) []byte) ([]Covered, error) {
	var out []Covered
	left := MaxNewlyCovered
	add := func(subject protocol.ID, names []protocol.ID, count uint64) error {
		ids, err := joinChunks(names, chunk)
		if left -= len(ids); err == nil && (left < 0 || uint64(len(ids)) > count) {
			err = fmt.Errorf("%w: more ids than the value has room for", ErrMalformed)
		}
		if err != nil {
			return fmt.Errorf("certificate: reading what a value covers: %w", err)
		}
		if len(ids) > 0 {
			out = append(out, Covered{Subject: subject, IDs: ids})
		}
		return nil
	}
	if err := add(protocol.ID{}, v.Control.Chunks, v.Control.Count); err != nil {
		return nil, err
	}
	for _, s := range v.Subjects {
		if err := add(s.Subject, s.Chunks, s.Count); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ChunkNames are the names of all chunks that the value lists, control's first.
func (v Value) ChunkNames() iter.Seq[protocol.ID] {
	return func(yield func(protocol.ID) bool) {
		for _, id := range v.Control.Chunks {
			if !yield(id) {
				return
			}
		}
		for _, s := range v.Subjects {
			for _, id := range s.Chunks {
				if !yield(id) {
					return
				}
			}
		}
	}
}

func joinChunks(names []protocol.ID, chunk func(protocol.ID) []byte) (ids []protocol.ID, err error) {
	for i, name := range names {
		b := chunk(name)
		if b == nil {
			return nil, fmt.Errorf("chunk %v is not held", name)
		}
		if len(b) > maxChunkSize || protocol.Sum(b) != name {
			return nil, fmt.Errorf("%w: chunk %v is not of that name", ErrMalformed, name)
		}
		part, err := ParseChunk(b)
		if err != nil {
			return nil, err
		}
		if i < len(names)-1 && len(part) != MaxChunk {
			return nil, fmt.Errorf("%w: a chunk before the last is not full", ErrMalformed)
		}
		ids = append(ids, part...)
	}
	if !rising(ids, itself) {
		return nil, fmt.Errorf("%w: ids not rising from chunk to chunk", ErrMalformed)
	}
	return ids, nil
}
