package store

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// sizes are chosen once, by the size of the file system.
type sizes struct {
	memtable int64 // bytes of Badger's write buffer, and of a table flushed from it
	ballast  int64 // bytes held on disk so that Close can always flush
}

const (
	mib = 1 << 20
	// compactionReserve bounds the space kept for rewriting tables: Badger merges
	// the newest, at most two dozen, with those of one level at once.
	compactionReserve = levelSize + 256*mib
	ballastName       = "ballast"
)

// chooseSizes fits the buffers to a file system of total bytes; 0 is unknown.
func chooseSizes(total int64) sizes {
	m := int64(8 * mib)
	switch {
	case total == 0 || total >= 4<<30:
	case total >= 256*mib:
		m = 2 * mib
	default:
		m = mib
	}
	return sizes{memtable: m, ballast: 2*m + 256<<10}
}

// reserve is how much must be free before batch bytes are written: Badger maps
// its files into memory, so a page that finds no space on disk is not an error
// there but the death of the process. It covers the log of the batch, the
// tables flushed from full buffers, and one rewriting of the tables.
func (z sizes) reserve(tables, batch int64) int64 {
	return min(tables, compactionReserve) + 2*z.memtable + 3*batch + mib/2
}

// room refuses early when the disk is nearly full. tight is set when it soon
// will be.
func (h *home) room(need int64) (tight bool, err error) {
	free, _, err := diskSpace(h.dir)
	if err != nil {
		return false, fmt.Errorf("asking for free disk space: %w", err)
	}
	if free >= 0 && free < need {
		return true, &FullError{h.dir, free, need}
	}
	return free >= 0 && free/2 < need, nil
}

// FullError is an [ErrFull] that says how much there is, and has to be, in bytes,
// on the disk of the store's directory. Need is 0 where that is not known.
type FullError struct {
	Dir        string
	Free, Need int64
}

func (e *FullError) Error() string {
	if e.Need == 0 {
		return fmt.Sprintf("%v: in %s", ErrFull, e.Dir)
	}
	return fmt.Sprintf("%v: %d KiB free, %d KiB needed in %s", ErrFull, e.Free>>10, e.Need>>10, e.Dir)
}

func (e *FullError) Unwrap() error { return ErrFull }

// Full returns why the store takes nothing new at present: there is no room for
// anything, or none for what was refused for that. It returns nil if the store
// takes what comes. What is merged in the background just now may free some.
func (s *Store) Full() *FullError {
	if s.home == nil || s.life.enter() != nil {
		return nil
	}
	defer s.life.leave()
	need := s.home.size.reserve(tableBytes(s.db), 0)
	if full := s.full.Load(); full != nil {
		if full.Need == 0 {
			return full
		}
		need = max(need, full.Need)
	}
	_, err := s.home.room(need)
	now, _ := errors.AsType[*FullError](err)
	return now
}

// refused notes that something was refused. The caller holds wmu.
func (s *Store) refused(err error) {
	full, ok := errors.AsType[*FullError](err)
	if !ok && errors.Is(err, ErrFull) {
		full, ok = &FullError{Dir: s.home.dir}, true
	}
	if !ok {
		return
	}
	was := s.full.Load()
	if was == nil || was.Need < full.Need {
		s.full.Store(full)
	}
	if was == nil {
		s.log.Error("the disk is full: nothing is stored until there is room", "folder", full.Dir, "freeMiB", full.Free>>20, "neededMiB", (full.Need+mib-1)>>20)
	}
}

// took notes that something was stored. What is small may still fit where what
// was refused does not. The caller holds wmu.
func (s *Store) took() {
	if s.full.Load() != nil && s.Full() == nil {
		s.full.Store(nil)
		s.log.Info("the disk has room again", "folder", s.home.dir)
	}
}

// Roomy reports whether there is room to open the store again if it were closed
// now: on a disk that is nearly full one that is open still serves reads, and one
// that is closed can't be opened.
func (s *Store) Roomy() bool {
	if s.home == nil {
		return true
	}
	z := s.home.size
	tight, err := s.home.room(z.ballast + 6*z.memtable + mib)
	return err == nil && !tight
}

// makeRoom makes sure that the disk takes what is about to be written.
func (s *Store) makeRoom(txns [][]row) (tight bool, err error) {
	if s.home == nil {
		return false, nil
	}
	var n int64
	for _, t := range txns {
		for _, r := range t {
			n += int64(len(r.key)+len(r.value)) + 64
		}
	}
	if tight, err = s.home.room(s.home.size.reserve(tableBytes(s.db), n)); err == nil {
		return tight, nil
	}
	s.settle() // may free some, and leaves nothing in flight while others fill the disk
	return s.home.room(s.home.size.reserve(tableBytes(s.db), n))
}

const (
	settleFor  = 5 * time.Second
	settlePoll = 5 * time.Millisecond
	settleLook = 4 // quiet looks in a row: a table is built in memory first
)

// settle waits until Badger has no work in the background. When space is short
// every commit ends so, and every refusal: then only what others write during a
// call can starve Badger, not what they write between calls. Badger announces
// nothing, hence the polling. The caller holds wmu.
func (s *Store) settle() {
	end := time.Now().Add(settleFor)
	for quiet := 0; quiet < settleLook && time.Now().Before(end); {
		now, idle := s.activity()
		if idle && now == s.home.settled {
			return
		}
		if quiet++; !idle {
			quiet = 0
		}
		if quiet == settleLook {
			s.home.settled = now
		} else {
			time.Sleep(settlePoll)
		}
	}
}

// activity names Badger's files, and reports whether it has nothing to flush or
// to merge.
func (s *Store) activity() (files string, idle bool) {
	entries, err := os.ReadDir(s.home.dbDir())
	if err != nil {
		return "", true
	}
	logs, tables := 0, 0
	for _, e := range entries {
		if isLog(e.Name()) {
			logs++
		} else if !isTable(e.Name()) {
			continue
		} else {
			tables++
		}
		files += e.Name() + " "
	}
	idle = logs <= 1 && tables == len(s.db.Tables())
	for _, l := range s.db.Levels() {
		// The compactors' own conditions.
		if l.Adjusted >= 1 || l.Level == 0 && l.Score >= 1 {
			idle = false
		}
	}
	return files, idle
}

// takeBallast claims the space that Close will need.
func (h *home) takeBallast() error {
	f, err := os.OpenFile(h.path(ballastName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return noSpace(err)
	}
	defer f.Close()
	if err := allocate(f, h.size.ballast); err != nil {
		h.dropBallast()
		return fmt.Errorf("reserving disk space: %w", noSpace(err))
	}
	return nil
}

func (h *home) dropBallast() { _ = os.Remove(h.path(ballastName)) }

// tableBytes is the size of Badger's tables.
func tableBytes(db *badger.DB) (n int64) {
	for _, t := range db.Tables() {
		n += int64(t.OnDiskSize)
	}
	return n
}

// fill occupies disk by writing, where it can't be asked for.
func fill(f *os.File, n int64) error {
	zeros := make([]byte, mib)
	for at := int64(0); at < n; at += mib {
		if _, err := f.WriteAt(zeros[:min(mib, n-at)], at); err != nil {
			return err
		}
	}
	return nil
}
