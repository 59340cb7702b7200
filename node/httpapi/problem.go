package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/metastate-p2p/metastate/node"
)

// A problem is the body of an answer that failed (RFC 9457).
type problem struct {
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Exit    int    `json:"exit"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

const problemType = "application/problem+json"

// Codes of the errors that the API itself makes.
const (
	CodeBadRequest  = "bad-request"
	CodeTooLarge    = "too-large"
	CodeNoEndpoint  = "no-such-endpoint"
	CodeTimedOut    = "timed-out"
	CodeNotRunning  = "node-not-running"
	CodeSocket      = "socket-unsafe"
	CodeAlreadyRuns = "already-running"
	CodeCutShort    = "cut-short"
	CodeUnreadable  = "answer-unreadable"
)

// asProblem gives an error of a handler the form that it is answered in.
func asProblem(err error) problem {
	var tooLarge *http.MaxBytesError
	e, said := errors.AsType[*node.Error](err)
	if !said {
		e, said = VaultError(err)
	}
	switch {
	case errors.As(err, &tooLarge): // also where it made something else fail
		e = &node.Error{
			Code: CodeTooLarge, Exit: node.ExitUsage,
			Message: fmt.Sprintf("the request has more than the %d bytes that the node takes", tooLarge.Limit),
			Hint:    "split it up",
		}
	case said:
	case errors.Is(err, context.DeadlineExceeded):
		e = &node.Error{
			Code: CodeTimedOut, Exit: node.ExitTimeout,
			Message: "the node did not finish in time: " + err.Error(),
			Hint:    "look at metastate status, then try again",
		}
	default:
		e = node.AsError(err)
	}
	status := httpStatus(e)
	return problem{
		Title: http.StatusText(status), Status: status,
		Code: e.Code, Exit: e.Exit, Message: e.Message, Hint: e.Hint,
	}
}

func (p problem) error() *node.Error {
	return &node.Error{Code: p.Code, Exit: p.Exit, Message: p.Message, Hint: p.Hint}
}

// httpStatus is the status that says to HTTP what the exit code says to a shell.
func httpStatus(e *node.Error) int {
	if e.Code == CodeTooLarge {
		return http.StatusRequestEntityTooLarge
	}
	switch e.Exit {
	case node.ExitUsage:
		return http.StatusBadRequest
	case node.ExitNotFound:
		return http.StatusNotFound
	case node.ExitRefused:
		return http.StatusConflict
	case node.ExitVerify:
		return http.StatusUnprocessableEntity
	case node.ExitUnreachable:
		return http.StatusBadGateway
	case node.ExitTimeout:
		return http.StatusGatewayTimeout
	case node.ExitLocked:
		return http.StatusLocked
	}
	return http.StatusInternalServerError
}

// fail answers with err. The log names the code only: messages may hold what
// members wrote.
func fail(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := asProblem(err)
	log.Debug("request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "code", p.Code)
	writeJSON(w, problemType, p.Status, p)
}

func writeJSON[T any](w http.ResponseWriter, contentType string, status int, v T) {
	b, err := json.Marshal(v)
	if err != nil { // our own shapes always marshal; a program's mistake is a plain 500
		http.Error(w, "the answer has no JSON form", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that went away is told nothing
}
