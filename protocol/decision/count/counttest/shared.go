package counttest

import (
	"os"
	"path/filepath"
	"testing"
)

// Shared is a folder of elections that others counted, at ../shared/testdata
// from the project's root. It skips the test where the folder is absent.
func Shared(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	dir = filepath.Join(dir, "..", "shared", "testdata", filepath.FromSlash(name))
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("elections that others counted, ../shared/testdata/%s, are not here", name)
	}
	return dir
}
