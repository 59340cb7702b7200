package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

const exitInterrupted = 130

// A failure is how a command ends other than well. It is the error object of
// --json.
type failure struct {
	Code    string   `json:"code"`
	Exit    int      `json:"exit"`
	Message string   `json:"message"`
	Hint    string   `json:"hint"`
	Details []string `json:"details,omitempty"` // each of several problems
	Record  string   `json:"record,omitempty"`  // the one at fault
	Offset  *int64   `json:"offset,omitempty"`  // of the fault in a file, where no record is known

	data json.RawMessage // what there is to tell all the same
}

func (f *failure) Error() string { return f.Message }

// with gives the failure an answer to print beside it.
func with[T any](f *failure, v T) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	f.data = b
	return f
}

// usage is the failure of a command that was not understood.
func usage(c *cobra.Command, format string, args ...any) error {
	return &failure{
		Code: "usage", Exit: node.ExitUsage,
		Message: clip(oneLine(fmt.Sprintf(format, args...))), Hint: c.CommandPath() + " --help",
	}
}

// nextAfter is what to do next where the failure itself does not say.
func nextAfter(exit int, c *cobra.Command) string {
	switch exit {
	case node.ExitUsage, node.ExitNotFound, node.ExitRefused:
		return c.CommandPath() + " --help"
	}
	return "try again; if it fails again, say so where you got this program, with the line above"
}

// asFailure gives any error the form in which it is told.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*node.Error](err); ok {
		// A hint to start the node names its folder in a way of its own.
		hint, _, _ := strings.Cut(oneLine(e.Hint), " --data ")
		return &failure{Code: e.Code, Exit: exitOf(e), Message: inWords(e.Message), Hint: hint}
	}
	message := inWords(err.Error())
	if e, ok := httpapi.VaultError(err); ok {
		return &failure{Code: e.Code, Exit: e.Exit, Message: message, Hint: e.Hint}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{Code: "timed-out", Exit: node.ExitTimeout, Message: "it did not finish in time", Hint: "give it longer with --wait"}
	case errors.Is(err, errNoHome):
		return &failure{Code: "usage", Exit: node.ExitUsage, Message: message, Hint: "say where with --data DIR or METASTATE_DATA"}
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return fileFailure(path)
	}
	return &failure{Code: "failed", Exit: node.ExitFailed, Message: message}
}

// fileFailure says in words what could not be done with a file of the person's.
func fileFailure(err *fs.PathError) *failure {
	path := clip(oneLine(err.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return &failure{Code: "file-not-found", Exit: node.ExitNotFound, Message: "there is no such file or folder: " + path, Hint: "check the path"}
	case errors.Is(err, syscall.ENAMETOOLONG):
		return &failure{Code: "path-too-long", Exit: node.ExitUsage, Message: "the path is longer than this system takes: " + path, Hint: "give a shorter one"}
	case isFull(err):
		return &failure{
			Code: "disk-full", Exit: node.ExitFailed,
			Message: "the disk is full: " + path + " could not be written", Hint: "free some space there, or write to another disk",
		}
	case errors.Is(err, fs.ErrPermission):
		return &failure{
			Code: "file-denied", Exit: node.ExitFailed,
			Message: fmt.Sprintf("you may not %s %s", err.Op, path), Hint: "check who may read and write it: ls -ld " + quote(path),
		}
	}
	return &failure{
		Code: "file-failed", Exit: node.ExitFailed,
		Message: fmt.Sprintf("cannot %s %s: %v", err.Op, path, err.Err), Hint: "check the path, and that the disk has room",
	}
}

// isFull reports whether an error says that a disk takes no more.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// exitOf never lets a failure look like success.
func exitOf(e *node.Error) int {
	if e.Exit <= 0 || e.Exit > 255 {
		return node.ExitFailed
	}
	return e.Exit
}

// oneLine joins lines: messages are of one.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
