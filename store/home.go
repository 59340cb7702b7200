package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// home is the store's directory on disk. It belongs to whoever holds
// Store.wmu, or to Open and Rebuild before there is a Store.
type home struct {
	dir   string
	keys  keys
	gen   uint64   // of the Badger directory in use
	lock  *os.File // held lock
	inv   *os.File // for the inventory's second slot
	fresh uint64   // records added since the last seal
	size  sizes

	settled string // Badger's files when it last had nothing to do
}

// sealEvery bounds, in records, what a power loss may take from the inventory's
// reach (the records themselves are durable): so many, or this part of all.
const (
	sealEvery = 1000
	sealPart  = 32
)

// enterDir makes and locks the directory.
func enterDir(cfg Config) (*home, error) {
	k, err := deriveKeys(cfg.Key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, wrap("making its directory", noSpace(err))
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return nil, wrap("closing its directory to others", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, wrap("locking "+cfg.Dir, err)
	}
	return &home{dir: cfg.Dir, keys: k, lock: lock}, nil
}

func (h *home) unlock() error {
	err := h.dropInventory()
	return errors.Join(err, h.lock.Close())
}

func (h *home) dropInventory() error {
	if h.inv == nil {
		return nil
	}
	f := h.inv
	h.inv = nil
	return f.Close()
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

func (h *home) dbDir() string { return h.path("db-" + strconv.FormatUint(h.gen, 10)) }

// generations lists the Badger directories present, by number.
func (h *home) generations() ([]uint64, error) {
	entries, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, err
	}
	var gens []uint64
	for _, e := range entries {
		if n, ok := strings.CutPrefix(e.Name(), "db-"); ok && e.IsDir() {
			if g, err := strconv.ParseUint(n, 10, 64); err == nil {
				gens = append(gens, g)
			}
		}
	}
	return gens, nil
}

// seal writes the inventory durably.
func (h *home) seal(v inventory) error {
	f, err := writeInventory(h.dir, v, h.keys.inventory)
	if err != nil {
		return fmt.Errorf("writing the inventory: %w", noSpace(err))
	}
	h.fresh = 0
	err = h.dropInventory()
	h.inv = f
	return err
}

// note records a commit of n records in the inventory; durably where told or
// due.
func (h *home) note(v inventory, n uint64, durably bool) error {
	h.fresh += n
	if durably || h.fresh >= max(sealEvery, v.count/sealPart) {
		h.tighten()
		return h.seal(v)
	}
	if h.inv == nil {
		return h.seal(v)
	}
	_, err := h.inv.WriteAt(v.slot(1, h.keys.inventory), int64(slotSize))
	return err
}

// tighten sets every file of the store to 0600 and every folder to 0700:
// Badger creates them open to others. Best effort, for the directory itself
// already keeps others out.
func (h *home) tighten() {
	_ = filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		mode := fs.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		if info, err := d.Info(); err == nil && info.Mode().Perm() != mode {
			_ = os.Chmod(path, mode)
		}
		return nil
	})
}

const (
	registryName = "KEYREGISTRY"
	registryCopy = "keys.copy"
)

// copyRegistry keeps a second copy of Badger's key registry, without which no
// byte of the store can be read.
func (h *home) copyRegistry() error {
	now, err := os.ReadFile(filepath.Join(h.dbDir(), registryName))
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(h.path(registryCopy)); err == nil && bytes.Equal(old, now) {
		return nil
	}
	return writeFile(h.dir, registryCopy, now)
}

// noSpace marks an error that says the disk is full as ErrFull.
func noSpace(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errors.Join(ErrFull, err)
	}
	return err
}
