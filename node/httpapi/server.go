package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// Bounds on what a request may take.
const (
	MaxBody   = 1 << 20 // bytes of a request with a JSON body
	MaxBundle = 4 << 30 // bytes of a bundle that is brought in

	queryTime  = 30 * time.Second
	actTime    = 2 * time.Minute // found, join, sync: Argon2id, then other nodes
	bundleTime = time.Hour
	headerTime = 5 * time.Second
	idleTime   = time.Minute
	stopTime   = 10 * time.Second
)

// Serve answers on l until ctx ends, then lets running requests finish, for at
// most 10 s, and closes l. It returns nil after that.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("httpapi: serving: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := s.Shutdown(stop)
	if err != nil {
		err = s.Close() // what is still running is cut off
	}
	<-done
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Handler serves a node under /api/v1.
func Handler[C Community](n Node[C], log *slog.Logger) http.Handler {
	a := &api{host: n, log: log, community: func(ref string) (Community, error) {
		c, err := n.Community(ref)
		if err != nil {
			return nil, err
		}
		return c, nil
	}}
	mux := http.NewServeMux()
	a.routeMembers(mux)
	a.routeForks(mux)
	a.routeAuthority(mux)
	a.routeRecovery(mux)
	a.routeDecisions(mux)
	a.routeExchange(mux)
	mux.Handle("/", a.bounded(queryTime, MaxBody, func(_ http.ResponseWriter, r *http.Request) error {
		return &node.Error{
			Code: CodeNoEndpoint, Exit: node.ExitFailed,
			Message: fmt.Sprintf("this node has no %s %s", r.Method, r.URL.Path),
			Hint:    "the node and the program that asks may be of different versions: restart the node after an update",
		}
	}))
	return mux
}

// api is what the handlers share. It does not change.
type api struct {
	host      host
	community func(ref string) (Community, error)
	log       *slog.Logger
}

// bounded runs an endpoint with a time limit, also on reading and writing, and a
// size limit on the body, and answers its error.
func (a *api) bounded(limit time.Duration, body int64, f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		end := time.Now().Add(limit)
		rc := http.NewResponseController(w)
		// A connection that takes no deadlines is none of this package's making.
		if err := errors.Join(rc.SetReadDeadline(end), rc.SetWriteDeadline(end.Add(stopTime))); err != nil &&
			!errors.Is(err, http.ErrNotSupported) {
			return
		}
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, body)
		if err := f(w, r); err != nil {
			fail(w, r, a.log, err)
		}
	})
}

// answer is an endpoint that answers with one JSON value.
func answer[T any](a *api, limit time.Duration, f func(*http.Request) (T, error)) http.Handler {
	return a.bounded(limit, MaxBody, func(w http.ResponseWriter, r *http.Request) error {
		v, err := f(r)
		if err == nil {
			writeJSON(w, "application/json", http.StatusOK, v)
		}
		return err
	})
}

// inside is an endpoint about one metastate.
func inside[T any](a *api, limit time.Duration, f func(*http.Request, Community) (T, error)) http.Handler {
	return answer(a, limit, func(r *http.Request) (v T, err error) {
		c, err := a.community(r.URL.Query().Get("metastate"))
		if err != nil {
			return v, err
		}
		release, err := c.Hold()
		if err != nil {
			return v, err
		}
		defer release()
		return f(r, c)
	})
}

func badRequest(format string, args ...any) error {
	return &node.Error{
		Code: CodeBadRequest, Exit: node.ExitUsage,
		Message: fmt.Sprintf(format, args...),
		Hint:    "see docs/cli.md for what the node understands",
	}
}

// decode reads a body: exactly one JSON value, with no field that T lacks. It
// wipes the bytes it read, as they may hold a passphrase.
func decode[T any](r *http.Request) (v T, err error) {
	if ct := r.Header.Get("Content-Type"); ct != "application/json" {
		return v, badRequest("the body must be application/json")
	}
	b, err := io.ReadAll(r.Body)
	defer clear(b)
	if err != nil {
		return v, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, badRequest("the body is not what this request takes: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, badRequest("the body holds more than one JSON value")
	}
	return v, nil
}
