//go:build linux

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk runs a store on a 16 MB file system, in a child process, for a
// write into a mapped file that finds no space kills it.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, 0)) })
	cmd, out := startChild(t, "fill "+dir)
	last := ""
	for out.Scan() {
		last = out.Text()
		t.Log(last)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the store died on a full disk: %v, after %q", err, last)
	}
}

func childFill(disk string) error {
	dir, other := filepath.Join(disk, "store"), filepath.Join(disk, "other")
	if err := os.WriteFile(other, make([]byte, 3*mib), 0o600); err != nil {
		return err
	}
	s, err := Open(Config{Dir: dir, Key: testKey})
	if err != nil {
		return err
	}
	if err := fillStore(s, 0); err != nil {
		return err
	}
	was := s.Len()
	fmt.Println("refused at", was, "records")
	if was < 2000 {
		return errors.New("a 16 MB disk should take more")
	}
	// Others take the rest, down to the last page.
	if err := takeAll(filepath.Join(disk, "rest")); err != nil {
		return err
	}
	err = s.Append(item(was, 300))
	full, ok := errors.AsType[*FullError](err)
	if !ok || !errors.Is(err, ErrFull) || full.Dir != dir || full.Free >= full.Need || s.Full() == nil {
		return fmt.Errorf("on a full disk: %v, %v", err, s.Full())
	}
	if err := s.Append(item(0, 300)); err != nil || s.Full() == nil { // it is held: nothing was stored
		return fmt.Errorf("what is held, on a full disk: %v, %v", err, s.Full())
	}
	if err := s.PutPrivate("x", []byte("y")); !errors.Is(err, ErrFull) {
		return fmt.Errorf("a private value on a full disk: %v", err)
	}
	if err := checkAll(s, was); err != nil {
		return err
	}
	// Space returns: so does the store.
	if err := os.Remove(other); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(disk, "rest")); err != nil {
		return err
	}
	if err := fillStore(s, was); err != nil {
		return err
	}
	fmt.Println("refused again at", s.Len(), "records")
	if s.Len() <= was+500 {
		return errors.New("the store did not resume")
	}
	was = s.Len()
	// Close succeeds on a disk that is full to the last page.
	if err := takeAll(filepath.Join(disk, "rest")); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("closing on a full disk: %w", err)
	}
	if err := takeAll(filepath.Join(disk, "rest2")); err != nil {
		return err
	}
	if s, err := Open(Config{Dir: dir, Key: testKey}); !errors.Is(err, ErrFull) {
		if err == nil {
			err = s.Close()
		}
		return fmt.Errorf("opening on a full disk: %v", err)
	} else if !strings.Contains(err.Error(), "disk space") {
		return fmt.Errorf("not said in words: %w", err)
	}
	for _, f := range []string{"rest", "rest2"} {
		if err := os.Remove(filepath.Join(disk, f)); err != nil {
			return err
		}
	}
	if s, err = Open(Config{Dir: dir, Key: testKey}); err != nil {
		return err
	}
	if err := checkAll(s, was); err != nil {
		return err
	}
	return s.Close()
}

func fillStore(s *Store, from uint64) error {
	for n := from; ; {
		to := n + 1 + n%64
		err := s.Append(items(n, to, 300)...)
		if errors.Is(err, ErrFull) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not the typed error: %w", err)
		}
		n = to
	}
}

func checkAll(s *Store, n uint64) error {
	if s.Len() != n {
		return fmt.Errorf("%d records, want %d: part of a batch was stored or lost", s.Len(), n)
	}
	for _, it := range items(0, n, 300) {
		if _, err := s.Get(it.ID); err != nil {
			return err
		}
	}
	for _, set := range s.Sets() {
		for _, err := range s.Set(set) {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// takeAll writes a file until the disk is full.
func takeAll(path string) error {
	f, err := os.Create(path)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		return err
	}
	defer f.Close()
	for page := make([]byte, 4096); ; {
		if _, err := f.Write(page); err != nil {
			return nil
		}
	}
}
