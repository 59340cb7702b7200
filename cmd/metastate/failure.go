package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

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
		Message: oneLine(fmt.Sprintf(format, args...)), Hint: c.CommandPath() + " --help",
	}
}

// asFailure gives any error the form in which it is told.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*node.Error](err); ok {
		return &failure{Code: e.Code, Exit: exitOf(e), Message: oneLine(e.Message), Hint: oneLine(e.Hint)}
	}
	message := oneLine(err.Error())
	if e, ok := httpapi.VaultError(err); ok {
		return &failure{Code: e.Code, Exit: e.Exit, Message: message, Hint: e.Hint}
	}
	var path *fs.PathError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{Code: "timed-out", Exit: node.ExitTimeout, Message: "it did not finish in time", Hint: "give it longer with --wait"}
	case errors.Is(err, errNoHome):
		return &failure{Code: "usage", Exit: node.ExitUsage, Message: message, Hint: "say where with --data DIR or METASTATE_DATA"}
	case errors.As(err, &path) && errors.Is(err, fs.ErrNotExist):
		return &failure{Code: "file-not-found", Exit: node.ExitNotFound, Message: "there is no " + oneLine(path.Path), Hint: "check the path"}
	case errors.As(err, &path) && errors.Is(err, fs.ErrPermission):
		return &failure{Code: "file-denied", Exit: node.ExitFailed, Message: message, Hint: "check who may read and write it: ls -l " + oneLine(path.Path)}
	}
	return &failure{Code: "failed", Exit: node.ExitFailed, Message: message}
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
