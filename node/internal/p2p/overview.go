package p2p

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// An overview is tier 0 of a session: two equal nodes exchange one each, about
// a hundred bytes for any number of sets (SPEC §9.3).
type overview struct {
	height   uint64
	tip      [32]byte // id of the value at that height, zero before the first
	records  uint64   // in all sets
	sets     [32]byte // root of the index
	bindings [32]byte // over the bindings' hashes, in order
}

// A survey is what a node holds at the start of a pass.
type survey struct {
	overview
	local  reconcile.Local
	hashes [][16]byte // of the bindings, ascending
}

// survey is what this side holds now.
func (x *session) survey() (survey, error) {
	if err := x.awake(); err != nil {
		return survey{}, err
	}
	s, err := surveyOf(x.replica)
	s.local = x.sketching.sketches(s.local)
	return s, err
}

func surveyOf(r Store) (s survey, err error) {
	if s.local, err = r.Snapshot(); err != nil {
		return s, fmt.Errorf("p2p: syncing: reading the store: %w", err)
	}
	s.height, s.tip = r.Tip()
	s.sets = s.local.Index.Root()
	for _, sum := range s.local.Index.All() {
		s.records += sum.Count
	}
	s.hashes = bindingHashes(r.Bindings())
	h := sha256.New()
	h.Write([]byte("metastate/sync/bindings/v1"))
	for _, b := range s.hashes {
		h.Write(b[:])
	}
	h.Sum(s.bindings[:0])
	return s, nil
}

// Survey is what a replica holds, in the form of a session's overview.
func Survey(r Store) ([]byte, error) {
	s, err := surveyOf(r)
	return s.encode(), err
}

func bindingHashes(frames [][]byte) [][16]byte {
	out := make([][16]byte, 0, len(frames))
	for _, f := range frames {
		out = append(out, bindingHash(f))
	}
	slices.SortFunc(out, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	return out[:min(len(out), maxBindings)]
}

func bindingHash(frame []byte) [16]byte {
	sum := sha256.Sum256(frame)
	return [16]byte(sum[:])
}

func (o overview) encode() []byte {
	b := dagcbor.AppendArray(nil, 5)
	b = dagcbor.AppendUint(b, o.height)
	b = dagcbor.AppendBytes(b, o.tip[:])
	b = dagcbor.AppendUint(b, o.records)
	b = dagcbor.AppendBytes(b, o.sets[:])
	return dagcbor.AppendBytes(b, o.bindings[:])
}

func parseOverview(b []byte) (o overview, err error) {
	r := dagcbor.NewReader(b)
	n := r.Array(5)
	o.height = r.Uint()
	tip := r.Bytes(32)
	o.records = r.Uint()
	sets, bindings := r.Bytes(32), r.Bytes(32)
	if err := r.End(); err != nil {
		return o, fmt.Errorf("p2p: overview: %w: %w", ErrPeer, err)
	}
	if n != 5 || len(tip) != 32 || len(sets) != 32 || len(bindings) != 32 || o.height > protocol.MaxHeight || o.records > maxRecords {
		return o, fmt.Errorf("p2p: overview: %w", ErrPeer)
	}
	o.tip, o.sets, o.bindings = [32]byte(tip), [32]byte(sets), [32]byte(bindings)
	return o, nil
}

// Ids and hashes travel as their bytes, one after another.

func parseIDs(b []byte) ([]protocol.ID, error) {
	const size = len(protocol.ID{})
	if len(b)%size != 0 || len(b) > idsPerFrame*size {
		return nil, fmt.Errorf("p2p: ids: %w: %d bytes", ErrPeer, len(b))
	}
	out := make([]protocol.ID, len(b)/size)
	for i := range out {
		copy(out[i][:], b[i*size:])
	}
	return out, nil
}

func encodeIDs(ids [][32]byte) []byte {
	b := make([]byte, 0, len(ids)*32)
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func parseHashes(b []byte) (map[[16]byte]bool, error) {
	if len(b)%16 != 0 || len(b) > maxBindings*16 {
		return nil, fmt.Errorf("p2p: hashes: %w: %d bytes", ErrPeer, len(b))
	}
	out := make(map[[16]byte]bool, len(b)/16)
	for ; len(b) > 0; b = b[16:] {
		out[[16]byte(b[:16])] = true
	}
	return out, nil
}

func encodeHashes(hashes [][16]byte) []byte {
	b := make([]byte, 0, 16*len(hashes))
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}
