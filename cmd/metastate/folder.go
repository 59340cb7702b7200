package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

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
	return abs, nil
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
		if info, statErr := os.Stat(dir); statErr == nil && !info.IsDir() {
			return &failure{
				Code: "not-a-folder", Exit: node.ExitUsage,
				Message: dir + " is not a folder", Hint: "choose another with --data",
			}
		}
		return fmt.Errorf("data folder: %w", err)
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
		Hint:    fmt.Sprintf("chmod 700 %q", dir),
	}
}

// writeFile puts a file in place whole or not at all, for its owner alone.
func writeFile(path string, write func(*os.File) error) (err error) {
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
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
