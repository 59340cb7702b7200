//go:build !linux

package store

import "errors"

func childFill(string) error { return errors.New("needs a mounted file system") }
