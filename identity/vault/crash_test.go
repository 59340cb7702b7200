package vault

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
)

// crashes runs do and returns, for each step, a copy of the directory as a
// power cut just before that step may leave it: what was not synced is gone.
func crashes(t *testing.T, path string, do func(disk) error) (dirs []string, steps []string) {
	t.Helper()
	synced := map[string]bool{filepath.Base(path): true, filepath.Base(path) + ".lock": true}
	snapshot := func(keepUnsynced bool) {
		to := filepath.Join(t.TempDir(), "private")
		if err := os.Mkdir(to, 0o700); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			b := readFile(t, filepath.Join(filepath.Dir(path), e.Name()))
			if !keepUnsynced && !synced[e.Name()] {
				b = nil
			}
			writeFile(t, filepath.Join(to, e.Name()), b)
		}
		dirs = append(dirs, to)
	}
	tempSynced, dirSynced := false, false
	fsync := func(f *os.File) error {
		tempSynced = tempSynced || isTemp(filepath.Base(path), filepath.Base(f.Name()))
		dirSynced = dirSynced || steps[len(steps)-1] == "sync dir" && f.Name() == filepath.Dir(path)
		return f.Sync()
	}
	record := func(step string) {
		steps = append(steps, step)
		if step == "sync dir" {
			synced[filepath.Base(path)] = tempSynced // it is the temporary file by now
		}
		snapshot(true)
		snapshot(false)
	}
	if err := do(disk{step: func(name string) error { record(name); return nil }, fsync: fsync}); err != nil {
		t.Fatal(err)
	}
	record("end")
	if !dirSynced {
		t.Error("the directory is not synced after the rename")
	}
	return dirs, steps
}

func TestCrashWhileChangingPassphrase(t *testing.T) {
	path := newVault(t)
	dirs, steps := crashes(t, path, func(d disk) error { return d.changePassphrase(path, oldPass, newPass, cheap()) })
	if want := []string{"create", "write", "write", "sync", "rename", "sync dir", "end"}; !slices.Equal(steps, want) {
		t.Fatalf("steps %v, want %v", steps, want)
	}
	opensOld, opensNew := 0, 0
	for i, dir := range dirs {
		at := filepath.Join(dir, "vault")
		before, errOld := Open(at, oldPass)
		after, errNew := Open(at, newPass)
		switch {
		case errOld == nil && errors.Is(errNew, ErrWrongPassphrase) && reflect.DeepEqual(before, sample()):
			opensOld++
		case errNew == nil && errors.Is(errOld, ErrWrongPassphrase) && reflect.DeepEqual(after, sample()):
			opensNew++
		default:
			t.Errorf("before step %s: old: %v, new: %v", steps[i/2], errOld, errNew)
			continue
		}
		// The next write works, and removes what the crash left.
		pass := oldPass
		if errNew == nil {
			pass = newPass
		}
		if err := Update(at, pass, func(*Contents) error { return nil }); err != nil {
			t.Errorf("after a crash before %s: %v", steps[i/2], err)
		}
		wantFiles(t, at)
	}
	if opensOld == 0 || opensNew == 0 {
		t.Errorf("%d crashes leave the old, %d the new", opensOld, opensNew)
	}
}

// wantFiles checks that nothing but the vault and its lock is there.
func wantFiles(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); name != filepath.Base(path) && name != filepath.Base(path)+".lock" {
			t.Errorf("%s is left over", name)
		}
	}
}

func TestCrashWhileCreating(t *testing.T) {
	path := filepath.Join(t.TempDir(), "private", "vault")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	dirs, steps := crashes(t, path, func(d disk) error { return d.create(path, oldPass, sample(), cheap()) })
	for i, dir := range dirs {
		at := filepath.Join(dir, "vault")
		_, err := Open(at, oldPass)
		if errors.Is(err, ErrNotFound) {
			err = Create(at, oldPass, sample(), cheap())
			wantFiles(t, at)
		}
		if err != nil {
			t.Errorf("crash before %s: %v", steps[i/2], err)
		}
	}
}

// A step that fails (disk full, say) is an error, and the old file stays. Only
// after the rename does the new one stand.
func TestFailingSteps(t *testing.T) {
	full := errors.New("no space left")
	for n, name := range []string{"create", "write", "write", "sync", "rename", "sync dir"} {
		path := newVault(t)
		at := 0
		d := disk{step: func(string) error {
			if at++; at == n+1 {
				return full
			}
			return nil
		}}
		err := d.update(path, oldPass, func(c *Contents) error { c.Entropy = identity.Entropy{9}; return nil })
		if !errors.Is(err, full) {
			t.Errorf("%s: %v", name, err)
		}
		wantFiles(t, path)
		c, err := Open(path, oldPass)
		if err != nil || (c.Entropy == identity.Entropy{9}) != (name == "sync dir") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
