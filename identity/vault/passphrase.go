package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/text/unicode/norm"
)

const minPassphrase, maxPassphrase = 8, 1024 // bytes, normalised

// normalise returns the passphrase in Unicode form NFKC, so that one typed on
// another keyboard or system is the same. The caller wipes it.
func normalise(pass []byte) ([]byte, error) {
	if len(pass) > maxPassphrase {
		return nil, ErrPassphrase
	}
	p := norm.NFKC.Append(make([]byte, 0, len(pass)), pass...)
	if len(p) > maxPassphrase {
		clear(p)
		return nil, ErrPassphrase
	}
	return p, nil
}

// normaliseNew is normalise for a passphrase that is being chosen.
func normaliseNew(pass []byte) ([]byte, error) {
	p, err := normalise(pass)
	if err == nil && len(p) < minPassphrase {
		clear(p)
		return nil, ErrPassphrase
	}
	return p, err
}

// CheckPassphraseFile returns an error that wraps [ErrPermissions], with the
// remedy, if others can read a passphrase file. It is a reason to warn: scripts
// and containers mount such files with modes of their own.
func CheckPassphraseFile(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a pipe, or said when it is read
		return nil
	}
	if err := checkPrivate(path, info, "600"); err != nil {
		return fmt.Errorf("vault: passphrase file: %w", err)
	}
	return nil
}

// ReadPassphraseFile reads a passphrase from a file and drops one final line
// end. The caller wipes the result.
func ReadPassphraseFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("vault: passphrase file: %w", withoutNotFound(err))
	}
	defer f.Close()
	b := make([]byte, maxPassphrase+3)
	n, err := io.ReadFull(f, b)
	if err == nil {
		clear(b)
		return nil, fmt.Errorf("vault: passphrase file: %w", ErrPassphrase)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		clear(b)
		return nil, fmt.Errorf("vault: passphrase file: %w", err)
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(b[:n], []byte("\n")), []byte("\r")), nil
}

// withoutNotFound keeps a missing passphrase file apart from a missing vault.
func withoutNotFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is none at the path given: %w", err)
	}
	return err
}
