package store

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// keyLife keeps Badger from ever changing its data key. Longer than the time
// since 1970 and Badger would take 'no key yet' for a young key and write in
// clear; checkClock guards the other side.
const keyLife = 20 * 365 * 24 * time.Hour

// checkClock refuses a clock that stands near 1970, as on a board without a
// battery: Badger would then write in clear.
func checkClock(now time.Time) error {
	if now.Unix() < int64(2*keyLife/time.Second) {
		return fmt.Errorf("the clock reads %s: set it first", now.UTC().Format(time.DateOnly))
	}
	return nil
}

// levelSize is how much the first level below the newest tables may hold before
// there is another below it. Badger writes a row anew in each level that it comes
// to: with its own ten megabytes, a million records were written four times. What
// it merges at once it holds twice meanwhile, see compactionReserve.
const levelSize = 256 * mib

func badgerOptions(dir string, k keys, z sizes, log *slog.Logger) badger.Options {
	o := badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithCompression(options.None).
		WithDetectConflicts(false).
		WithMetricsEnabled(false).
		WithNumVersionsToKeep(1).
		WithMemTableSize(z.memtable).
		WithBaseTableSize(z.memtable).
		WithBaseLevelSize(levelSize).
		WithNumMemtables(2).
		WithNumLevelZeroTables(12).
		WithNumLevelZeroTablesStall(24).
		WithNumCompactors(2).
		WithNumGoroutines(1).
		WithBlockCacheSize(mib).
		WithIndexCacheSize(8 * mib).
		WithValueLogFileSize(16 * mib).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithLogger(badgerLog{log})
	// Values stay inline: everything up to MaxValue fits one transaction, which
	// Badger bounds to 15 % of the write buffer.
	o.ValueThreshold = min(mib, z.memtable*15/100-1)
	if dir == "" {
		// Nothing merges tables in memory, so nothing may wait for it. Badger's
		// compactors wake 40 times a second, and what they save is disk.
		return o.WithInMemory(true).WithSyncWrites(false).
			WithNumCompactors(0).WithNumLevelZeroTablesStall(math.MaxInt32)
	}
	return o.WithEncryptionKey(k.badger).WithEncryptionKeyRotationDuration(keyLife)
}

// openBadger turns a panic of Badger on damaged files into an error.
func openBadger(o badger.Options) (db *badger.DB, err error) {
	defer func() {
		if recover() != nil {
			err = damaged("Badger can't read its files")
		}
	}()
	if db, err = badger.Open(o); err == nil {
		return db, nil
	}
	// Badger flattens most errors to text.
	text := err.Error()
	for _, c := range []struct {
		text string
		err  error
	}{
		{"directory lock", ErrLocked},
		{syscall.ENOSPC.Error(), ErrFull},
		{syscall.EMFILE.Error(), err},
		{syscall.ENFILE.Error(), err},
		{syscall.ENOMEM.Error(), err},
		{syscall.EACCES.Error(), err},
		{syscall.EROFS.Error(), err},
	} {
		if strings.Contains(text, c.text) {
			return nil, c.err
		}
	}
	return nil, damaged("Badger can't open its files: %v", err)
}

// txnLimit is the most bytes and entries put into one Badger transaction.
func txnLimit(db *badger.DB) (bytes, entries int64) {
	return min(db.MaxBatchSize(), math.MaxInt32) * 95 / 100, db.MaxBatchCount() * 95 / 100
}

// badgerLog passes on what Badger warns of. Its other messages are chatter.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any)   { l.log.Error("badger: " + line(f, a)) }
func (l badgerLog) Warningf(f string, a ...any) { l.log.Warn("badger: " + line(f, a)) }
func (badgerLog) Infof(string, ...any)          {}
func (badgerLog) Debugf(string, ...any)         {}

func line(f string, a []any) string { return strings.TrimSpace(fmt.Sprintf(f, a...)) }
