package node

import "errors"

// An Error is a failure that a person can act on. Exit is the process exit
// code that the command line gives it.
type Error struct {
	Code    string // stable, for programs: "not-found", "vault-locked", …
	Exit    int
	Message string // what happened and why, one line
	Hint    string // what to do next: a command where there is one
	Err     error
}

// Exit codes, as the command line documents them.
const (
	ExitFailed      = 1
	ExitUsage       = 2
	ExitPartial     = 3
	ExitNotFound    = 4
	ExitRefused     = 5
	ExitVerify      = 6
	ExitUnreachable = 7
	ExitTimeout     = 8
	ExitLocked      = 9
)

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// AsError gives any error the form of an [Error].
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: "failed", Exit: ExitFailed, Message: err.Error(), Err: err}
}
