package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Rows of Badger, by the first byte of their key. seq and height are 8 bytes,
// big-endian; a MAC is of the row's kind, key and value, and an s row's is the l
// row's.
//
//	r id        set ‖ seq ‖ MAC ‖ inner  a record; of a pruned one there is no inner
//	s set id    seq ‖ MAC             the records of a set, in id order
//	l seq       id ‖ set ‖ MAC        the log
//	c height    SHA-256(d row) ‖ MAC  a certificate's existence
//	d height    n ‖ n chunk hashes ‖ certificate
//	k hash      a chunk
//	p key       MAC ‖ value           a private value
//	v           ops ‖ digest ‖ MAC    number of changes to c and p rows, and their digest
//	i           seq                   a batch of several transactions that starts at seq is unfinished
const (
	rowRecord  = 'r'
	rowSet     = 's'
	rowLog     = 'l'
	rowCert    = 'c'
	rowBody    = 'd'
	rowChunk   = 'k'
	rowPrivate = 'p'
	rowVersion = 'v'
	rowIntent  = 'i'

	macSize   = 16
	placeSize = 32 + 8 + macSize
)

// rowMAC authenticates rows: Badger's cipher doesn't.
type rowMAC struct{ key []byte }

func (m rowMAC) sum(parts ...[]byte) (tag [macSize]byte) {
	h := hmac.New(sha256.New, m.key)
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	copy(tag[:], h.Sum(nil))
	return tag
}

func (m rowMAC) check(tag []byte, parts ...[]byte) bool {
	want := m.sum(parts...)
	return hmac.Equal(tag, want[:])
}

// A place is where a record belongs.
type place struct {
	id, set protocol.ID
	seq     uint64
}

func (m rowMAC) place(p place) [macSize]byte {
	return m.sum([]byte{rowLog}, p.id[:], p.set[:], be64(p.seq))
}

// record also covers the signatures, which the id does not.
func (m rowMAC) record(p place, signatures []byte) [macSize]byte {
	return m.sum([]byte{rowRecord}, p.id[:], p.set[:], be64(p.seq), signatures)
}

func be64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func key(kind byte, parts ...[]byte) []byte {
	k := make([]byte, 1, 72)
	k[0] = kind
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

// row is one Badger entry to write; a nil value deletes.
type row struct{ key, value []byte }

// recordRows are the three rows of a record whose inner form was checked.
func (m rowMAC) recordRows(p place, inner []byte) [3]row {
	_, signatures, _ := splitInner(inner)
	tag, own, seq := m.place(p), m.record(p, signatures), be64(p.seq)
	rec := make([]byte, 0, placeSize+len(inner))
	rec = append(append(append(append(rec, p.set[:]...), seq...), own[:]...), inner...)
	ent := append(append(append(make([]byte, 0, 80), p.id[:]...), p.set[:]...), tag[:]...)
	return [3]row{
		{key(rowRecord, p.id[:]), rec},
		{key(rowSet, p.set[:], p.id[:]), append(seq, tag[:]...)},
		{key(rowLog, be64(p.seq)), ent},
	}
}

var errRow = errors.New("row damaged")

// readRecord checks an r row and returns its place and the record's bytes,
// which share the row's memory. Of a pruned one the error is errPruned.
func (m rowMAC) readRecord(id protocol.ID, v []byte) (p place, inner []byte, err error) {
	if len(v) < placeSize {
		return p, nil, errRow
	}
	p = place{id: id, set: protocol.ID(v[:32]), seq: binary.BigEndian.Uint64(v[32:40])}
	if len(v) == placeSize {
		return p, nil, m.readTombstone(p, v[40:])
	}
	inner = v[placeSize:]
	payload, signatures, err := splitInner(inner)
	if err != nil || protocol.Sum(payload) != id {
		return p, nil, errRow
	}
	if tag := m.record(p, signatures); !hmac.Equal(tag[:], v[40:placeSize]) {
		return p, nil, errRow
	}
	return p, inner, nil
}

func (m rowMAC) readLog(k, v []byte) (p place, err error) {
	if len(k) != 9 || len(v) != 64+macSize {
		return p, errRow
	}
	p = place{id: protocol.ID(v[:32]), set: protocol.ID(v[32:64]), seq: binary.BigEndian.Uint64(k[1:])}
	if tag := m.place(p); !hmac.Equal(tag[:], v[64:]) {
		return p, errRow
	}
	return p, nil
}

func (m rowMAC) readSet(k, v []byte) (p place, err error) {
	if len(k) != 65 || len(v) != 8+macSize {
		return p, errRow
	}
	p = place{set: protocol.ID(k[1:33]), id: protocol.ID(k[33:]), seq: binary.BigEndian.Uint64(v)}
	if tag := m.place(p); !hmac.Equal(tag[:], v[8:]) {
		return p, errRow
	}
	return p, nil
}

// splitInner takes a record's inner form apart: a canonical CBOR array of two
// byte strings, payload and signatures (SPEC §2.3). Both share inner's memory.
func splitInner(inner []byte) (payload, signatures []byte, err error) {
	r := dagcbor.NewReader(inner)
	if n := r.Array(2); r.Err() == nil && n != 2 {
		return nil, nil, dagcbor.ErrNotCanonical
	}
	payload, signatures = r.Bytes(MaxValue), r.Bytes(MaxValue)
	if err := r.End(); err != nil {
		return nil, nil, err
	}
	return payload, signatures, nil
}

func innerID(inner []byte) (protocol.ID, error) {
	payload, _, err := splitInner(inner)
	if err != nil {
		return protocol.ID{}, err
	}
	return protocol.Sum(payload), nil
}
