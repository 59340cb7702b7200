package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
)

// inventory states what the store must contain at least.
//
// The file has two slots. The first is written by seal: whole file, fsynced,
// renamed into place. The second is overwritten in place after every commit,
// without fsync: that is already proof against kill -9, and after a power loss
// the first still holds. A slot lies within one disk sector, so it is not torn;
// one that is neither empty nor authentic is damage.
//
//	magic 6 ‖ slot 1 ‖ clean 1 ‖ gen 8 ‖ count 8 ‖ roll 32 ‖ ops 8 ‖ digest 32 ‖ height 8 ‖ HMAC-SHA256 32
type inventory struct {
	clean  bool     // the store was closed; nothing can follow
	gen    uint64   // of the Badger directory
	count  uint64   // records
	roll   [32]byte // rolling hash over the log
	ops    uint64   // changes to certificates and private values
	digest [32]byte // of those rows
	height uint64   // latest certificate
}

const (
	inventoryName = "inventory"
	magic         = "MSINV\x01"
	slotBody      = len(magic) + 2 + 8 + 8 + 32 + 8 + 32 + 8
	slotSize      = slotBody + sha256.Size
)

var errInventory = errors.New("the inventory is not authentic")

func (v inventory) slot(n byte, key []byte) []byte {
	b := append(make([]byte, 0, slotSize), magic...)
	b = append(b, n, 0)
	if v.clean {
		b[len(b)-1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, v.gen)
	b = binary.BigEndian.AppendUint64(b, v.count)
	b = append(b, v.roll[:]...)
	b = binary.BigEndian.AppendUint64(b, v.ops)
	b = append(b, v.digest[:]...)
	b = binary.BigEndian.AppendUint64(b, v.height)
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return h.Sum(b)
}

func parseSlot(b []byte, n byte, key []byte) (v inventory, err error) {
	h := hmac.New(sha256.New, key)
	h.Write(b[:slotBody])
	if !hmac.Equal(h.Sum(nil), b[slotBody:]) || string(b[:len(magic)]) != magic || b[len(magic)] != n {
		return v, errInventory
	}
	f := b[len(magic)+1:]
	u64 := func() uint64 { n := binary.BigEndian.Uint64(f); f = f[8:]; return n }
	v.clean, f = f[0] == 1, f[1:]
	v.gen, v.count = u64(), u64()
	f = f[copy(v.roll[:], f):]
	v.ops = u64()
	f = f[copy(v.digest[:], f):]
	v.height = u64()
	return v, nil
}

// parseInventory reads the file's content: the newer of its two slots.
func parseInventory(b, key []byte) (inventory, error) {
	if len(b) != 2*slotSize {
		return inventory{}, errInventory
	}
	v, err := parseSlot(b[:slotSize], 0, key)
	if err != nil || bytes.Equal(b[slotSize:], make([]byte, slotSize)) {
		return v, err
	}
	w, err := parseSlot(b[slotSize:], 1, key)
	if err != nil || w.gen != v.gen {
		return inventory{}, errInventory
	}
	if w.count < v.count || w.ops < v.ops {
		return inventory{}, errInventory
	}
	return w, nil
}

// writeInventory replaces the file and returns it open for the second slot.
func writeInventory(dir string, v inventory, key []byte) (*os.File, error) {
	content := append(v.slot(0, key), make([]byte, slotSize)...)
	if err := writeFile(dir, inventoryName, content); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, inventoryName), os.O_WRONLY, 0)
}

// writeFile replaces a file so that after a crash it is the old or the new one.
func writeFile(dir, name string, content []byte) (err error) {
	tmp := filepath.Join(dir, name+".tmp")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
