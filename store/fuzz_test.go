package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
)

func FuzzInventory(f *testing.F) {
	k := make([]byte, 32)
	v := inventory{gen: 3, count: 9, ops: 2, height: 7, clean: true}
	f.Add(append(v.slot(0, k), make([]byte, slotSize)...))
	v.count++
	f.Add(append(v.slot(0, k), v.slot(1, k)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseInventory(b, k)
		if err == nil && !bytes.Equal(v.slot(0, k), b[:slotSize]) && !bytes.Equal(v.slot(1, k), b[slotSize:]) {
			t.Fatal("read what was not written")
		}
	})
}

func FuzzInner(f *testing.F) {
	f.Add(item(1, 300).Inner)
	f.Add([]byte{0x82, 0x40, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, sigs, err := splitInner(b)
		if err != nil {
			return
		}
		id, err := innerID(b)
		if err != nil || id != protocol.Sum(payload) || len(payload)+len(sigs) >= len(b) {
			t.Fatal("split wrongly")
		}
	})
}

// FuzzFiles gives the readers of Badger's files anything: they must neither
// panic nor take long.
func FuzzFiles(f *testing.F) {
	dir := f.TempDir()
	s, err := Open(Config{Dir: dir, Key: testKey})
	must(f, err)
	must(f, s.Append(items(0, 20, 120)...))
	mem, err := filepath.Glob(filepath.Join(dir, "db-1", "*.mem"))
	must(f, err)
	k, err := deriveKeys(testKey)
	must(f, err)
	add := func(kind byte, path string) {
		b, err := os.ReadFile(path)
		must(f, err)
		f.Add(kind, bytes.TrimRight(b, "\x00"))
	}
	add(1, mem[0])
	reg := filepath.Join(dir, "db-1", registryName)
	add(0, reg)
	keys, err := readRegistry(reg, k.badger)
	must(f, err)
	must(f, s.Close())
	sst, err := filepath.Glob(filepath.Join(dir, "db-1", "*.sst"))
	must(f, err)
	add(2, sst[0])
	var any []byte
	for _, any = range keys {
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		switch kind % 3 {
		case 0:
			_, _ = parseRegistry(b, k.badger)
		case 1:
			if len(b) > walHeader {
				w := &wal{data: b, key: any}
				w.walk(func(int, stored, bool) {})
			}
		case 2:
			tb, err := openTable(bytes.NewReader(b), int64(len(b)), keys)
			if err != nil {
				return
			}
			for i := range tb.blocks() {
				_, _ = tb.block(i)
			}
		}
	})
}

// FuzzPack gives the readers of packs and of their lists anything. What they take
// is what was written, to the byte.
func FuzzPack(f *testing.F) {
	m := rowMAC{testKey}.tagger()
	var places []place
	var inners [][]byte
	for i, it := range items(0, 9, 120) {
		places, inners = append(places, place{it.ID, it.Set, 5 + uint64(i)}), append(inners, it.Inner)
	}
	rows, _ := m.packs(places, inners)
	f.Add(rows[0].value, rows[1].value)
	f.Fuzz(func(t *testing.T, b, list []byte) {
		pk, err := parsePack(5, b)
		for i := range pk.len() {
			if at, inner, err := m.read(pk, i); err == nil && (at.id != places[i].id || !bytes.Equal(inner, inners[i])) {
				t.Fatalf("record %d is not what was written", i)
			}
		}
		if _, last := pk.at(pk.len()); err == nil && last == nil {
			t.Fatal("read past the end")
		}
		if got, err := m.readList(key(rowLog, be64(5)), list); err == nil && (!bytes.Equal(list, rows[1].value) || len(got) != 9) {
			t.Fatal("read a list that was not written")
		}
	})
}
