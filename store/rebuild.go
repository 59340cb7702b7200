package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// Report is what Verify found, or what Rebuild saved and lost.
type Report struct {
	Records     uint64        // held and whole
	Pruned      uint64        // listed, their bytes given up on purpose
	Damaged     []protocol.ID // listed but unreadable: fetch these from peers
	Unnamed     uint64        // further records that were acknowledged, but nothing names: reconcile
	Checkpoints []uint64      // heights whose certificate is unreadable
	Chunks      []protocol.ID // named by a certificate, but missing
	// PrivateUncertain: private values and the list of certificates can't be
	// proved to be the last ones put. A clerk must not vote at a height that it
	// may have voted at.
	PrivateUncertain bool
	Problems         []string // further findings, in words
	Quarantine       string   // of a Rebuild: where the old files are
}

// OK reports that nothing is damaged or missing.
func (r Report) OK() bool {
	return len(r.Damaged) == 0 && r.Unnamed == 0 && len(r.Checkpoints) == 0 &&
		len(r.Chunks) == 0 && !r.PrivateUncertain && len(r.Problems) == 0
}

const rebuildName = "rebuild"

// Rebuild makes a damaged store whole again as far as its files allow: it
// salvages every row that verifies into fresh files, in the old order of
// arrival, and moves the old files into a quarantine folder. It does nothing
// irreversible before the new files are complete and durable; interrupted, it
// can be run again. The store must be closed. Errors: ErrLocked, ErrKey, ErrFull.
//
// A record whose parent is missing from the report's count is kept: the caller
// fetches the parent and knows to wait for it.
func Rebuild(cfg Config) (Report, error) {
	if err := cfg.validate(); err != nil {
		return Report{}, err
	}
	if cfg.InMemory {
		return Report{}, errors.New("store: a store in memory can't be rebuilt")
	}
	h, err := enterDir(cfg)
	if err != nil {
		return Report{}, err
	}
	r, err := rebuild(cfg, h)
	return r, wrap("rebuilding", errors.Join(err, h.unlock()))
}

func rebuild(cfg Config, h *home) (r Report, err error) {
	gens, err := h.generations()
	if err != nil {
		return r, err
	}
	want, known := inventory{}, false
	if b, err := os.ReadFile(h.path(inventoryName)); err == nil {
		v, err := parseInventory(b, h.keys.inventory)
		want, known = v, err == nil
	}
	if !known {
		if len(gens) > 0 && !h.keyFits(gens) {
			return r, ErrKey
		}
		r.Problems = append(r.Problems, "the inventory can't be read: what is missing can't be counted")
	}
	if err := os.RemoveAll(h.path(rebuildName)); err != nil {
		return r, err
	}
	h.dropBallast()
	dirs := []string{h.path(suspectName)}
	h.gen = max(want.gen, 1)
	for _, g := range gens {
		h.gen = max(h.gen, g+1)
		dirs = append(dirs, h.path(fmt.Sprintf("db-%d", g)))
	}
	sv := newSalvage(h)
	defer sv.close()
	r.Problems = append(r.Problems, sv.gather(h, dirs)...)
	cfg.Dir = h.path(rebuildName)
	if err := sv.into(cfg, want, known, &r); err != nil {
		return r, errors.Join(err, os.RemoveAll(cfg.Dir))
	}
	return r, h.adopt(cfg.Dir, &r)
}

// into writes what was gathered into a new store, and closes it.
func (sv *salvage) into(cfg Config, want inventory, known bool, r *Report) (err error) {
	s, err := Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := sv.moveRecords(s); err != nil {
		return err
	}
	if err := sv.moveMeta(s, r); err != nil {
		return err
	}
	r.Records = s.Len()
	for id := range sv.listed() {
		_, held := sv.records[id]
		switch {
		case sv.pruned[id] > sv.records[id].version:
			r.Pruned++
		case !held:
			r.Damaged = append(r.Damaged, id)
		}
	}
	sortIDs(r.Damaged)
	if n := r.Records + r.Pruned + uint64(len(r.Damaged)); n < want.count {
		r.Unnamed = want.count - n
	}
	r.PrivateUncertain = !known || !sv.complete(want)
	return nil
}

func (sv *salvage) moveRecords(s *Store) error {
	var items []Item
	size := 0
	flush := func() error {
		err := s.Append(items...)
		items, size = items[:0], 0
		return err
	}
	var last found
	var pk pack
	m := sv.rows.tagger()
	for _, f := range sv.order() {
		if f.where != last.where || f.start != last.start || pk.len() == 0 {
			v, _ := sv.read(f.where, key(rowPack, be64(f.start)))
			pk, _ = parsePack(f.start, v)
			last = f
		}
		at, inner, err := m.read(pk, int(f.seq-f.start))
		if err != nil || at.id != f.id {
			delete(sv.records, f.id) // it verified a moment ago: the disk is failing
			continue
		}
		items = append(items, Item{ID: f.id, Set: f.set, Inner: inner})
		if size += len(inner); len(items) == 1024 || size > mib {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (sv *salvage) moveMeta(s *Store, r *Report) error {
	for _, height := range slices.Sorted(maps.Keys(sv.certs)) {
		if sv.certs[height].deleted {
			continue
		}
		c, ok := sv.certificate(height)
		if !ok {
			r.Checkpoints = append(r.Checkpoints, height)
			continue
		}
		var chunks [][]byte
		for _, id := range c.Chunks {
			at, ok := sv.chunks[id]
			var v []byte
			if ok {
				v, ok = sv.read(at, key(rowChunk, id[:]))
			}
			if !ok || protocol.Sum(v) != id {
				r.Chunks = append(r.Chunks, id)
				continue
			}
			chunks = append(chunks, v)
		}
		if err := s.Commit(Batch{restore: &c, chunks: chunks}); err != nil {
			return err
		}
	}
	for _, k := range slices.Sorted(maps.Keys(sv.private)) {
		if v := sv.private[k]; !v.deleted {
			if err := s.PutPrivate(k[1:], v.value[macSize:]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (sv *salvage) certificate(height uint64) (Certificate, bool) {
	at, ok := sv.bodies[height][string(sv.certs[height].value[:32])]
	if !ok {
		return Certificate{}, false
	}
	body, ok := sv.read(at, key(rowBody, binary.BigEndian.AppendUint64(nil, height)))
	if !ok {
		return Certificate{}, false
	}
	c, err := parseBody(height, body)
	return c, err == nil
}

// adopt puts a finished new store in the place of the old one. Writing the
// inventory is the moment of change; Open finishes what comes after.
func (h *home) adopt(dir string, r *Report) error {
	b, err := os.ReadFile(filepath.Join(dir, inventoryName))
	if err != nil {
		return err
	}
	v, err := parseInventory(b, h.keys.inventory)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, fmt.Sprintf("db-%d", v.gen)), h.dbDir()); err != nil {
		return err
	}
	if err := syncDir(h.dir); err != nil {
		return err
	}
	if err := h.copyRegistry(); err != nil {
		return err
	}
	v.gen = h.gen
	if err := h.seal(v); err != nil {
		return err
	}
	gens, err := h.generations()
	if err != nil {
		return err
	}
	old := []string{}
	for _, g := range gens {
		if g != h.gen {
			old = append(old, h.path(fmt.Sprintf("db-%d", g)))
		}
	}
	if _, err := os.Stat(h.path(suspectName)); err == nil {
		old = append(old, h.path(suspectName))
	}
	for _, path := range old {
		to, err := h.quarantine(path)
		if err != nil {
			return err
		}
		r.Quarantine = filepath.Dir(to)
	}
	h.tighten()
	return os.RemoveAll(dir)
}
