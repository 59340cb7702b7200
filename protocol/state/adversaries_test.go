package state_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestAdversaries requires that what testdata/README.md says holds each case
// exists: a scenario, or a test of some package.
func TestAdversaries(t *testing.T) {
	readme, err := os.ReadFile("testdata/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "## Adversaries")
	exists := map[string]bool{}
	test := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case strings.HasSuffix(path, ".txt"):
			exists[filepath.Base(path)] = true
		case strings.HasSuffix(path, "_test.go"):
			source, err := os.ReadFile(path)
			for _, m := range test.FindAllSubmatch(source, -1) {
				exists[string(m[1])] = true
			}
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for line := range strings.Lines(table) {
		name, by, _ := strings.Cut(strings.Trim(line, "| \n"), " | ")
		if !strings.HasPrefix(line, "| ") || name == "case" {
			continue
		}
		cases++
		held := regexp.MustCompile("`(Test\\w+|[a-z_-]+\\.txt)`").FindAllStringSubmatch(by, -1)
		for _, h := range held {
			if !exists[h[1]] {
				t.Errorf("%s: there is no %s", name, h[1])
			}
		}
		if len(held) == 0 {
			t.Errorf("%s: nothing holds it", name)
		}
	}
	if cases < 40 {
		t.Errorf("%d cases", cases)
	}
}
