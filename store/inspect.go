package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
)

const (
	suspectName  = "suspect"
	manifestName = "MANIFEST"
	// inspectAlways is the size up to which tables are read through at every
	// Open, not only after an unclean exit.
	inspectAlways = 32 * mib
)

// inspect looks at Badger's files before Badger does. It returns the bytes in
// write-ahead logs that Badger will turn into tables, and keeps in suspect/ what
// Badger would delete or cut.
func (h *home) inspect(want inventory) (held int64, err error) {
	empty := want.count == 0 && want.ops == 0
	reg, err := os.ReadFile(filepath.Join(h.dbDir(), registryName))
	if err == nil {
		_, err = os.Stat(filepath.Join(h.dbDir(), manifestName))
	}
	if errors.Is(err, fs.ErrNotExist) {
		if empty { // made, but nothing was ever acknowledged
			return 0, os.RemoveAll(h.dbDir())
		}
		return 0, damaged("Badger's manifest or key registry is missing")
	}
	if err != nil {
		return 0, err
	}
	keys, err := parseRegistry(reg, h.keys.badger)
	if err != nil && empty { // cut off while it was made
		return 0, os.RemoveAll(h.dbDir())
	}
	if err != nil {
		return 0, damaged("Badger's key registry: %v", err)
	}
	tables, err := h.manifest()
	if err != nil {
		return 0, damaged("Badger's manifest can't be read")
	}
	if err := h.inspectTables(tables, keys, want.clean); err != nil {
		return 0, err
	}
	if err := h.dropEmpty(); err != nil {
		return 0, err
	}
	return h.inspectLogs(keys)
}

// dropEmpty removes logs of no length, which Badger leaves when it is killed
// while it makes or deletes one, and then refuses to open.
func (h *home) dropEmpty() error {
	for _, pattern := range []string{"*.mem", "*.vlog"} {
		paths, err := filepath.Glob(filepath.Join(h.dbDir(), pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Size() == 0 {
				if err := os.Remove(path); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// manifest lists the tables Badger knows, by file name.
func (h *home) manifest() (names []string, err error) {
	defer caught(&err)
	f, err := os.Open(filepath.Join(h.dbDir(), manifestName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, end, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(""))
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || end > info.Size() {
		return nil, errors.Join(errFile, err)
	}
	for id := range m.Tables {
		names = append(names, fmt.Sprintf("%06d.sst", id))
	}
	return names, nil
}

func (h *home) inspectTables(known []string, keys map[uint64][]byte, clean bool) error {
	found, err := filepath.Glob(filepath.Join(h.dbDir(), "*.sst"))
	if err != nil {
		return err
	}
	var total int64
	for _, path := range found {
		if !slices.Contains(known, filepath.Base(path)) {
			if err := h.suspect(path, true); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		total += info.Size()
	}
	for _, name := range known {
		path := filepath.Join(h.dbDir(), name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return damaged("Badger's table %s is missing", name)
		}
		if clean && total > inspectAlways {
			continue
		}
		if err := checkTable(path, keys); errors.Is(err, errFile) || errors.Is(err, io.EOF) {
			return damaged("Badger's table %s: %v", name, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// checkTable reads a table through.
func checkTable(path string, keys map[uint64][]byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	t, err := openTable(f, info.Size(), keys)
	if err != nil {
		return err
	}
	for i := range t.blocks() {
		if _, err := t.block(i); err != nil {
			return err
		}
	}
	return nil
}

// inspectLogs keeps a copy of a write-ahead log that holds more than Badger will
// read: it cuts a log at the first entry that doesn't verify.
func (h *home) inspectLogs(keys map[uint64][]byte) (held int64, err error) {
	paths, err := filepath.Glob(filepath.Join(h.dbDir(), "*.mem"))
	if err != nil {
		return 0, err
	}
	for _, path := range paths {
		w, err := openWAL(path, keys)
		if errors.Is(err, errFile) {
			return 0, damaged("Badger's log %s: %v", filepath.Base(path), err)
		}
		if err != nil {
			return 0, err
		}
		held += int64(len(w.data))
		if w.walk(func(int, stored, bool) {}) {
			if err := h.suspect(path, false); err != nil {
				return 0, err
			}
		}
	}
	return held, nil
}

// suspect moves or copies a file to where a salvage will look for it.
func (h *home) suspect(path string, move bool) error {
	if err := os.MkdirAll(h.path(suspectName), 0o700); err != nil {
		return noSpace(err)
	}
	name := strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + filepath.Base(path)
	to := filepath.Join(suspectName, name)
	if move {
		return os.Rename(path, h.path(to))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return noSpace(writeFile(h.dir, to, bytes.TrimRight(b, "\x00")))
}

// quarantine moves a file or folder aside, under a name that tells when, and
// returns where it is now.
func (h *home) quarantine(path string) (to string, err error) {
	dir := h.path("quarantine-" + time.Now().UTC().Format("20060102T150405Z"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", noSpace(err)
	}
	to = filepath.Join(dir, filepath.Base(path))
	for i := 2; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = filepath.Join(dir, filepath.Base(path)+"."+strconv.Itoa(i))
	}
	if err := os.Rename(path, to); err != nil {
		return "", err
	}
	return to, syncDir(h.dir)
}

// isTable and isLog go by the end of the name: files in suspect/ have a prefix.
func isTable(name string) bool { return strings.HasSuffix(name, ".sst") }
func isLog(name string) bool   { return strings.HasSuffix(name, ".mem") }
