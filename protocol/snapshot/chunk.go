package snapshot

import (
	"errors"
	"fmt"
	"iter"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// makeChunk encodes the leaves of a part: an array of keys and values in turn.
func makeChunk(t merkle.Tree, p merkle.Part) []byte {
	var body []byte
	n := 0
	for key, value := range t.Leaves(p) {
		body = dagcbor.AppendBytes(body, key[:])
		body = dagcbor.AppendBytes(body, value)
		n += 2
	}
	return append(dagcbor.AppendArray(nil, n), body...)
}

// checkChunk checks that b is well formed and has the leaves of the subtree
// with that digest.
func checkChunk(name protocol.ID, b []byte) error {
	if len(b) > MaxLeaf {
		return fmt.Errorf("over %d bytes", MaxLeaf)
	}
	r := dagcbor.NewReader(b)
	n := r.Array(len(b) / 17) // a leaf takes 35 bytes or more
	if n == 0 || n%2 != 0 || len(b) > MaxChunk && n > 2 {
		return errors.New("not an array of leaves of a chunk's size")
	}
	keys := true
	for range n / 2 {
		keys = len(r.Bytes(32)) == 32 && keys
		r.Bytes(MaxLeaf)
	}
	if err := r.End(); err != nil {
		return err
	}
	if !keys {
		return errors.New("a key that is not 32 bytes")
	}
	digest, err := merkle.Digest(leaves(b))
	if err != nil {
		return err
	}
	if digest != name {
		return errors.New("its leaves have another digest")
	}
	return nil
}

// leaves yields the leaves of a chunk that was checked. Values share its memory.
func leaves(b []byte) iter.Seq2[[32]byte, []byte] {
	return func(yield func([32]byte, []byte) bool) {
		r := dagcbor.NewReader(b)
		for n := r.Array(len(b)); n >= 2; n -= 2 {
			key, value := r.Bytes(32), r.Bytes(MaxLeaf)
			if r.Err() != nil || !yield([32]byte(key), value) {
				return
			}
		}
	}
}
