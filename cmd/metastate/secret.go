package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
)

// onTerminal reports whether somebody can be asked.
func (a *app) onTerminal() bool { return term.IsTerminal(int(a.stdin.Fd())) }

// prompt asks for a secret that is not shown. The caller wipes it.
func (a *app) prompt(label string) ([]byte, error) {
	fmt.Fprint(a.stderr, label)
	defer fmt.Fprintln(a.stderr)
	b, err := term.ReadPassword(int(a.stdin.Fd()))
	if err != nil {
		return nil, fmt.Errorf("reading from the terminal: %w", err)
	}
	return b, nil
}

// promptNew asks for a passphrase that is being chosen, twice.
func (a *app) promptNew() ([]byte, error) {
	first, err := a.prompt("Choose a passphrase for your vault (8 bytes or more; five random words are good): ")
	if err != nil {
		return nil, err
	}
	second, err := a.prompt("The same again: ")
	defer clear(second)
	if err == nil && !bytes.Equal(first, second) {
		err = &failure{
			Code: "passphrase-unusable", Exit: node.ExitUsage,
			Message: "the two passphrases differ", Hint: "try again",
		}
	}
	if err != nil {
		clear(first)
		return nil, err
	}
	return first, nil
}

// locked says that the vault has to be opened and nothing can open it.
func locked() error {
	return &failure{
		Code: "vault-locked", Exit: node.ExitLocked,
		Message: "the vault is locked, and there is no terminal to ask for its passphrase on",
		Hint:    "give the passphrase with --passphrase-file FILE",
	}
}

// readPassphrase reads the passphrase file, and warns if others can too.
func (a *app) readPassphrase() ([]byte, error) {
	if err := vault.CheckPassphraseFile(a.opts.passphraseFile); err != nil {
		fmt.Fprintf(a.stderr, "warning: others can read the passphrase file; run: chmod 600 %s\n", quote(a.opts.passphraseFile))
	}
	return passphraseIn(a.opts.passphraseFile)
}

// passphraseIn reads a passphrase file. Its errors are the node's, as it is the
// running node, too, that reads it and tells them to another command.
func passphraseIn(path string) ([]byte, error) {
	const hint = "write a passphrase of 8 to 1024 bytes into it, or give another file with --passphrase-file"
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, &node.Error{Code: "not-a-file", Exit: node.ExitUsage, Message: "the passphrase file " + path + " is a folder", Hint: hint}
	}
	pass, err := vault.ReadPassphraseFile(path)
	switch {
	case errors.Is(err, vault.ErrPassphrase):
		return nil, &node.Error{Code: "passphrase-unusable", Exit: node.ExitUsage, Message: "the passphrase file " + path + " holds more than 1024 bytes", Hint: hint}
	case errors.Is(err, os.ErrNotExist):
		return nil, &node.Error{
			Code: "file-not-found", Exit: node.ExitNotFound,
			Message: "there is no passphrase file " + path, Hint: "check the path given with --passphrase-file", Err: err,
		}
	case err == nil && len(pass) == 0:
		return nil, &node.Error{Code: "passphrase-unusable", Exit: node.ExitUsage, Message: "the passphrase file " + path + " is empty", Hint: hint}
	}
	return pass, err
}

// newPassphrase is the passphrase for a vault that is to be made. The caller
// wipes it.
func (a *app) newPassphrase() ([]byte, error) {
	switch {
	case a.opts.passphraseFile != "":
		return a.readPassphrase()
	case a.onTerminal():
		return a.promptNew()
	}
	return nil, &failure{
		Code: "passphrase-needed", Exit: node.ExitLocked,
		Message: "a vault needs a passphrase, and there is no terminal to ask for one on",
		Hint:    "metastate init --passphrase-file FILE",
	}
}

// unlocking runs a request that may need the vault's passphrase: with the one
// from the file if there is one, else without, and if the node asks for it, with
// one from the terminal.
func unlocking[T any](a *app, request func(passphrase []byte) (T, error)) (v T, err error) {
	if a.opts.passphraseFile != "" {
		pass, err := a.readPassphrase()
		if err != nil {
			return v, err
		}
		defer clear(pass)
		return request(pass)
	}
	v, err = request(nil)
	e, ok := errors.AsType[*node.Error](err)
	if !ok || e.Code != "vault-locked" {
		return v, err
	}
	if !a.onTerminal() {
		return v, locked()
	}
	pass, err := a.prompt("Passphrase of the vault: ")
	if err != nil {
		return v, err
	}
	defer clear(pass)
	return request(pass)
}

// createVault makes the vault of a data folder with new entropy, and returns the
// words it is written down as. With wordsOut they go to a new file, and none are
// returned; the file is there before the vault is, so that a vault whose words
// nobody has cannot come about.
func (a *app) createVault(data string, passphrase []byte, wordsOut string) (words []string, err error) {
	path := node.VaultPath(data)
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%w (%s)", vault.ErrExists, path)
	}
	contents := vault.Contents{Entropy: identity.GenerateEntropy()}
	defer contents.Wipe()
	list := identity.Words(contents.Entropy)
	if wordsOut != "" {
		if err := writeWords(wordsOut, list); err != nil {
			return nil, err
		}
	}
	if err := vault.Create(path, passphrase, &contents, a.vaultCost); err != nil {
		if wordsOut != "" {
			err = errors.Join(err, os.Remove(wordsOut)) // they open nothing
		}
		if errors.Is(err, vault.ErrPassphrase) {
			return nil, &failure{
				Code: "passphrase-unusable", Exit: node.ExitUsage,
				Message: "a vault's passphrase has 8 to 1024 bytes, and this one has not", Hint: "choose another, such as five random words",
			}
		}
		return nil, err
	}
	if wordsOut != "" {
		return nil, nil
	}
	return list[:], nil
}

// writeWords writes the words to a file of their own, which must be new.
func writeWords(path string, words [identity.WordCount]string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return &failure{
			Code: "file-exists", Exit: node.ExitFailed,
			Message: path + " is there already, and a file of words is never overwritten",
			Hint:    "choose another with --words-out",
		}
	}
	if err != nil {
		return fmt.Errorf("writing the words: %w", err)
	}
	_, err = f.WriteString(strings.Join(words[:], " ") + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the words: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// showWords prints words in numbered columns, as they are copied to paper.
func showWords(p *page, words []string) {
	p.line("Write these %d words down in this order, on paper, and keep them away from this computer.", len(words))
	p.line("They are you: whoever has them can act as you. They alone do not bring memberships back in this version:")
	p.line("keep a copy of the vault file and its passphrase, too.")
	p.line("They are not shown again.")
	p.line("")
	const across = 4
	down := (len(words) + across - 1) / across
	for row := range down {
		var b strings.Builder
		for i := row; i < len(words); i += down {
			fmt.Fprintf(&b, "%2d %-11s", i+1, words[i])
		}
		p.line("  %s", strings.TrimRight(b.String(), " "))
	}
}
