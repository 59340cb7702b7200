package store

import (
	"crypto/sha256"
	"os"
	"path/filepath"
)

// Stamp names what the store in a directory held when it was closed. It is
// another after anything was stored or taken away, and while the store is open or
// after it was not closed. Nothing vouches for it: who keeps a stamp keeps it
// where nobody else writes.
func Stamp(dir string) (stamp [32]byte, err error) {
	b, err := os.ReadFile(filepath.Join(dir, inventoryName))
	if err != nil {
		return stamp, wrap("reading its stamp", err)
	}
	return sha256.Sum256(b), nil
}
