package store

import (
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// Records that come together are stored together: a pack is a run of the log,
// its records' bytes in one row and their names in another, so that a million
// records cost Badger some ten thousand rows. A pack is
//
//	n 2 ‖ k 2 ‖ k sets ‖ n × (set's index 2 ‖ kind 1 ‖ end 4 ‖ MAC 16) ‖ bytes
//
// each record's bytes ending where its end says, and its list
//
//	n 2 ‖ k 2 ‖ k sets ‖ n × (set's index 2 ‖ id) ‖ MAC 16
//
// Numbers are big-endian. A pack's records have a MAC each, so that one can be
// read without the others, and what is damaged costs only itself.
const (
	packTarget = 8 << 10 // bytes of records in a pack, unless one alone has more
	packMost   = 1024    // records in a pack

	packHead = 4
	slotHead = 2 + 1 + 4 + macSize
	nameSize = 2 + 32
)

// What a pack has of a record.
const (
	slotLost   = 0 // nothing: it was damaged when the pack was written again
	slotRecord = 1 // its inner form
	slotPruned = 2 // its id: the bytes were given up
)

// errPruned says that a record's bytes were given up. To readers it is absent.
var errPruned = fmt.Errorf("its bytes were pruned: %w", ErrNotFound)

// A place is where a record belongs.
type place struct {
	id, set protocol.ID
	seq     uint64
}

// A slot is what a pack has of one record.
type slot struct {
	set   protocol.ID
	kind  byte
	tag   [macSize]byte
	bytes []byte
}

// recordSlot is the slot of a record whose inner form was checked.
func (m *tagger) recordSlot(p place, inner []byte) slot {
	_, signatures, _ := splitInner(inner)
	return slot{p.set, slotRecord, m.record(p, signatures), inner}
}

// prunedSlot is what takes a record's place when its bytes are given up.
func (m *tagger) prunedSlot(p place) slot {
	return slot{p.set, slotPruned, m.pruned(p), p.id[:]}
}

// A pack is a row of records, in the memory of the row.
type pack struct {
	seq                uint64 // of its first record
	sets, slots, bytes []byte
}

func parsePack(seq uint64, v []byte) (p pack, err error) {
	n, k, v, err := splitHead(v, slotHead)
	if err != nil {
		return p, err
	}
	return pack{seq, v[:32*k], v[32*k:][:slotHead*n], v[32*k+slotHead*n:]}, nil
}

// splitHead reads the numbers of records and sets, and checks that sets and as
// many items of some size are there.
func splitHead(v []byte, size int) (n, k int, rest []byte, err error) {
	if len(v) < packHead {
		return 0, 0, nil, errRow
	}
	n, k = int(binary.BigEndian.Uint16(v)), int(binary.BigEndian.Uint16(v[2:]))
	if v = v[packHead:]; n == 0 || n > packMost || k > n || len(v) < 32*k+size*n {
		return 0, 0, nil, errRow
	}
	return n, k, v, nil
}

func (p pack) len() int { return len(p.slots) / slotHead }

// at is what the pack has of its i-th record, not checked but for its bounds.
func (p pack) at(i int) (s slot, err error) {
	if i < 0 || i >= p.len() {
		return s, errRow
	}
	b := p.slots[i*slotHead:]
	set, end := int(binary.BigEndian.Uint16(b)), uint64(binary.BigEndian.Uint32(b[3:]))
	start := uint64(0)
	if i > 0 {
		start = uint64(binary.BigEndian.Uint32(p.slots[(i-1)*slotHead+3:]))
	}
	if set >= len(p.sets)/32 || start > end || end > uint64(len(p.bytes)) {
		return s, errRow
	}
	s.set, s.kind, s.bytes = protocol.ID(p.sets[32*set:][:32]), b[2], p.bytes[start:end:end]
	copy(s.tag[:], b[7:])
	return s, nil
}

// read checks the i-th record of a pack and returns its place and its bytes,
// which share the pack's memory. Of a pruned one the error is errPruned.
func (m *tagger) read(p pack, i int) (at place, inner []byte, err error) {
	s, err := p.at(i)
	if err != nil {
		return at, nil, err
	}
	at = place{set: s.set, seq: p.seq + uint64(i)}
	switch s.kind {
	case slotRecord:
		payload, signatures, err := splitInner(s.bytes)
		if err != nil {
			return at, nil, errRow
		}
		at.id = protocol.Sum(payload)
		if tag := m.record(at, signatures); !hmac.Equal(tag[:], s.tag[:]) {
			return at, nil, errRow
		}
		return at, s.bytes, nil
	case slotPruned:
		if len(s.bytes) != len(at.id) {
			return at, nil, errRow
		}
		at.id = protocol.ID(s.bytes)
		if tag := m.pruned(at); !hmac.Equal(tag[:], s.tag[:]) {
			return at, nil, errRow
		}
		return at, nil, errPruned
	}
	return at, nil, errRow
}

// A setTable numbers the sets of a pack in order of appearance.
type setTable struct {
	order  []byte // the sets, one after another
	number map[protocol.ID]uint16
	last   protocol.ID // most records are of the set of the one before
	at     uint16
}

func (t *setTable) add(set protocol.ID) uint16 {
	if len(t.order) > 0 && set == t.last {
		return t.at
	}
	n, ok := t.number[set]
	if !ok {
		if t.number == nil {
			t.number = map[protocol.ID]uint16{}
		}
		n = uint16(len(t.number))
		t.number[set] = n
		t.order = append(t.order, set[:]...)
	}
	t.last, t.at = set, n
	return n
}

// encodePack writes slots, at most packMost.
func encodePack(slots []slot) []byte {
	var sets setTable
	size := 0
	numbers := make([]uint16, len(slots))
	for i, s := range slots {
		numbers[i] = sets.add(s.set)
		size += len(s.bytes)
	}
	b := make([]byte, 0, packHead+len(sets.order)+slotHead*len(slots)+size)
	b = binary.BigEndian.AppendUint16(b, uint16(len(slots)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(sets.order)/32))
	b = append(b, sets.order...)
	end := uint32(0)
	for i, s := range slots {
		end += uint32(len(s.bytes))
		b = binary.BigEndian.AppendUint16(b, numbers[i])
		b = binary.BigEndian.AppendUint32(append(b, s.kind), end)
		b = append(b, s.tag[:]...)
	}
	for _, s := range slots {
		b = append(b, s.bytes...)
	}
	return b
}

// encodeList writes the list of a pack.
func (m *tagger) encodeList(places []place) []byte {
	var sets setTable
	numbers := make([]uint16, len(places))
	for i, p := range places {
		numbers[i] = sets.add(p.set)
	}
	b := make([]byte, 0, packHead+len(sets.order)+nameSize*len(places)+macSize)
	b = binary.BigEndian.AppendUint16(b, uint16(len(places)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(sets.order)/32))
	b = append(b, sets.order...)
	for i, p := range places {
		b = append(binary.BigEndian.AppendUint16(b, numbers[i]), p.id[:]...)
	}
	tag := m.sum([]byte{rowLog}, be64(places[0].seq), b)
	return append(b, tag[:]...)
}

// readList checks a row of the log and returns the places of its records.
func (m *tagger) readList(k, v []byte) ([]place, error) {
	seq := seqOf(k)
	if seq == noSeq || len(v) < macSize {
		return nil, errRow
	}
	body, tag := v[:len(v)-macSize], v[len(v)-macSize:]
	if want := m.sum([]byte{rowLog}, k[1:], body); !hmac.Equal(tag, want[:]) {
		return nil, errRow
	}
	n, sets, rest, err := splitHead(body, nameSize)
	if err != nil || len(rest) != 32*sets+nameSize*n {
		return nil, errRow
	}
	places := make([]place, n)
	for i := range places {
		b := rest[32*sets+nameSize*i:]
		set := int(binary.BigEndian.Uint16(b))
		if set >= sets {
			return nil, errRow
		}
		places[i] = place{id: protocol.ID(b[2:nameSize]), set: protocol.ID(rest[32*set:][:32]), seq: seq + uint64(i)}
	}
	return places, nil
}

// list reads the names of the pack that begins with a record.
func (s *Store) list(start uint64) ([]place, error) {
	k := key(rowLog, be64(start))
	v, err := s.read(k)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	places, err := s.rows.tagger().readList(k, v)
	if err != nil {
		return nil, damaged("the log's entries from %d on are missing or unreadable", start)
	}
	return places, nil
}

// pack reads the pack that begins with a record. What is missing is damage.
func (s *Store) pack(start uint64) (p pack, err error) {
	v, err := s.read(key(rowPack, be64(start)))
	if errors.Is(err, ErrNotFound) {
		err = errRow
	}
	if err != nil {
		return p, err
	}
	return parsePack(start, v)
}

// repack writes a pack anew with other slots in some places, given by number of
// record. Of the others it keeps what is there.
func (s *Store) repack(start uint64, changes map[uint64]slot) (row, error) {
	places, err := s.list(start)
	if err != nil {
		return row{}, err
	}
	old, err := s.pack(start)
	if err != nil && !errors.Is(err, errRow) && !isDamaged(err) {
		return row{}, err
	}
	slots := make([]slot, len(places))
	for i, at := range places {
		was, lost := old.at(i)
		if lost != nil {
			was = slot{kind: slotLost}
		}
		if now, ok := changes[at.seq]; ok {
			was = now
		}
		slots[i], slots[i].set = was, at.set
	}
	return row{key(rowPack, be64(start)), encodePack(slots)}, nil
}

// packs divides new records, in order, among packs, and writes their rows.
func (m *tagger) packs(places []place, inners [][]byte) (rows []row, parts [][]place) {
	for len(places) > 0 {
		n, size := 0, 0
		for n < min(len(places), packMost) && (n == 0 || size+len(inners[n]) <= packTarget) {
			size += len(inners[n])
			n++
		}
		slots := make([]slot, n)
		for i := range slots {
			slots[i] = m.recordSlot(places[i], inners[i])
		}
		seq := be64(places[0].seq)
		part := slices.Clip(places[:n])
		rows = append(rows, row{key(rowPack, seq), encodePack(slots)}, row{key(rowLog, seq), m.encodeList(part)})
		parts = append(parts, part)
		places, inners = places[n:], inners[n:]
	}
	return rows, parts
}
