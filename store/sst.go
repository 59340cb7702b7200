package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/y"
)

// The readers of this file and wal.go take Badger v4's files apart without
// Badger: on damaged ones it panics in goroutines of its own, skips tables with
// a line in its log, and deletes or cuts what it doesn't understand. Here every
// length is checked against the file before use.

// stored is a row as found in one of Badger's files.
type stored struct {
	key     []byte // ours, without Badger's version
	value   []byte
	version uint64 // of the transaction; the greatest holds
	deleted bool
}

const (
	badgerDelete  = 1 << 0
	badgerPointer = 1 << 1
	badgerTxn     = 1 << 6
	badgerEnd     = 1 << 7
)

var (
	errFile    = errors.New("file damaged")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// splitKey takes Badger's version off a key.
func splitKey(k []byte) (key []byte, version uint64, ok bool) {
	if len(k) < 9 {
		return nil, 0, false
	}
	n := len(k) - 8
	return k[:n], math.MaxUint64 - binary.BigEndian.Uint64(k[n:]), true
}

// A table is one of Badger's sorted files:
//
//	blocks ‖ index ‖ index length 4 ‖ checksum ‖ checksum length 4
//
// Index and blocks are AES-CTR ciphertext followed by a 16-byte IV. The
// checksum is CRC-32C in protobuf.
type table struct {
	file  io.ReaderAt
	size  int64
	key   []byte
	index *fb.TableIndex
}

// openTable finds which of the data keys a table is under.
func openTable(f io.ReaderAt, size int64, keys map[uint64][]byte) (*table, error) {
	err := fmt.Errorf("%w: no data key", errFile)
	for _, k := range keys {
		t := &table{file: f, size: size, key: k}
		if err = t.readIndex(); err == nil {
			if _, err = t.block(0); err == nil {
				return t, nil
			}
		}
	}
	return nil, err
}

func (t *table) at(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > t.size || n > t.size-off {
		return nil, errFile
	}
	b := make([]byte, n)
	if _, err := t.file.ReadAt(b, off); err != nil {
		return nil, err
	}
	return b, nil
}

func (t *table) readIndex() (err error) {
	defer caught(&err)
	pos := t.size - 4
	b, err := t.at(pos, 4)
	if err != nil {
		return err
	}
	n := int64(binary.BigEndian.Uint32(b))
	pos -= n
	sum, err := t.at(pos, n)
	if err != nil {
		return err
	}
	pos -= 4
	if b, err = t.at(pos, 4); err != nil {
		return err
	}
	n = int64(binary.BigEndian.Uint32(b))
	if b, err = t.at(pos-n, n); err != nil {
		return err
	}
	if !checksum(sum, b) {
		return fmt.Errorf("%w: index checksum", errFile)
	}
	if b, err = t.decrypt(b); err != nil {
		return err
	}
	t.index = fb.GetRootAsTableIndex(b, 0)
	if t.index.OffsetsLength() < 1 {
		return errFile
	}
	return nil
}

func (t *table) decrypt(b []byte) ([]byte, error) {
	if len(b) < 16 {
		return nil, errFile
	}
	n := len(b) - 16
	return y.XORBlockAllocate(b[:n], t.key, b[n:])
}

func (t *table) blocks() (n int) {
	err := errFile
	defer func() {
		if err != nil {
			n = 0
		}
	}()
	defer caught(&err)
	n, err = t.index.OffsetsLength(), nil
	return n
}

// block reads the rows of a block:
//
//	entries ‖ their offsets 4 each ‖ their number 4 ‖ checksum ‖ checksum length 4
//
// An entry is {overlap 2, diff 2} ‖ diff bytes of key ‖ {meta 1, user 1, expiry
// varint, value}; its key is overlap bytes of the block's first key and diff.
func (t *table) block(i int) (rows []stored, err error) {
	defer caught(&err)
	var bo fb.BlockOffset
	if !t.index.Offsets(&bo, i) {
		return nil, errFile
	}
	b, err := t.at(int64(bo.Offset()), int64(bo.Len()))
	if err != nil {
		return nil, err
	}
	if b, err = t.decrypt(b); err != nil {
		return nil, err
	}
	end := len(b) - 4
	end -= int(binary.BigEndian.Uint32(b[end:]))
	if !checksum(b[end:len(b)-4], b[:end]) {
		return nil, fmt.Errorf("%w: block checksum", errFile)
	}
	n := int(binary.BigEndian.Uint32(b[end-4:]))
	offsets := b[end-4-4*n : end-4]
	data := b[:len(b[:end])-4-4*n]
	var first []byte
	for i := range n {
		from, to := binary.NativeEndian.Uint32(offsets[4*i:]), uint32(len(data))
		if i+1 < n {
			to = binary.NativeEndian.Uint32(offsets[4*i+4:])
		}
		e := data[from:to]
		overlap, diff := binary.NativeEndian.Uint16(e), binary.NativeEndian.Uint16(e[2:])
		k := append(append([]byte(nil), first[:overlap]...), e[4:4+diff]...)
		if i == 0 {
			first = k
		}
		v := e[4+diff:]
		_, w := binary.Uvarint(v[2:])
		if r, ok := asStored(k, v[0], v[2+w:]); ok {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// asStored makes a row, unless it is one of Badger's own.
func asStored(k []byte, meta byte, v []byte) (stored, bool) {
	k, version, ok := splitKey(k)
	if !ok || k[0] == '!' || meta&badgerPointer != 0 {
		return stored{}, false
	}
	return stored{key: k, value: v, version: version, deleted: meta&badgerDelete != 0}, true
}

// checksum compares data with a protobuf {1: algorithm, 0 is CRC-32C; 2: sum}.
func checksum(sum, data []byte) bool {
	if len(sum) < 2 || sum[0] != 2<<3 {
		return false
	}
	want, n := binary.Uvarint(sum[1:])
	return n == len(sum)-1 && want == uint64(crc32.Checksum(data, castagnoli))
}

// caught turns a slice out of range, which is what a damaged length comes to,
// into an error.
func caught(err *error) {
	if recover() != nil {
		*err = errFile
	}
}
