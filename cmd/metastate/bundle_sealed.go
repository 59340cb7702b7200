package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// openFlag is the flag that names the file with a sealed bundle's passphrase.
func openFlag(c *cobra.Command) *string {
	file := ""
	c.Flags().StringVar(&file, "open-with-passphrase-file", "", "file that holds the passphrase that the bundle is sealed with, if it is")
	return &file
}

// sealPassphrase reads a file with a passphrase for a bundle. The caller wipes it.
func sealPassphrase(path string) ([]byte, error) {
	const hint = "write a passphrase of 8 to 1024 bytes into it, or give another file"
	pass, err := vault.ReadPassphraseFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, &failure{Code: "file-not-found", Exit: node.ExitNotFound, Message: "there is no passphrase file " + path, Hint: "check the path"}
	case errors.Is(err, vault.ErrPassphrase) || err == nil && len(pass) < 8:
		clear(pass)
		return nil, &failure{Code: "passphrase-unusable", Exit: node.ExitUsage, Message: "the passphrase file " + path + " holds less than 8 or more than 1024 bytes", Hint: hint}
	}
	return pass, err
}

// sealing returns where to write a bundle so that it is sealed in f with the
// passphrase of a file, and what ends it.
func sealing(f io.Writer, path string) (to io.Writer, end func() error, err error) {
	pass, err := sealPassphrase(path)
	if err != nil {
		return nil, nil, err
	}
	defer clear(pass)
	s := bundle.NewSeal(bundle.WithPassphrase)
	secret, err := s.Stretch(pass)
	if err != nil {
		return nil, nil, err
	}
	w, err := bundle.NewSealer(f, s, secret)
	if err != nil {
		return nil, nil, err
	}
	return w, w.Close, nil
}

// openBundle begins to read a file. It returns how it is sealed if it is so, and
// opens it if that takes a passphrase and there is one: in a file, or, if ask is
// true, from the terminal.
func (a *app) openBundle(f *os.File, passphraseFile string, ask bool) (src io.Reader, o *bundle.Opener, unlocked bool, err error) {
	in := bufio.NewReader(f)
	if !bundle.IsSealed(in) {
		return in, nil, false, nil
	}
	if o, err = bundle.NewOpener(in); err != nil {
		return nil, nil, false, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	if o.Seal().With != bundle.WithPassphrase {
		return nil, o, false, nil
	}
	var pass []byte
	switch {
	case passphraseFile != "":
		pass, err = sealPassphrase(passphraseFile)
	case ask && a.onTerminal():
		pass, err = a.prompt("Passphrase of the bundle: ")
	default:
		return nil, o, false, nil
	}
	defer clear(pass)
	if err != nil {
		return nil, nil, false, err
	}
	secret, err := o.Seal().Stretch(pass)
	if err == nil {
		err = o.Unlock(secret)
	}
	if errors.Is(err, bundle.ErrOtherKey) || errors.Is(err, bundle.ErrPassphrase) {
		err = &failure{
			Code: "wrong-passphrase", Exit: node.ExitLocked, Message: f.Name() + " is sealed with another passphrase", Hint: "check the passphrase; metastate bundle verify checks the file without one",
		}
	}
	return nil, o, err == nil, err
}

// importFile has the node take in a file, opened here if it is sealed with a
// passphrase: the node does not learn that.
func (a *app) importFile(ctx context.Context, n httpapi.Inside, path, passphraseFile string, dryRun bool) (node.ImportReport, error) {
	f, err := openFile(path)
	if err != nil {
		return node.ImportReport{}, err
	}
	defer f.Close()
	_, o, unlocked, err := a.openBundle(f, passphraseFile, true)
	if err != nil {
		return node.ImportReport{}, err
	}
	if !unlocked {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return node.ImportReport{}, fmt.Errorf("reading %s: %w", f.Name(), err)
		}
		return n.Import(ctx, f, dryRun)
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.Copy(w, o)
		w.CloseWithError(err)
	}()
	report, err := n.Import(ctx, r, dryRun)
	r.Close()
	<-done
	var damaged []node.Refusal
	for _, refused := range report.Refused {
		if refused.Offset != nil {
			at := o.Place(*refused.Offset)
			refused.Offset = &at
		}
		damaged = append(damaged, refused)
	}
	outer := refusedOf(o.Problems())
	report.Refused = append(outer, damaged...)
	report.Damaged += len(outer)
	return report, err
}
