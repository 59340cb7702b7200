package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// closePatience is how long Badger is waited for once its directory is gone, and
// can't be made again either; closePoll is how often that is looked at.
const (
	closePatience = 10 * time.Second
	closePoll     = 100 * time.Millisecond
)

// closeDB closes Badger. What Badger has in memory it tries to write until that
// works: if its directory was deleted, it would for ever. So it is given another,
// which is deleted afterwards. The error is then ErrGone.
func (s *Store) closeDB(patience time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- s.db.Close() }()
	tick := time.NewTicker(closePoll)
	defer tick.Stop()
	dir := s.home.dbDir()
	var gone time.Time
	var made string // the topmost directory that was missing
	for {
		select {
		case err := <-done:
			if made != "" {
				return errors.Join(ErrGone, unmake(dir, made))
			}
			if !there(dir) {
				return ErrGone
			}
			return err
		case now := <-tick.C:
			if there(dir) {
				continue
			}
			if made == "" {
				gone, made = now, missing(dir)
			}
			if err := os.MkdirAll(dir, 0o700); err != nil && now.Sub(gone) > patience {
				return fmt.Errorf("%w: %w", ErrGone, err) // Badger goes on trying
			}
		}
	}
}

func there(dir string) bool {
	_, err := os.Stat(dir)
	return err == nil
}

// missing is the topmost of the directories above and at dir that are not there.
func missing(dir string) string {
	for !there(filepath.Dir(dir)) {
		dir = filepath.Dir(dir)
	}
	return dir
}

// unmake deletes dir, and what is empty above it, up to top.
func unmake(dir, top string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for len(dir) > len(top) {
		dir = filepath.Dir(dir)
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}
