package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
)

var quiet = slog.New(slog.DiscardHandler)

// brokenNode and its metastate stand for a node in states that a real one
// cannot be brought to at will. Whatever a test does not set panics.
type brokenNode struct {
	host
	found  func(context.Context, node.FoundRequest) (node.Membership, error)
	inside brokenCommunity
}

func (b brokenNode) Found(ctx context.Context, req node.FoundRequest) (node.Membership, error) {
	return b.found(ctx, req)
}

func (b brokenNode) Community(string) (brokenCommunity, error) { return b.inside, nil }

type brokenCommunity struct {
	Community
	export func(io.Writer) (int, error)
}

func (b brokenCommunity) Export(_ context.Context, w io.Writer, _ node.BundleRequest) (int, error) {
	return b.export(w)
}

// serve runs a handler on a socket and returns a client of it.
func serve(t *testing.T, h http.Handler) *Client {
	t.Helper()
	dir := dataDir(t)
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Serve(ctx, l, h) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	c, err := NewClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// memory returns a client of a real node in memory.
func memory(t *testing.T) *Client {
	t.Helper()
	n, err := node.Open(t.Context(), node.Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the node: %v", err)
		}
	})
	return serve(t, Handler(n, quiet))
}

func TestBodiesAreStrict(t *testing.T) {
	c := memory(t)
	for name, test := range map[string]struct {
		contentType, body, code string
		status                  int
	}{
		"no JSON":         {"application/json", "name=x", CodeBadRequest, 400},
		"nothing":         {"application/json", "", CodeBadRequest, 400},
		"unknown field":   {"application/json", `{"name":"x","surprise":1}`, CodeBadRequest, 400},
		"another type":    {"application/json", `{"name":1}`, CodeBadRequest, 400},
		"two values":      {"application/json", `{"name":"x"}{}`, CodeBadRequest, 400},
		"a form":          {"application/x-www-form-urlencoded", `{"name":"x"}`, CodeBadRequest, 400},
		"text":            {"text/plain", `{"name":"x"}`, CodeBadRequest, 400},
		"too large":       {"application/json", `{"name":"` + strings.Repeat("x", MaxBody) + `"}`, CodeTooLarge, 413},
		"too large, JSON": {"application/json", strings.Repeat(" ", MaxBody) + `{"name":"x"}`, CodeTooLarge, 413},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://metastate/api/v1/metastates", strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", test.contentType)
		resp, err := c.http.Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var p problem
		err = json.NewDecoder(resp.Body).Decode(&p)
		resp.Body.Close()
		if err != nil || p.Code != test.code || p.Exit != node.ExitUsage || resp.StatusCode != test.status || p.Status != test.status {
			t.Errorf("%s: %d %+v, %v", name, resp.StatusCode, p, err)
		}
		if ct := resp.Header.Get("Content-Type"); ct != problemType {
			t.Errorf("%s: the problem is %s", name, ct)
		}
	}
	if list, err := c.Status(t.Context(), ""); err != nil || len(list.Metastates) != 0 {
		t.Errorf("something came of it: %+v, %v", list, err)
	}
}

func TestProblemsKeepWhatTheySay(t *testing.T) {
	for _, test := range []struct {
		err    error
		want   node.Error
		status int
	}{
		{&node.Error{Code: "refused", Exit: 5, Message: "not a member", Hint: "join first"}, node.Error{Code: "refused", Exit: 5, Message: "not a member", Hint: "join first"}, 409},
		{&node.Error{Code: "not-found", Exit: 4, Message: "nothing"}, node.Error{Code: "not-found", Exit: 4, Message: "nothing"}, 404},
		{&node.Error{Code: "vault-locked", Exit: 9, Message: "locked"}, node.Error{Code: "vault-locked", Exit: 9, Message: "locked"}, 423},
		{vault.ErrDamaged, node.Error{Code: "vault-damaged", Exit: 6, Message: vault.ErrDamaged.Error()}, 422},
		{vault.ErrWrongPassphrase, node.Error{Code: "vault-wrong-passphrase", Exit: 9, Message: vault.ErrWrongPassphrase.Error()}, 423},
		{errors.New("odd"), node.Error{Code: "failed", Exit: 1, Message: "odd"}, 500},
	} {
		var status int
		h := Handler(brokenNode{found: func(context.Context, node.FoundRequest) (m node.Membership, err error) {
			return m, test.err
		}}, quiet)
		c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			status = rec.Code
			w.Header().Set("Content-Type", problemType)
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		}))
		_, err := c.Found(t.Context(), node.FoundRequest{Name: "x"})
		e, ok := errors.AsType[*node.Error](err)
		if !ok || e.Code != test.want.Code || e.Exit != test.want.Exit || e.Message != test.want.Message || status != test.status {
			t.Errorf("%v: status %d, %+v", test.err, status, err)
		}
		if test.want.Hint != "" && e.Hint != test.want.Hint {
			t.Errorf("%v: hint %q", test.err, e.Hint)
		}
	}
}

func TestPassphrasesAreWipedAndNotLogged(t *testing.T) {
	var log bytes.Buffer
	var kept []byte
	h := Handler(brokenNode{found: func(_ context.Context, req node.FoundRequest) (m node.Membership, err error) {
		if string(req.Passphrase) != "correct horse" {
			t.Errorf("the passphrase arrives as %q", req.Passphrase)
		}
		kept = req.Passphrase
		return m, errors.New("it failed")
	}}, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	rec := httptest.NewRecorder()
	body, err := json.Marshal(node.FoundRequest{Name: "x", Passphrase: []byte("correct horse")})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("POST", "/api/v1/metastates", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(rec, req)
	if rec.Code != 500 || !bytes.Equal(kept, make([]byte, len(kept))) || len(kept) == 0 {
		t.Errorf("status %d, and the passphrase is %q", rec.Code, kept)
	}
	if s := log.String(); !strings.Contains(s, "code=failed") || strings.Contains(s, "horse") || strings.Contains(s, "it failed") {
		t.Errorf("the log says %q", s)
	}
}

func TestRequestsEnd(t *testing.T) {
	a := &api{log: quiet}
	h := answer(a, time.Millisecond, func(r *http.Request) (StatusList, error) {
		<-r.Context().Done()
		return StatusList{}, r.Context().Err()
	})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	var p problem
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.Exit != node.ExitTimeout || rec.Code != http.StatusGatewayTimeout {
		t.Errorf("%d %+v, %v", rec.Code, p, err)
	}
}

// A body that never comes ends with the time of the request.
func TestSlowBodyEnds(t *testing.T) {
	a := &api{log: quiet}
	c := serve(t, a.bounded(50*time.Millisecond, MaxBody, func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(r.Body)
		return err
	}))
	never, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, func() { w.Close() })() // a client waits for its body's end
	if _, err := c.In("").Import(ctx, never, false); err == nil || ctx.Err() != nil {
		t.Errorf("a body that never came: %v", err)
	}
}

func TestUnknownEndpoint(t *testing.T) {
	c := memory(t)
	_, err := call[StatusList](t.Context(), c, "GET", "/no/such", nil, nil)
	if codeOf(err) != CodeNoEndpoint {
		t.Errorf("%v", err)
	}
	_, err = call[StatusList](t.Context(), c, "PUT", "/status", nil, nil)
	if codeOf(err) != CodeNoEndpoint {
		t.Errorf("another method: %v", err)
	}
}

// Serve ends only when what runs has ended.
func TestServeWaits(t *testing.T) {
	dir := dataDir(t)
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	inside, goOn := make(chan bool), make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			inside <- true
			<-goOn
			writeJSON(w, "application/json", 200, StatusList{Metastates: []node.Status{{Name: "late"}}})
		}))
	}()
	c, err := NewClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		list, err := c.Status(context.WithoutCancel(ctx), "")
		if err == nil && len(list.Metastates) != 1 {
			err = errors.New("another answer")
		}
		answered <- err
	}()
	<-inside
	cancel()
	for alive(l.Addr().String()) { // until it takes no more requests
		runtime.Gosched()
	}
	select {
	case err := <-done:
		t.Errorf("ended before its request: %v", err)
	default:
	}
	goOn <- true
	if err := <-answered; err != nil {
		t.Errorf("the request: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("serving: %v", err)
	}
}
