package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metastate-p2p/metastate/node"
)

// A file that a full disk takes no more of is named as the person did, and
// nothing of it is left.
func TestDiskFullWhileWriting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	err := writeFile(path, func(f *os.File) error {
		return errors.Join(errors.New("beside it"), &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC})
	})
	f := asFailure(err)
	if f.Code != "disk-full" || f.Exit != node.ExitFailed || f.Message != "the disk is full: "+path+" could not be written" || !strings.Contains(f.Hint, "free some space") {
		t.Errorf("%+v", f)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v, %v", left, err)
	}
}
