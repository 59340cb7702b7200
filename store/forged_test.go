package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
)

// Every byte of every row counts: one altered under an open store is reported
// by whatever reads it.
func TestAlteredRows(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	its := items(0, 20, 120)
	must(t, s.Append(its...))
	chunk := []byte("a chunk")
	id := protocol.Sum(chunk)
	must(t, s.PutCheckpoint(1, []byte("certificate"), chunk))
	must(t, s.PutPrivate("p", []byte("value")))
	it := its[9]

	last := func(seq func(func(protocol.ID, error) bool)) (err error) {
		for _, err = range seq {
		}
		return err
	}
	for name, c := range map[string]struct {
		key  []byte
		read func() error
	}{
		"record": {key(rowPack, be64(0)), func() error { _, err := s.Verify(t.Context()); return errors.Join(err, allOf(s, its)) }},
		"log": {key(rowLog, be64(0)), func() (err error) {
			for _, err = range s.Log(0) {
			}
			return err
		}},
		"set":     {key(rowLog, be64(0)), func() error { return last(s.Set(it.Set)) }},
		"chunk":   {key(rowChunk, id[:]), func() error { _, err := s.Chunk(id); return err }},
		"body":    {key(rowBody, be64(1)), func() error { _, err := s.Checkpoint(1); return err }},
		"cert":    {key(rowCert, be64(1)), func() error { _, err := s.Checkpoint(1); return err }},
		"private": {key(rowPrivate, []byte("p")), func() error { _, err := s.Private("p"); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.read(); err != nil {
				t.Fatal(err)
			}
			whole, err := s.read(c.key)
			must(t, err)
			for i := range whole {
				b := bytes.Clone(whole)
				b[i] ^= 0x10
				must(t, s.write([]row{{c.key, b}}))
				if err := c.read(); !isDamaged(err) {
					t.Fatalf("byte %d of %d: %v", i, len(whole), err)
				}
			}
			must(t, s.write([]row{{c.key, whole}}))
			must(t, c.read())
		})
	}
}

// The inventory is authentic or refused.
func TestForgedInventory(t *testing.T) {
	k := bytes.Repeat([]byte{1}, 32)
	a := inventory{gen: 1, count: 5}
	b := inventory{gen: 1, count: 6}
	whole := append(a.slot(0, k), b.slot(1, k)...)
	if v, err := parseInventory(whole, k); err != nil || v.count != 6 {
		t.Fatal(v, err)
	}
	for i := range whole {
		f := bytes.Clone(whole)
		f[i] ^= 1
		if _, err := parseInventory(f, k); err == nil {
			t.Fatalf("byte %d does not count", i)
		}
	}
	if _, err := parseInventory(append(a.slot(0, k), a.slot(0, k)...), k); err == nil {
		t.Fatal("a slot in the other's place")
	}
	if _, err := parseInventory(append(b.slot(0, k), a.slot(1, k)...), k); err == nil {
		t.Fatal("the second slot is older than the first")
	}
}

// A table that Badger does not list may hold what its manifest lost: it is kept
// until the content is proved complete, and salvaged from otherwise.
func TestOrphanTable(t *testing.T) {
	dir := t.TempDir()
	fillForDamage(t, dir)
	sst, err := filepath.Glob(filepath.Join(dir, "db-1", "*.sst"))
	must(t, err)
	b, err := os.ReadFile(sst[0])
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "db-1", "000099.sst"), b, 0o600))
	for _, path := range sst {
		must(t, os.Remove(path))
	}
	for range 2 {
		if _, err := Open(Config{Dir: dir, Key: testKey}); !isDamaged(err) {
			t.Fatal(err)
		}
	}
	r, err := Rebuild(Config{Dir: dir, Key: testKey})
	must(t, err)
	if r.Records != damagedCount && len(sst) == 1 {
		t.Fatalf("saved %d", r.Records)
	}
}

// Tables are read through before Badger sees them.
func TestTablesAreInspected(t *testing.T) {
	dir := t.TempDir()
	fillForDamage(t, dir)
	sst, err := filepath.Glob(filepath.Join(dir, "db-1", "*.sst"))
	must(t, err)
	b, err := os.ReadFile(sst[0])
	must(t, err)
	b[len(b)/3] ^= 1
	must(t, os.WriteFile(sst[0], b, 0o600))
	if _, err := Open(Config{Dir: dir, Key: testKey}); !isDamaged(err) {
		t.Fatal(err)
	}
}

// Log entries exchanged under an open store are authentic each, but not in that
// order.
func TestVerifyOrder(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	must(t, s.Append(items(0, 20, 100)...))
	must(t, s.write(exchanged(t, s, 4, 8)))
	if r, err := s.Verify(t.Context()); err != nil || r.OK() {
		t.Fatalf("%+v %v", r, err)
	}
}

// allOf is what reading all records ends with.
func allOf(s *Store, its []Item) error {
	for _, it := range its {
		if _, err := s.Get(it.ID); err != nil {
			return err
		}
	}
	return nil
}
