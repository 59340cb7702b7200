package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
)

// salvage gathers what verifies in a damaged store's files. It keeps where
// things are, not the things: 1M records take some 250 MB while it lasts.
type salvage struct {
	rows    rowMAC
	keys    map[uint64][]byte
	sources []source
	open    bool // the newest intent row is a live one
	intent  stored

	records map[protocol.ID]found
	gone    map[uint64]uint64           // packs and lists deleted at this version, by first record
	pruned  map[protocol.ID]uint64      // bytes given up at this version
	lists   map[uint64]list             // newest, by first record
	private map[string]stored           // newest
	certs   map[uint64]stored           // c rows
	bodies  map[uint64]map[string]where // d rows, by SHA-256
	chunks  map[protocol.ID]where
	version stored // newest v row that verifies
}

// A source is one file. Badger is not involved.
type source interface {
	walk(visit func(at where, r stored, whole bool)) error
	read(at where, k []byte) ([]byte, bool)
	Close() error
}

// where is a source and a block or offset in it.
type where struct{ source, at int }

type found struct {
	place
	where
	start   uint64 // first record of its pack
	version uint64
}

// A list is what the log says of a pack.
type list struct {
	ids     []protocol.ID
	version uint64
}

func newSalvage(h *home) *salvage {
	return &salvage{
		rows: rowMAC{h.keys.rows}, keys: make(map[uint64][]byte),
		records: make(map[protocol.ID]found), gone: make(map[uint64]uint64), pruned: make(map[protocol.ID]uint64),
		lists: make(map[uint64]list), private: make(map[string]stored),
		certs: make(map[uint64]stored), bodies: make(map[uint64]map[string]where),
		chunks: make(map[protocol.ID]where),
	}
}

func (s *salvage) close() {
	for _, src := range s.sources {
		_ = src.Close()
	}
}

// gather reads every table and log in dirs and names what it could not read.
func (s *salvage) gather(h *home, dirs []string) (problems []string) {
	for _, d := range append([]string{h.path(registryCopy)}, dirs...) {
		if filepath.Base(d) != registryCopy {
			d = filepath.Join(d, registryName)
		}
		if keys, err := readRegistry(d, h.keys.badger); err == nil {
			maps.Copy(s.keys, keys)
		}
	}
	if len(s.keys) == 0 {
		return []string{"no key registry can be read: nothing can be salvaged"}
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !isTable(e.Name()) && !isLog(e.Name()) {
				continue
			}
			src, err := s.source(filepath.Join(dir, e.Name()))
			if err == nil {
				s.sources = append(s.sources, src)
				err = src.walk(s.visit)
			}
			if err != nil {
				problems = append(problems, e.Name()+": "+err.Error())
			}
		}
	}
	return problems
}

func (s *salvage) source(path string) (source, error) {
	n := len(s.sources)
	if isLog(path) {
		w, err := openWAL(path, s.keys)
		return logSource{w, n}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		var t *table
		if t, err = openTable(f, info.Size(), s.keys); err == nil {
			return tableSource{t, f, n}, nil
		}
	}
	_ = f.Close()
	return nil, err
}

// visit sorts one row. Records and chunks prove themselves; of the others, the
// newest of a complete transaction holds.
func (s *salvage) visit(at where, r stored, whole bool) {
	switch r.key[0] {
	case rowPack, rowLog:
		s.visitPack(at, r)
	case rowChunk:
		if id := protocol.Sum(r.value); !r.deleted && string(id[:]) == string(r.key[1:]) {
			s.chunks[id] = at
		}
	case rowBody:
		if len(r.key) == 9 && !r.deleted {
			h, sum := binary.BigEndian.Uint64(r.key[1:]), sha256.Sum256(r.value)
			if s.bodies[h] == nil {
				s.bodies[h] = make(map[string]where)
			}
			s.bodies[h][string(sum[:])] = at
		}
	default:
		if whole {
			s.visitMeta(r)
		}
	}
}

func (s *salvage) visitPack(at where, r stored) {
	start := seqOf(r.key)
	m := s.rows.tagger()
	switch {
	case start == noSeq:
	case r.deleted:
		s.gone[start] = max(s.gone[start], r.version)
	case r.key[0] == rowLog:
		places, err := m.readList(r.key, r.value)
		if old := s.lists[start]; err != nil || old.ids != nil && old.version >= r.version {
			return
		}
		l := list{version: r.version}
		for _, p := range places {
			l.ids = append(l.ids, p.id)
		}
		s.lists[start] = l
	default:
		s.visitRecords(m, at, start, r)
	}
}

func (s *salvage) visitRecords(m *tagger, at where, start uint64, r stored) {
	pk, err := parsePack(start, r.value)
	if err != nil {
		return
	}
	for i := range pk.len() {
		p, _, err := m.read(pk, i)
		if errors.Is(err, errPruned) {
			s.pruned[p.id] = max(s.pruned[p.id], r.version)
		}
		if old, ok := s.records[p.id]; err == nil && (!ok || old.version < r.version) {
			s.records[p.id] = found{p, at, start, r.version}
		}
	}
}

// listed are the ids that the log lists, but for what is unfinished or undone.
func (s *salvage) listed() iter.Seq[protocol.ID] {
	return func(yield func(protocol.ID) bool) {
		for start, l := range s.lists {
			if l.version <= s.gone[start] || s.unfinished(start) {
				continue
			}
			for _, id := range l.ids {
				if !yield(id) {
					return
				}
			}
		}
	}
}

func (s *salvage) unfinished(seq uint64) bool {
	return s.open && seq >= binary.BigEndian.Uint64(s.intent.value)
}

func (s *salvage) visitMeta(r stored) {
	n := len(r.value)
	switch r.key[0] {
	case rowPrivate:
		ok := r.deleted || n >= macSize && s.rows.check(r.value[:macSize], r.key, r.value[macSize:])
		if old, have := s.private[string(r.key)]; ok && (!have || old.version < r.version) {
			s.private[string(r.key)] = r
		}
	case rowCert:
		if len(r.key) != 9 {
			return
		}
		ok := r.deleted || n == 32+macSize && s.rows.check(r.value[32:], r.key, r.value[:32])
		height := binary.BigEndian.Uint64(r.key[1:])
		if old, have := s.certs[height]; ok && (!have || old.version < r.version) {
			s.certs[height] = r
		}
	case rowVersion:
		if n == 40+macSize && s.rows.check(r.value[40:], r.key, r.value[:40]) && r.version > s.version.version {
			s.version = r
		}
	case rowIntent:
		if r.version > s.intent.version {
			s.intent, s.open = r, !r.deleted && n == 8
		}
	}
}

// order returns the records to keep, in order of arrival.
func (s *salvage) order() []found {
	keep := make([]found, 0, len(s.records))
	for id, f := range s.records {
		if f.version > max(s.gone[f.start], s.pruned[id]) && !s.unfinished(f.seq) {
			keep = append(keep, f)
		}
	}
	slices.SortFunc(keep, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.seq, b.seq), strings.Compare(string(a.id[:]), string(b.id[:])))
	})
	return keep
}

// complete reports whether certificates and private values are proved to be
// exactly those last acknowledged.
func (s *salvage) complete(want inventory) bool {
	var digest [32]byte
	for _, r := range s.private {
		if !r.deleted {
			digest = xor(digest, rowSum(row{r.key, r.value}))
		}
	}
	for _, r := range s.certs {
		if !r.deleted {
			digest = xor(digest, rowSum(row{r.key, r.value}))
		}
	}
	if s.version.value == nil {
		return want.ops == 0 && digest == [32]byte{}
	}
	return binary.BigEndian.Uint64(s.version.value) >= want.ops && [32]byte(s.version.value[8:40]) == digest
}

func (s *salvage) read(at where, k []byte) ([]byte, bool) { return s.sources[at.source].read(at, k) }

type logSource struct {
	*wal
	n int
}

func (l logSource) Close() error { return nil }

func (l logSource) walk(visit func(where, stored, bool)) error {
	if l.wal.walk(func(off int, r stored, whole bool) { visit(where{l.n, off}, r, whole) }) {
		return fmt.Errorf("%w: some of the log can't be read", errFile)
	}
	return nil
}

func (l logSource) read(at where, _ []byte) ([]byte, bool) {
	_, v, _, size := l.entry(at.at)
	return v, size > 0
}

type tableSource struct {
	*table
	*os.File
	n int
}

func (t tableSource) walk(visit func(where, stored, bool)) error {
	bad, n := 0, t.blocks()
	for i := range n {
		rows, err := t.block(i)
		if err != nil {
			bad++
		}
		for _, r := range rows {
			visit(where{t.n, i}, r, true)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%w: %d of %d blocks can't be read", errFile, bad, n)
	}
	return nil
}

func (t tableSource) read(at where, k []byte) ([]byte, bool) {
	rows, err := t.block(at.at)
	if err != nil {
		return nil, false
	}
	for _, r := range rows {
		if string(r.key) == string(k) && !r.deleted {
			return r.value, true
		}
	}
	return nil, false
}
