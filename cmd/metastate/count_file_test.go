package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A photo is told as what it is not, and its bytes are not shown.
func TestBallotsThatAreNoText(t *testing.T) {
	for _, name := range []string{"photo", "photo.blt", "photo.csv"} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readBallots(path); err == nil || !strings.Contains(err.Error(), "is not text") || strings.Contains(err.Error(), "IHDR") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
