package store

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"github.com/metastate-p2p/metastate/protocol"
)

// MaxValue is the largest record, certificate with its list of chunks, chunk or
// private value, in bytes; all private values and the certificate of one Batch
// share it. It is bounded by the smallest Badger transaction the store uses.
const MaxValue = 128 << 10

var (
	// ErrNotFound: there is no such record, certificate, chunk or private value.
	ErrNotFound = errors.New("not found")
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("the store is in use by another process")
	// ErrKey: the key is not this store's.
	ErrKey = errors.New("the key does not open this store")
	// ErrFull: too little disk space is left; nothing of the batch was stored.
	ErrFull = errors.New("not enough free disk space")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrGone: the store's directory was deleted while it was open.
	ErrGone = errors.New("the store's directory is gone")
	// ErrMismatch: bytes offered for storage are not what their id names.
	ErrMismatch = errors.New("content does not match its id")
	// ErrTooLarge: content exceeds MaxValue.
	ErrTooLarge = errors.New("content is larger than the store's limit")
	// ErrConflict: a different certificate is already stored at that height.
	ErrConflict = errors.New("a different certificate is stored at this height")
)

// DamagedError reports content that the store once held and can't read back.
// The remedy is Rebuild, then fetching what its Report names from peers.
type DamagedError struct {
	ID   protocol.ID // the damaged record; zero when it is not about one record
	What string      // what was found, in words
}

func (e *DamagedError) Error() string {
	if e.ID.IsZero() {
		return "store: damaged: " + e.What
	}
	return "store: damaged: record " + e.ID.String() + ": " + e.What
}

func damaged(format string, args ...any) *DamagedError {
	return &DamagedError{What: fmt.Sprintf(format, args...)}
}

// Config says where a store is.
type Config struct {
	Dir      string       // the store's own directory; made if absent
	Key      []byte       // 32 bytes
	InMemory bool         // keep everything in memory; Dir must be empty
	Logger   *slog.Logger // nil discards
}

func (c *Config) validate() error {
	switch {
	case len(c.Key) != 32:
		return fmt.Errorf("store: the key has %d bytes, want 32", len(c.Key))
	case c.InMemory && c.Dir != "":
		return errors.New("store: an in-memory store has no directory")
	case !c.InMemory && c.Dir == "":
		return errors.New("store: no directory given")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// keys are derived from the store's key, one for each use.
type keys struct {
	badger, inventory, rows []byte
}

func deriveKeys(key []byte) (k keys, err error) {
	for _, d := range []struct {
		to    *[]byte
		label string
	}{
		{&k.badger, "metastate/store/1/badger"},
		{&k.inventory, "metastate/store/1/inventory"},
		{&k.rows, "metastate/store/1/rows"},
	} {
		if *d.to, err = hkdf.Key(sha256.New, key, nil, d.label, 32); err != nil {
			return k, fmt.Errorf("store: deriving keys: %w", err)
		}
	}
	return k, nil
}

// A Store holds one metastate's records. Its methods may be called from many
// goroutines; writes are serialised.
type Store struct {
	db   *badger.DB
	home *home // nil in memory
	rows rowMAC
	log  *slog.Logger

	life lifetime
	ix   index
	meta meta

	wmu    sync.Mutex                // serialises writers
	broken error                     // under wmu: a commit failed half-way; reopen to recover
	full   atomic.Pointer[FullError] // what was refused last, set under wmu; nil if nothing since there was room
}

// Len returns the number of records.
func (s *Store) Len() uint64 { return s.ix.head.Load() }

// Close waits for running calls and iterations, makes everything final on disk
// and releases the directory.
func (s *Store) Close() error {
	if !s.life.end() {
		return nil
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if s.home == nil {
		return s.db.Close()
	}
	s.home.dropBallast() // Close flushes memory to disk: leave it room
	err := s.closeDB(closePatience)
	if err == nil {
		// Only now is it clean: a crash while Badger closes must be noticed.
		err = s.home.seal(s.inventory(true))
	}
	s.home.tighten()
	return wrap("closing", errors.Join(err, s.home.unlock()))
}

// inventory states what the store holds now. The caller holds wmu, without which
// nothing of it changes.
func (s *Store) inventory(clean bool) inventory {
	v := inventory{clean: clean, count: s.ix.head.Load(), roll: s.ix.roll, ops: s.meta.ops, digest: s.meta.digest}
	if n := len(s.meta.heights); n > 0 {
		v.height = s.meta.heights[n-1]
	}
	if s.home != nil {
		v.gen = s.home.gen
	}
	return v
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}

// lifetime lets Close wait for running calls without refusing nested ones the
// way a waiting RWMutex would.
type lifetime struct {
	mu     sync.Mutex
	idle   *sync.Cond // waits on mu
	active int        // under mu
	closed bool       // under mu
}

func (l *lifetime) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.active++
	return nil
}

func (l *lifetime) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active--; l.active == 0 && l.idle != nil {
		l.idle.Broadcast()
	}
}

// end refuses new calls, waits for the running ones, and reports whether this
// call was the first.
func (l *lifetime) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	l.idle = sync.NewCond(&l.mu)
	for l.active > 0 {
		l.idle.Wait()
	}
	return true
}
