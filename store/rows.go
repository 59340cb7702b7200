package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"math"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Rows of Badger, by the first byte of their key. seq and height are 8 bytes,
// big-endian; a MAC is of the row's kind, key and value.
//
//	b seq       the records seq, seq+1, …: a pack (pack.go)
//	l seq       their ids and sets ‖ MAC: the log
//	c height    SHA-256(d row) ‖ MAC  a certificate's existence
//	d height    n ‖ n chunk hashes ‖ certificate
//	k hash      a chunk
//	p key       MAC ‖ value           a private value
//	v           ops ‖ digest ‖ MAC    number of changes to c and p rows, and their digest
//	i           seq                   a batch of several transactions that starts at seq is unfinished
const (
	rowPack    = 'b'
	rowLog     = 'l'
	rowCert    = 'c'
	rowBody    = 'd'
	rowChunk   = 'k'
	rowPrivate = 'p'
	rowVersion = 'v'
	rowIntent  = 'i'

	macSize = 16
)

// rowMAC authenticates rows: Badger's cipher doesn't.
type rowMAC struct{ key []byte }

// A tagger makes and checks MACs, one after another. One goroutine uses it.
type tagger struct {
	h   hash.Hash
	buf []byte
}

func (m rowMAC) tagger() *tagger { return &tagger{h: hmac.New(sha256.New, m.key)} }

func (m rowMAC) sum(parts ...[]byte) [macSize]byte { return m.tagger().sum(parts...) }

func (m rowMAC) check(tag []byte, parts ...[]byte) bool {
	want := m.sum(parts...)
	return hmac.Equal(tag, want[:])
}

func (m *tagger) sum(parts ...[]byte) (tag [macSize]byte) {
	m.h.Reset()
	m.buf = m.buf[:0]
	for _, p := range parts {
		m.buf = append(binary.BigEndian.AppendUint32(m.buf, uint32(len(p))), p...)
	}
	m.h.Write(m.buf) // at once: small writes cost more than the copy
	m.buf = m.h.Sum(m.buf[:0])
	copy(tag[:], m.buf)
	return tag
}

// record covers a record's place and its signatures, which the id does not.
func (m *tagger) record(p place, signatures []byte) [macSize]byte {
	return m.sum([]byte{rowPack}, p.id[:], p.set[:], be64(p.seq), signatures)
}

func (m *tagger) pruned(p place) [macSize]byte {
	return m.sum([]byte{rowPack}, p.id[:], p.set[:], be64(p.seq), []byte("pruned"))
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

var errRow = errors.New("row damaged")

const noSeq = math.MaxUint64

// seqOf is the number in the key of a pack or of its list, noSeq if there is none.
func seqOf(k []byte) uint64 {
	if len(k) != 9 {
		return noSeq
	}
	return binary.BigEndian.Uint64(k[1:])
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
