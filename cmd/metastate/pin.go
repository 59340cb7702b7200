package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/metastate-p2p/metastate/node"
)

// maxPIN bounds a file that holds a PIN.
const maxPIN = 256

// invite returns the link that an argument is, or that its file holds. If it is
// under a PIN it is opened with the one in a file, if that is named; else with the
// one that is asked for on the terminal, or is the next line of stdin.
func (a *app) invite(arg, pinFile string) (string, error) {
	link, err := a.readLink(arg)
	if err != nil || !node.LinkLocked(link) {
		return link, err
	}
	pin, err := a.pin(pinFile, arg == "-")
	if err != nil {
		return "", err
	}
	return node.UnlockLink(link, pin)
}

// pin returns the PIN of an invite. used says that stdin held the invite.
func (a *app) pin(file string, used bool) (string, error) {
	switch {
	case file != "":
		return readPIN(file)
	case a.onTerminal():
		b, err := a.prompt("PIN of the invite: ")
		return string(b), err
	case !used:
		if line, err := a.readLine(); err != nil || line != "" {
			return line, err
		}
	}
	return "", &failure{
		Code: "pin-needed", Exit: node.ExitLocked, Message: "the invite is under a PIN, and there is no terminal to ask for it on",
		Hint: "write the PIN into a file and give it with --pin-file FILE",
	}
}

func readPIN(path string) (string, error) {
	f, err := openFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", &failure{
			Code: "file-not-found", Exit: node.ExitNotFound, Message: "there is no file " + path + " with a PIN", Hint: "check the path given with --pin-file",
		}
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPIN))
	if err != nil {
		return "", fmt.Errorf("reading the PIN: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// readable parts a PIN in the middle.
func readable(pin string) string { return pin[:len(pin)/2] + " " + pin[len(pin)/2:] }
