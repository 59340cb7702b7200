package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/metastate-p2p/metastate/node"
)

// dataDir returns the folder that the command is about, as an absolute path.
func (a *app) dataDir() (string, error) {
	dir := a.opts.data
	if dir == "" {
		dir = os.Getenv("METASTATE_DATA")
	}
	if dir == "" {
		base, err := userData()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "metastate")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	return abs, checkDataPath(abs)
}

// checkDataPath refuses a path that no data folder can have. What is in the
// folder has names of its own, for which there has to be room in a path, too.
func checkDataPath(dir string) error {
	room := strings.Repeat("x", 100)
	if _, err := os.Lstat(filepath.Join(dir, room, room)); errors.Is(err, syscall.ENAMETOOLONG) {
		return &failure{
			Code: "path-too-long", Exit: node.ExitUsage,
			Message: fmt.Sprintf("the path of the data folder, %d bytes, is longer than this system takes", len(dir)),
			Hint:    "choose a shorter one with --data",
		}
	}
	if info, err := os.Stat(dir); errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir() {
		return &failure{
			Code: "not-a-folder", Exit: node.ExitUsage,
			Message: dir + " is not a folder", Hint: "choose another with --data",
		}
	}
	return nil
}

// userData is where programs keep a user's data on this system.
func userData() (string, error) {
	switch runtime.GOOS {
	case "windows", "darwin":
		dir, err := os.UserConfigDir()
		if err != nil {
			return "", errNoHome
		}
		return dir, nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil || home == "" {
		return "", errNoHome
	}
	return filepath.Join(home, ".local", "share"), nil
}

// ensureDataDir makes the data folder, private. One that is there and empty is
// made private; one in use that others can enter is refused, as they may have
// read or changed what is in it.
func ensureDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		why := err
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			why = path.Err
		}
		return &failure{
			Code: "file-failed", Exit: node.ExitFailed,
			Message: fmt.Sprintf("the data folder %s cannot be made: %v", dir, why), Hint: "choose another with --data",
		}
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if len(entries) == 0 {
		if err := os.Chmod(dir, 0o700); err == nil || !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return &failure{
		Code: "vault-permissions", Exit: node.ExitLocked,
		Message: fmt.Sprintf("others can enter the data folder %s (mode %04o)", dir, info.Mode().Perm()),
		Hint:    "chmod 700 " + quote(dir),
	}
}

// writeFile puts a file in place whole or not at all, for its owner alone.
func writeFile(path string, write func(*os.File) error) (err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return &failure{
			Code: "not-a-file", Exit: node.ExitUsage, Message: path + " is a folder, not a file", Hint: "give the file's name, too",
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*") // mode 0600
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		pathErr.Path = filepath.Dir(path) // not the name that only we know
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = os.Remove(f.Name())
		}
		if bad, ok := errors.AsType[*fs.PathError](err); ok && bad.Path == f.Name() {
			bad.Path = path // not the name that only we know
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		if link, ok := errors.AsType[*os.LinkError](err); ok {
			err = &fs.PathError{Op: "write", Path: path, Err: link.Err} // not the name that only we know
		}
		return err
	}
	return nil
}
