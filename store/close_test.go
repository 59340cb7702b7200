package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Who deletes the folder of an open store keeps nobody from closing it, and finds
// nothing there again.
func TestCloseWithoutADirectory(t *testing.T) {
	above := filepath.Join(t.TempDir(), "above")
	s := mustOpen(t, filepath.Join(above, "s"))
	must(t, s.Append(items(0, 100, 300)...))
	must(t, os.RemoveAll(above))
	done := make(chan error)
	go func() { done <- s.Close() }()
	select {
	case err := <-done:
		if !errors.Is(err, ErrGone) {
			t.Errorf("closed: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it is not closed after a minute")
	}
	if _, err := os.Stat(above); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there again: %v", err)
	}
}

// If the folder can't be made either, closing ends.
func TestCloseWhereNoDirectoryCanBe(t *testing.T) {
	above := filepath.Join(t.TempDir(), "above")
	s := mustOpen(t, filepath.Join(above, "s"))
	must(t, s.Append(items(0, 100, 300)...))
	must(t, os.RemoveAll(above))
	must(t, os.WriteFile(above, nil, 0o600))
	if err := s.closeDB(closePoll); !errors.Is(err, ErrGone) {
		t.Errorf("closed: %v", err)
	}
	must(t, os.Remove(above))
	must(t, os.MkdirAll(s.home.dbDir(), 0o700))
	_ = s.db.Close() // ends now
	must(t, s.home.unlock())
}
