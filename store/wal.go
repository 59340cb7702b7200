package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/dgraph-io/badger/v4/y"
)

// wal is one of Badger's write-ahead logs (.mem), read whole:
//
//	data key id 8 ‖ IV 12 ‖ entries ‖ zeros
//
// An entry is {meta 1, user 1, key length, value length, expiry: varints} ‖
// AES-CTR(key ‖ value) under IV ‖ offset ‖ CRC-32C of all that. The entries of a
// transaction carry badgerTxn and end with one that carries badgerEnd.
type wal struct {
	data []byte // without trailing zeros
	key  []byte
}

const (
	walHeader  = 20
	maxWALRows = MaxValue + 1024
)

func openWAL(path string, keys map[uint64][]byte) (*wal, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < walHeader {
		return &wal{}, nil
	}
	k, ok := keys[binary.BigEndian.Uint64(b)]
	if !ok && bytes.Count(b[:walHeader], []byte{0}) < walHeader {
		return nil, fmt.Errorf("%w: no data key", errFile)
	}
	end := max(len(bytes.TrimRight(b, "\x00")), walHeader)
	// A CRC may end in zeros that aren't padding.
	return &wal{data: b[:min(len(b), end+crc32.Size)], key: k}, nil
}

// entry reads what is at an offset; size is 0 where nothing valid is.
func (w *wal) entry(off int) (k, v []byte, meta byte, size int) {
	b := w.data[off:]
	if len(b) < 2 {
		return nil, nil, 0, 0
	}
	at := 2
	var n [3]uint64
	for i := range n {
		x, used := binary.Uvarint(b[at:])
		if used <= 0 {
			return nil, nil, 0, 0
		}
		n[i], at = x, at+used
	}
	if n[0] == 0 || n[0] > 1024 || n[1] > maxWALRows {
		return nil, nil, 0, 0
	}
	klen, vlen := int(n[0]), int(n[1])
	end := at + klen + vlen
	if len(b) < end+4 || binary.BigEndian.Uint32(b[end:]) != crc32.Checksum(b[:end], castagnoli) {
		return nil, nil, 0, 0
	}
	iv := binary.BigEndian.AppendUint32(bytes.Clone(w.data[8:walHeader]), uint32(off))
	kv, err := y.XORBlockAllocate(b[at:end], w.key, iv)
	if err != nil {
		return nil, nil, 0, 0
	}
	return kv[:klen], kv[klen:], b[0], end + 4
}

// walk visits the rows of the log in order, whole says whether their
// transaction is complete, and returns whether it met bytes it had to pass
// over: damage, or the last write before a crash.
func (w *wal) walk(visit func(off int, r stored, whole bool)) (skipped bool) {
	type at struct {
		off int
		r   stored
	}
	var open []at
	flush := func(whole bool) {
		for _, e := range open {
			visit(e.off, e.r, whole)
		}
		open = open[:0]
	}
	broken := false
	for off := walHeader; off < len(w.data); {
		k, v, meta, size := w.entry(off)
		if size == 0 {
			if len(bytes.TrimRight(w.data[off:], "\x00")) == 0 {
				break
			}
			skipped, broken = true, true
			off++
			continue
		}
		if meta&badgerEnd != 0 {
			flush(!broken)
			broken = false
		} else if r, ok := asStored(k, meta, v); ok {
			open = append(open, at{off, r})
		}
		off += size
	}
	skipped = skipped || len(open) > 0
	flush(false)
	return skipped
}

// readRegistry reads Badger's data keys:
//
//	IV 16 ‖ AES-CTR("Hello Badger") ‖ (length 4 ‖ CRC-32C 4 ‖ protobuf {1: id, 2: data, 3: IV})…
func readRegistry(path string, key []byte) (keys map[uint64][]byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseRegistry(b, key)
}

func parseRegistry(b, key []byte) (keys map[uint64][]byte, err error) {
	const hello = "Hello Badger"
	if len(b) < 16+len(hello) {
		return nil, errFile
	}
	plain, err := y.XORBlockAllocate(b[16:16+len(hello)], key, b[:16])
	if err != nil {
		return nil, err
	}
	if string(plain) != hello {
		return nil, errors.New("the key registry is of another key, or damaged")
	}
	keys = make(map[uint64][]byte)
	for b = b[16+len(hello):]; len(b) > 0; {
		if len(b) < 8 {
			return nil, errFile
		}
		n, sum := uint64(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
		if uint64(len(b)-8) < n || crc32.Checksum(b[8:8+n], castagnoli) != sum {
			return nil, errFile
		}
		id, data, iv, err := parseDataKey(b[8 : 8+n])
		if err != nil {
			return nil, err
		}
		if keys[id], err = y.XORBlockAllocate(data, key, iv); err != nil {
			return nil, err
		}
		b = b[8+n:]
	}
	return keys, nil
}

func parseDataKey(b []byte) (id uint64, data, iv []byte, err error) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, nil, nil, errFile
		}
		x, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return 0, nil, nil, errFile
		}
		b = b[n+m:]
		switch tag {
		case 1 << 3:
			id = x
		case 2<<3 | 2, 3<<3 | 2:
			if x > uint64(len(b)) {
				return 0, nil, nil, errFile
			}
			if tag == 2<<3|2 {
				data = b[:x]
			} else {
				iv = b[:x]
			}
			b = b[x:]
		}
	}
	if len(iv) != 16 || len(data) == 0 {
		return 0, nil, nil, errFile
	}
	return id, data, iv, nil
}
