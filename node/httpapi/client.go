package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// maxAnswer bounds what a client reads of one answer, bundles excepted.
const maxAnswer = 64 << 20

// A Client asks the running node of a data folder. Its errors are [node.Error]s
// where the node answered, or where none runs; ctx bounds every call. It may be
// used by several goroutines.
type Client struct {
	data   string
	socket string
	http   *http.Client
}

// NewClient returns a client of the node of a data folder. It does not connect.
func NewClient(data string) (*Client, error) {
	socket, err := SocketPath(data)
	if err != nil {
		return nil, err
	}
	c := &Client{data: data, socket: socket}
	c.http = &http.Client{
		Transport: &http.Transport{DialContext: c.dial, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// errDial marks an error from before anything was sent.
var errDial = errors.New("dial")

func (c *Client) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if _, err := os.Lstat(c.socket); err != nil { // its folder may still be made private
		return nil, fmt.Errorf("%w: %w", errDial, err)
	}
	if err := checkSocketDir(c.socket); err != nil {
		return nil, fmt.Errorf("%w: %w", errDial, err)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDial, err)
	}
	return conn, nil
}

// Wait returns once the node accepts connections, or the error of the last try
// when ctx ends.
func (c *Client) Wait(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		conn, err := c.dial(ctx, "", "")
		if err == nil {
			return conn.Close()
		}
		if e := c.explain(err); e.Code != CodeNotRunning {
			return e
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return c.notRunning(err)
		}
	}
}

// explain says in words why a request got no answer.
func (c *Client) explain(err error) *node.Error {
	if e, ok := errors.AsType[*node.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &node.Error{Code: "interrupted", Exit: node.ExitFailed, Message: "interrupted", Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &node.Error{
			Code: CodeTimedOut, Exit: node.ExitTimeout,
			Message: "the node did not answer in time",
			Hint:    "give it longer with --wait, or look at metastate status", Err: err,
		}
	case errors.Is(err, errDial):
		return c.notRunning(err)
	}
	return &node.Error{
		Code: CodeNotRunning, Exit: node.ExitUnreachable,
		Message: "the node went away before it answered; what was asked may or may not have been done",
		Hint:    "see whether it still runs: metastate status", Err: err,
	}
}

func (c *Client) notRunning(err error) *node.Error {
	message := fmt.Sprintf("no node is running for %s", c.data)
	if errors.Is(err, fs.ErrPermission) {
		message = fmt.Sprintf("the node of %s belongs to another user", c.data)
	}
	return &node.Error{
		Code: CodeNotRunning, Exit: node.ExitUnreachable,
		Message: message,
		Hint:    fmt.Sprintf("start it in another terminal: metastate run --data %q", c.data), Err: err,
	}
}

// send sends one request and returns the answer if it is 200.
func (c *Client) send(ctx context.Context, method, path string, q url.Values, contentType string, body io.Reader) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "metastate", Path: "/api/v1" + path, RawQuery: q.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("httpapi: request: %w", err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody))
	if err != nil {
		return nil, c.explain(err)
	}
	var p problem
	if err := json.Unmarshal(b, &p); err != nil || p.Code == "" || p.Exit == 0 {
		return nil, unreadable(fmt.Errorf("status %d without a problem", resp.StatusCode))
	}
	return nil, p.error()
}

func unreadable(err error) *node.Error {
	return &node.Error{
		Code: CodeUnreadable, Exit: node.ExitFailed,
		Message: "the node's answer cannot be read: " + err.Error(),
		Hint:    "restart the node after an update", Err: err,
	}
}

// call sends a request with an optional JSON body and reads a JSON answer.
func call[T any](ctx context.Context, c *Client, method, path string, q url.Values, body []byte) (v T, err error) {
	contentType := ""
	if body != nil {
		contentType = "application/json"
	}
	resp, err := c.send(ctx, method, path, q, contentType, bytes.NewReader(body))
	if err != nil {
		return v, err
	}
	return readAnswer[T](c, resp)
}

func readAnswer[T any](c *Client, resp *http.Response) (v T, err error) {
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return v, c.explain(err)
	}
	if len(b) > maxAnswer {
		return v, unreadable(errors.New("it is too long"))
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, unreadable(err)
	}
	return v, nil
}

// post sends req as JSON, and wipes the bytes: there may be a passphrase in it.
func post[T, R any](ctx context.Context, c *Client, path string, q url.Values, req R) (v T, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return v, fmt.Errorf("httpapi: request: %w", err)
	}
	defer clear(body)
	return call[T](ctx, c, http.MethodPost, path, q, body)
}
