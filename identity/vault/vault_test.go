package vault

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
)

// cheap makes tests fast; it is the least the package takes.
func cheap() Params { return Params{MemoryKiB: MinMemoryKiB, Passes: 1, Lanes: 1} }

var oldPass, newPass = []byte("correct horse battery"), []byte("staple of another kind")

func sample() *Contents {
	detached := identity.Entropy{7, 7}
	return &Contents{
		Entropy: identity.Entropy{1, 2, 3},
		Citizenships: []Citizenship{
			{Daily: Daily{Metastate: identity.Digest{1}, Persona: identity.Digest{2}, Index: 3, Alias: "union", Device: Secret{4}, Member: Secret{5}, Lobby: Secret{6}, StoreKey: Secret{7}}},
			{Daily: Daily{Metastate: identity.Digest{8}, Alias: "co-op"}, Detached: &detached},
		},
	}
}

// newVault makes a vault and returns its path.
func newVault(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "private", "vault")
	if err := Create(path, oldPass, sample(), cheap()); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	path := newVault(t)
	got, err := Open(path, oldPass)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, sample()) {
		t.Error("other contents than were written")
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700, path + ".lock": 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	for _, secret := range [][]byte{[]byte("union"), got.Entropy[:], oldPass} {
		if bytes.Contains(readFile(t, path), secret) {
			t.Error("a secret is in clear in the file")
		}
	}
	if _, err := Open(path, newPass); !errors.Is(err, ErrWrongPassphrase) {
		t.Error(err)
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	path := newVault(t)
	before := readFile(t, path)
	if err := Create(path, newPass, &Contents{}, cheap()); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if !bytes.Equal(before, readFile(t, path)) {
		t.Error("the file changed")
	}
}

func TestNotFound(t *testing.T) {
	for _, path := range []string{filepath.Join(filepath.Dir(newVault(t)), "none"), filepath.Join(t.TempDir(), "no", "dir")} {
		if _, err := Open(path, oldPass); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := Update(path, oldPass, func(*Contents) error { return nil }); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if err := ChangePassphrase(path, oldPass, newPass, cheap()); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
}

func TestUpdate(t *testing.T) {
	path := newVault(t)
	before := readFile(t, path)
	var kept *Contents
	err := Update(path, oldPass, func(c *Contents) error {
		kept = c
		c.Citizenships[0].Alias = "renamed"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(kept, &Contents{}) {
		t.Error("the contents are not wiped after the update")
	}
	got, err := Open(path, oldPass)
	if err != nil || got.Citizenships[0].Alias != "renamed" {
		t.Errorf("%v, %v", got, err)
	}
	old, _ := parse(before)
	now, _ := parse(readFile(t, path))
	if bytes.Equal(old.header.Nonce, now.header.Nonce) {
		t.Error("one nonce for two bodies")
	}

	before = readFile(t, path)
	refused := errors.New("refused")
	for name, change := range map[string]func(*Contents) error{
		"error":     func(c *Contents) error { c.Entropy = identity.Entropy{}; return refused },
		"same name": func(c *Contents) error { c.Citizenships[1].Alias = "renamed"; return nil },
		"no name":   func(c *Contents) error { c.Citizenships[1].Alias = ""; return nil },
		"bad name":  func(c *Contents) error { c.Citizenships[1].Alias = "a\nb"; return nil },
		"long name": func(c *Contents) error { c.Citizenships[1].Alias = strings.Repeat("a", 65); return nil },
		"too many": func(c *Contents) error {
			for i := range MaxCitizenships {
				c.Citizenships = append(c.Citizenships, Citizenship{Daily: Daily{Alias: fmt.Sprint(i)}})
			}
			return nil
		},
	} {
		err := Update(path, oldPass, change)
		if err == nil || name == "error" && !errors.Is(err, refused) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(before, readFile(t, path)) {
			t.Errorf("%s: the file changed", name)
		}
	}
	if err := Update(path, newPass, func(*Contents) error { t.Error("called"); return nil }); !errors.Is(err, ErrWrongPassphrase) {
		t.Error(err)
	}
}

// The largest contents allowed fit, and the file's length tells the number of
// citizenships only in steps.
func TestSizes(t *testing.T) {
	size := func(n int) int {
		c := new(Contents)
		for i := range n {
			e := identity.Entropy{byte(i)}
			c.Citizenships = append(c.Citizenships, Citizenship{Daily: Daily{Index: 1<<32 - 1, Alias: fmt.Sprintf("%064d", i), Presence: fmt.Sprintf("%064d", i)}, Detached: &e})
		}
		file, err := seal(c, new([keySize]byte), nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(file)
	}
	if size(1) != size(5) {
		t.Error("the length tells 1 from 5 citizenships")
	}
	if n := size(MaxCitizenships); n > maxFile {
		t.Errorf("%d bytes", n)
	}
}

func TestChangePassphrase(t *testing.T) {
	path := newVault(t)
	before, _ := parse(readFile(t, path))
	if err := ChangePassphrase(path, newPass, oldPass, cheap()); !errors.Is(err, ErrWrongPassphrase) {
		t.Error(err)
	}
	if err := ChangePassphrase(path, oldPass, newPass, cheap()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, oldPass); !errors.Is(err, ErrWrongPassphrase) {
		t.Error("old passphrase:", err)
	}
	got, err := Open(path, newPass)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Error("new passphrase:", err)
	}
	// The old file's data key does not open the new file.
	key, err := before.unlock(oldPass)
	if err != nil {
		t.Fatal(err)
	}
	after, _ := parse(readFile(t, path))
	if _, err := after.contents(&key); err == nil {
		t.Error("the data key is still the old one")
	}
}

func TestPassphraseRules(t *testing.T) {
	path := newVault(t)
	for _, p := range [][]byte{nil, []byte("1234567"), bytes.Repeat([]byte("a"), 1025)} {
		if err := Create(path+"2", p, sample(), cheap()); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%d bytes: %v", len(p), err)
		}
		if err := ChangePassphrase(path, oldPass, p, cheap()); !errors.Is(err, ErrPassphrase) {
			t.Errorf("%d bytes: %v", len(p), err)
		}
		if _, err := Open(path, p); !errors.Is(err, ErrWrongPassphrase) {
			t.Errorf("%d bytes: %v", len(p), err)
		}
	}
	// One passphrase, typed composed, decomposed and in full width.
	if err := ChangePassphrase(path, oldPass, []byte("Fianc\u00e9e-12"), cheap()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"Fiance\u0301e-12", "\uff26iancée-12"} {
		if _, err := Open(path, []byte(p)); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestParamsBounds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d", "vault")
	for _, p := range []Params{
		{MinMemoryKiB - 1, 1, 1},
		{MaxMemoryKiB + 1, 1, 1},
		{MinMemoryKiB, 0, 1},
		{MinMemoryKiB, 11, 1},
		{MinMemoryKiB, 1, 0},
		{MinMemoryKiB, 1, 9},
	} {
		if err := Create(path, oldPass, sample(), p); err == nil {
			t.Errorf("%+v accepted", p)
		}
	}
	for _, p := range []Params{DefaultParams(), cheap(), Params{}.orDefault()} {
		if err := p.validate(); err != nil {
			t.Error(err)
		}
	}
	if (Params{}).orDefault() != (Params{256 << 10, 3, 4}) {
		t.Error("the default is not 256 MiB, 3, 4")
	}
}

func TestPermissions(t *testing.T) {
	path := newVault(t)
	dir := filepath.Dir(path)
	check := func(name string, mode os.FileMode, back os.FileMode) {
		t.Helper()
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, oldPass)
		if !errors.Is(err, ErrPermissions) || !strings.Contains(err.Error(), "chmod") {
			t.Errorf("%s %04o: %v", name, mode, err)
		}
		if err := Update(path, oldPass, func(*Contents) error { return nil }); !errors.Is(err, ErrPermissions) {
			t.Errorf("%s %04o: update: %v", name, mode, err)
		}
		if err := os.Chmod(name, back); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604, 0o620} {
		check(path, mode, 0o600)
	}
	for _, mode := range []os.FileMode{0o755, 0o750, 0o701} {
		check(dir, mode, 0o700)
	}
	if _, err := Open(path, oldPass); err != nil {
		t.Error(err)
	}
	if err := os.Symlink(path, path+"-link"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path+"-link", oldPass); !errors.Is(err, ErrPermissions) {
		t.Error("symbolic link:", err)
	}
}

func TestLocked(t *testing.T) {
	path := newVault(t)
	err := Update(path, oldPass, func(*Contents) error {
		// A lock belongs to an open file, so this process stands for another.
		if err := Update(path, oldPass, func(*Contents) error { return nil }); !errors.Is(err, ErrLocked) {
			t.Error("update:", err)
		}
		if err := ChangePassphrase(path, oldPass, newPass, cheap()); !errors.Is(err, ErrLocked) {
			t.Error("change:", err)
		}
		if err := Create(path, oldPass, sample(), cheap()); !errors.Is(err, ErrLocked) {
			t.Error("create:", err)
		}
		if _, err := Open(path, oldPass); err != nil {
			t.Error("reading needs no lock:", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The lock file stays, and is no lock.
	if err := Update(path, oldPass, func(*Contents) error { return nil }); err != nil {
		t.Error(err)
	}
}

// Law: every update that reports success is in the vault.
func TestNoLostUpdate(t *testing.T) {
	path := newVault(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 4 {
		wg.Go(func() {
			for range 3 {
				err := Update(path, oldPass, func(c *Contents) error { c.Citizenships[0].Index++; return nil })
				if err == nil {
					mu.Lock()
					done++
					mu.Unlock()
				} else if !errors.Is(err, ErrLocked) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c, err := Open(path, oldPass)
	if err != nil || done == 0 || int(c.Citizenships[0].Index) != 3+done {
		t.Errorf("index %d after %d updates, %v", c.Citizenships[0].Index, done, err)
	}
}

func TestReadPassphraseFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pass")
	for in, want := range map[string]string{
		"secret words\n": "secret words", "secret words\r\n": "secret words", "secret words": "secret words",
		" a b \n\n": " a b \n", "": "", strings.Repeat("a", 1024) + "\r\n": strings.Repeat("a", 1024),
	} {
		writeFile(t, path, []byte(in))
		if got, err := ReadPassphraseFile(path); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	writeFile(t, path, bytes.Repeat([]byte("a"), 4096))
	if _, err := ReadPassphraseFile(path); !errors.Is(err, ErrPassphrase) {
		t.Error("long:", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := CheckPassphraseFile(path); !errors.Is(err, ErrPermissions) {
		t.Error("readable by the group:", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CheckPassphraseFile(path); err != nil {
		t.Error("private:", err)
	}
	if _, err := ReadPassphraseFile(path + "none"); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrNotFound) {
		t.Error("missing:", err)
	}
}
