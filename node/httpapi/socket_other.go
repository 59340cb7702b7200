//go:build !unix

package httpapi

import (
	"errors"
	"io/fs"
	"os"
)

var errLocked = errors.New("locked")

// lockFile takes no lock here: whether a node runs is seen by connecting.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

// Rights are in access lists here, which the data folder inherits from the
// user's profile.
func ownedByUs(fs.FileInfo) bool { return true }

func private(fs.FileInfo) bool { return true }
