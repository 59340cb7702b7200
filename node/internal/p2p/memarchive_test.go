package p2p

import (
	"bytes"
	"iter"
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// An archive is what a MemReplica has besides its sets: parts of a snapshot to
// give, and a snapshot, history and covered records to ask for. Its fields are
// guarded by the replica's mu.
type archive struct {
	parts   [][]byte               // of the snapshot it gives
	wanted  bool                   // it takes a snapshot
	taken   map[protocol.ID][]byte // the parts named by the head, nil until they came
	gap     uint64                 // certificates that it has not, from this height down
	lacking []protocol.ID          // records that its certificates cover
	signed  bool                   // records of the past come after the first 8 bytes of their ids
}

// Contents of frames of a snapshot: the head is 0 and the parts' ids, a part is 1
// and its bytes.

func (a *archive) take(content []byte) (fresh bool, err error) {
	switch {
	case len(content) > 0 && content[0] == 0 && len(content)%32 == 1:
		if !a.wanted || a.taken != nil {
			return false, nil
		}
		a.taken = map[protocol.ID][]byte{}
		for names := range slices.Chunk(content[1:], 32) {
			a.taken[protocol.ID(names)] = nil
		}
		return true, nil
	case len(content) > 0 && content[0] == 1:
		id := protocol.Sum(content[1:])
		if have, named := a.taken[id]; !named || have != nil {
			return false, nil
		}
		a.taken[id] = bytes.Clone(content[1:])
		a.wanted = slices.ContainsFunc(slices.Collect(maps.Values(a.taken)), func(p []byte) bool { return p == nil })
		return true, nil
	}
	return false, ErrPeer
}

func (r *MemReplica) Span(from uint64, down bool) (certificates [][]byte, covered []protocol.ID, err error) {
	for f := range r.Certificates(from) {
		certificates = append(certificates, f)
	}
	if down {
		certificates = certificates[:min(1, len(certificates))]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.records {
		if len(r.archive.parts) > len(covered) { // as many as parts, to have some
			covered = append(covered, id)
		}
	}
	return certificates, covered, nil
}

func (r *MemReplica) Covered(ids []protocol.ID) iter.Seq2[[]byte, error] {
	r.mu.Lock()
	defer r.mu.Unlock()
	var frames [][]byte
	for _, id := range ids {
		if content, ok := r.records[id]; ok {
			frames = append(frames, append(slices.Clone(id[:8]), content...))
		}
	}
	return all(frames)
}

// past is the content of a record of the past.
func (a *archive) past(frame []byte) ([]byte, error) {
	if !a.signed {
		return frame, nil
	}
	if len(frame) < 8 {
		return nil, ErrPeer
	}
	if id := protocol.Sum(frame[8:]); !bytes.Equal(id[:8], frame[:8]) {
		return nil, ErrPeer
	}
	return frame[8:], nil
}

// Deeper is Unfilled: certificates of the past come one at a time.
func (r *MemReplica) Deeper() uint64 { return r.Unfilled() }

func (r *MemReplica) Lacking() []protocol.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.archive.lacking), func(id protocol.ID) bool { return r.records[id] != nil })
}

func (r *MemReplica) Unfilled() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.archive.gap
}

func (r *MemReplica) Begin(uint64, uint64) (protocol.Ref, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return protocol.Ref{}, r.archive.wanted
}

func (r *MemReplica) Unrestored() (names []protocol.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, part := range r.archive.taken {
		if part == nil && len(names) < maxParts {
			names = append(names, id)
		}
	}
	return names
}

func (r *MemReplica) Head(protocol.Ref) iter.Seq2[[]byte, error] {
	r.mu.Lock()
	defer r.mu.Unlock()
	head := []byte{0}
	for _, p := range r.archive.parts {
		id := protocol.Sum(p)
		head = append(head, id[:]...)
	}
	if len(head) == 1 {
		return all(nil)
	}
	return all([][]byte{r.seals().Seal(protocol.ContentSnapshot, head)})
}

func (r *MemReplica) Parts(names []protocol.ID) iter.Seq2[[]byte, error] {
	r.mu.Lock()
	defer r.mu.Unlock()
	var frames [][]byte
	for _, p := range r.archive.parts {
		if slices.Contains(names, protocol.Sum(p)) {
			frames = append(frames, r.seals().Seal(protocol.ContentSnapshot, append([]byte{1}, p...)))
		}
	}
	return all(frames)
}

// Clone is a replica that holds the same, and of which nothing is asked yet.
func (r *MemReplica) Clone() *MemReplica {
	a := r.archive
	a.taken, a.lacking = maps.Clone(a.taken), slices.Clone(a.lacking)
	return &MemReplica{memory: &memory{
		secrets: r.secrets, heard: r.heard, epochs: r.epochs, binding: r.binding, parted: r.parted, archive: a,
		known: maps.Clone(r.known), shunned: maps.Clone(r.shunned), refuse: maps.Clone(r.refuse),
		sets: maps.Clone(r.sets), index: r.index, records: maps.Clone(r.records),
		certs: slices.Clone(r.certs), bindings: maps.Clone(r.bindings),
	}}
}
