//go:build !unix

package store

import "os"

// lockDir leaves locking to Badger, which locks its own directory.
func lockDir(dir string) (*os.File, error) { return os.Open(dir) }
