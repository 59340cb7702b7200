package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Open opens the store of cfg, or makes it. It returns ErrLocked, ErrKey,
// ErrFull or a *DamagedError for what a caller can act on. A store that is
// damaged stays as it is until Rebuild.
func Open(cfg Config) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.InMemory {
		return openMemory(cfg)
	}
	if err := checkClock(time.Now()); err != nil {
		return nil, wrap("opening", err)
	}
	h, err := enterDir(cfg)
	if err != nil {
		return nil, err
	}
	s, err := open(cfg, h)
	if err != nil {
		h.dropBallast()
		_ = h.unlock()
		var d *DamagedError
		if errors.As(err, &d) {
			return nil, err
		}
		return nil, wrap("opening "+cfg.Dir, err)
	}
	return s, nil
}

// memoryTable is the write buffer of a store in memory, taken whole at once.
// What a store on disk gains by larger ones, fewer tables, costs nothing here.
const memoryTable = mib

func openMemory(cfg Config) (*Store, error) {
	k, err := deriveKeys(cfg.Key)
	if err != nil {
		return nil, err
	}
	db, err := openBadger(badgerOptions("", k, sizes{memtable: memoryTable}, cfg.Logger))
	if err != nil {
		return nil, wrap("opening in memory", err)
	}
	s := &Store{db: db, rows: rowMAC{k.rows}, log: cfg.Logger}
	s.ix.init()
	s.meta.init()
	return s, nil
}

func open(cfg Config, h *home) (*Store, error) {
	want, err := h.expected()
	if err != nil {
		return nil, err
	}
	_, total, err := diskSpace(h.dir)
	if err != nil {
		return nil, err
	}
	h.size = chooseSizes(total)
	h.dropBallast()
	held, err := h.inspect(want)
	if err != nil {
		return nil, err
	}
	// Badger replays and flushes what its buffers held, and makes its files.
	tight, err := h.room(held + h.size.ballast + 3*h.size.memtable + mib/2)
	if err != nil {
		return nil, err
	}
	if err := h.takeBallast(); err != nil {
		return nil, err
	}
	want.clean = false
	if err := h.seal(want); err != nil { // from here on, an exit without Close shows
		return nil, err
	}
	db, err := openBadger(badgerOptions(h.dbDir(), h.keys, h.size, cfg.Logger))
	if err != nil {
		return nil, noSpace(err)
	}
	s := &Store{db: db, home: h, rows: rowMAC{h.keys.rows}, log: cfg.Logger}
	if err := s.start(want); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if tight {
		s.settle()
	}
	return s, nil
}

func (s *Store) start(want inventory) error {
	s.ix.init()
	s.meta.init()
	if err := s.load(want); err != nil {
		return err
	}
	// The content is proved complete: what was kept for a salvage is not needed.
	if err := os.RemoveAll(s.home.path(suspectName)); err != nil {
		return err
	}
	s.home.tighten()
	return s.home.copyRegistry()
}

// expected reads the inventory, makes a new store's first one, and clears away
// what an interrupted Rebuild left.
func (h *home) expected() (inventory, error) {
	gens, err := h.generations()
	if err != nil {
		return inventory{}, err
	}
	b, err := os.ReadFile(h.path(inventoryName))
	if errors.Is(err, fs.ErrNotExist) {
		if len(gens) > 0 {
			return inventory{}, damaged("the inventory is missing")
		}
		h.gen = 1
		return inventory{gen: 1}, h.seal(inventory{gen: 1})
	}
	if err != nil {
		return inventory{}, err
	}
	v, err := parseInventory(b, h.keys.inventory)
	if err != nil {
		if len(gens) > 0 && !h.keyFits(gens) {
			return v, ErrKey
		}
		return v, damaged("%v", err)
	}
	h.gen = v.gen
	for _, g := range gens {
		old := h.path(fmt.Sprintf("db-%d", g))
		switch {
		case g > v.gen: // unfinished; its source is intact
			err = os.RemoveAll(old)
		case g < v.gen: // finished, not yet moved aside
			_, err = h.quarantine(old)
		}
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

// keyFits reports whether a key registry opens with the key.
func (h *home) keyFits(gens []uint64) bool {
	paths := []string{h.path(registryCopy)}
	for _, g := range gens {
		paths = append(paths, h.path(filepath.Join(fmt.Sprintf("db-%d", g), registryName)))
	}
	for _, p := range paths {
		if _, err := readRegistry(p, h.keys.badger); err == nil {
			return true
		}
	}
	return false
}

// load reads the log, the private values and the list of certificates, and
// compares them with what must be there.
func (s *Store) load(want inventory) (err error) {
	defer recovered(&err)
	if err := s.undo(); err != nil {
		return err
	}
	if err := s.loadLog(want); err != nil {
		return err
	}
	return s.loadMeta(want)
}

func (s *Store) loadLog(want inventory) error {
	if want.count == 0 && s.ix.roll != want.roll {
		return damaged("the inventory contradicts itself")
	}
	next := uint64(0)
	m := s.rows.tagger()
	err := s.scan([]byte{rowLog}, nil, func(k, v []byte) error {
		places, err := m.readList(k, v)
		if err != nil || places[0].seq != next {
			return damaged("log entry %d is missing or unreadable", next)
		}
		s.ix.add(places)
		before := next
		next += uint64(len(places))
		// A batch is whole packs, and the inventory is of whole batches.
		if before < want.count && next >= want.count && (next > want.count || s.ix.roll != want.roll) {
			return damaged("the log differs from the inventory within its first %d entries", next)
		}
		return nil
	})
	if err == nil && next < want.count {
		err = damaged("%d of %d records are missing from the log", want.count-next, want.count)
	}
	if err == nil && want.clean && next > want.count {
		err = damaged("the log has %d entries more than the inventory", next-want.count)
	}
	return err
}

// undo removes what an interrupted batch of several transactions left.
func (s *Store) undo() error {
	start, err := s.read([]byte{rowIntent})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(start) != 8 {
		return damaged("the note of an unfinished batch is unreadable")
	}
	var rows []row
	for _, kind := range []byte{rowLog, rowPack} {
		err = s.scan([]byte{kind}, key(kind, start), func(k, _ []byte) error {
			rows = append(rows, row{key: bytes.Clone(k)})
			return nil
		})
		if err != nil {
			return err
		}
	}
	// The note goes last: a crash here repeats the work.
	for _, txn := range s.divide(append(rows, row{key: []byte{rowIntent}})) {
		if err := s.write(txn); err != nil {
			return err
		}
	}
	return nil
}

// scan visits the rows with a prefix, from a key on, in key order, one snapshot.
func (s *Store) scan(prefix, from []byte, visit func(k, v []byte) error) error {
	return s.db.View(func(txn *badger.Txn) error {
		// No prefetching: it would read in goroutines whose panics nobody catches.
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		if from == nil {
			from = prefix
		}
		for it.Seek(from); it.ValidForPrefix(prefix); it.Next() {
			item := it.Item()
			if err := item.Value(func(v []byte) error { return visit(item.Key(), v) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// read returns a copy of one row's value.
func (s *Store) read(k []byte) (v []byte, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		item, err := txn.Get(k)
		if err != nil {
			return err
		}
		v, err = item.ValueCopy(nil)
		return err
	})
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	return v, err
}

// recovered turns a panic of Badger on a damaged block into an error.
func recovered(err *error) {
	if recover() != nil { // its words may quote content
		*err = damaged("Badger can't read its files")
	}
}
