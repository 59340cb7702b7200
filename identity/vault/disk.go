package vault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// disk does what a vault does to files, step by step. Its tests look at the
// files between any two steps, and let steps fail.
type disk struct {
	// step, if not nil, is told each step before it is taken. Its error is
	// that of the step.
	step func(name string) error
	// fsync, if not nil, stands for (*os.File).Sync.
	fsync func(*os.File) error
}

func (d disk) sync(f *os.File) error {
	if d.fsync == nil {
		return f.Sync()
	}
	return d.fsync(f)
}

func (d disk) before(name string) error {
	if d.step == nil {
		return nil
	}
	return d.step(name)
}

// read returns the file of a vault that no one else can read.
func (d disk) read(path string) ([]byte, error) {
	if err := checkDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	// Lstat first: opening a pipe would wait for its other end.
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w (%s)", ErrNotFound, path)
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w (%s is not a regular file)", ErrPermissions, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := checkPrivate(path, info, "600"); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// write puts the file in place of the old one, whole or not at all. The caller
// holds the lock, so any other temporary file is left from a crash.
func (d disk) write(path string, file []byte) error {
	if err := removeTemps(path); err != nil {
		return err
	}
	temp, err := d.writeTemp(path, file)
	if err == nil {
		if err = d.before("rename"); err == nil {
			err = os.Rename(temp, path)
		}
	}
	if err != nil {
		if temp != "" {
			_ = os.Remove(temp)
		}
		return err
	}
	if err := d.before("sync dir"); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(path))
}

// writeTemp writes and syncs the file beside its place, and returns its name,
// which is empty if there is none.
func (d disk) writeTemp(path string, file []byte) (name string, err error) {
	if err := d.before("create"); err != nil {
		return "", err
	}
	// O_EXCL and mode 0600.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tempMark+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	for _, half := range [][]byte{file[:len(file)/2], file[len(file)/2:]} {
		if err := d.before("write"); err != nil {
			return f.Name(), err
		}
		if _, err := f.Write(half); err != nil {
			return f.Name(), err
		}
	}
	if err := d.before("sync"); err != nil {
		return f.Name(), err
	}
	return f.Name(), d.sync(f)
}

const tempMark = ".tmp-"

func removeTemps(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isTemp(filepath.Base(path), e.Name()) {
			if err := os.Remove(filepath.Join(filepath.Dir(path), e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func isTemp(base, name string) bool {
	return len(name) > len(base)+len(tempMark) && name[:len(base)+len(tempMark)] == base+tempMark
}

// checkDir refuses a directory that others can list or write.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (no directory %s)", ErrNotFound, dir)
	}
	if err != nil {
		return err
	}
	return checkPrivate(dir, info, "700")
}

// checkPrivate refuses what group or others have any right to.
func checkPrivate(path string, info fs.FileInfo, want string) error {
	if runtime.GOOS == "windows" { // rights are not in the mode there
		return nil
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%w (%s has mode %04o; run: chmod %s %q)", ErrPermissions, path, perm, want, path)
	}
	return nil
}

func (d disk) syncDir(dir string) error {
	if runtime.GOOS == "windows" { // directories cannot be synced there
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return d.sync(f)
}
