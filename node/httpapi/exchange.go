package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

const (
	bundleType = "application/octet-stream"
	// An export ends in one of these trailers: how many records went out, or the
	// problem that cut it short.
	recordsTrailer = "Metastate-Records"
	problemTrailer = "Metastate-Problem"
)

// routeExchange serves what nodes exchange, over the network and as files.
func (a *api) routeExchange(mux *http.ServeMux) {
	mux.Handle("GET /api/v1/peers", inside(a, queryTime, peers))
	mux.Handle("GET /api/v1/sync", inside(a, queryTime, syncStatus))
	mux.Handle("POST /api/v1/sync", inside(a, actTime, syncNow))
	mux.Handle("GET /api/v1/nearby", inside(a, queryTime, nearness))
	mux.Handle("POST /api/v1/nearby", inside(a, actTime, nearby))
	mux.Handle("POST /api/v1/prune", inside(a, bundleTime, prune))
	mux.Handle("GET /api/v1/bundle", a.bounded(bundleTime, 0, a.exportBundle))
	mux.Handle("POST /api/v1/bundle", a.bounded(bundleTime, MaxBundle, a.importBundle))
}

func peers(_ *http.Request, c Community) (PeerList, error) {
	return PeerList{Peers: orEmpty(c.Peers())}, nil
}

func syncStatus(_ *http.Request, c Community) (SyncStatus, error) {
	st, list := c.Status(), c.Peers()
	out := SyncStatus{Peers: len(list), Provisional: st.Provisional, Checkpoint: st.Checkpoint}
	for _, p := range list {
		if p.Connected {
			out.Connected++
		}
		if p.LastSync != nil && (out.LastSync == nil || p.LastSync.After(*out.LastSync)) {
			out.LastSync = p.LastSync
		}
	}
	return out, nil
}

func syncNow(r *http.Request, c Community) (node.SyncReport, error) { return c.Sync(r.Context()) }

func nearness(_ *http.Request, c Community) (node.Nearby, error) { return c.Nearness() }

func nearby(r *http.Request, c Community) (node.Nearby, error) {
	d, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil {
		return node.Nearby{}, badRequest("for is a duration, not %q", r.URL.Query().Get("for"))
	}
	return c.Nearby(r.Context(), d)
}

func prune(r *http.Request, c Community) (node.Pruning, error) {
	var older time.Duration
	if text := r.URL.Query().Get("older"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return node.Pruning{}, badRequest("older is a duration, not %q", text)
		}
		older = d
	}
	return c.Prune(r.Context(), older)
}

func (a *api) exportBundle(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var req node.BundleRequest
	if text := q.Get("since"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return badRequest("since is the height of a checkpoint, not %q", text)
		}
		req.Since = n
	}
	req.Sealed, req.Own = q.Get("sealed") == "true", q.Get("own") == "true"
	c, err := a.community(q.Get("metastate"))
	if err != nil {
		return err
	}
	out := &lazyBody{w: w}
	n, err := c.Export(r.Context(), out, req)
	if err != nil && !out.begun {
		return err // nothing went out: an ordinary answer
	}
	out.begin()
	if err == nil {
		w.Header().Set(recordsTrailer, strconv.Itoa(n))
		return nil
	}
	a.log.Debug("export cut short", "code", asProblem(err).Code)
	text, jsonErr := json.Marshal(asProblem(err))
	if jsonErr == nil { // else the missing trailer says that it was cut short
		w.Header().Set(problemTrailer, string(text))
	}
	return nil
}

// lazyBody sends the header of an export with its first bytes, so that an error
// before them is still an ordinary answer.
type lazyBody struct {
	w     http.ResponseWriter
	begun bool
}

func (b *lazyBody) begin() {
	if b.begun {
		return
	}
	b.begun = true
	h := b.w.Header()
	h.Set("Content-Type", bundleType)
	h.Set("Cache-Control", "no-store")
	h.Add("Trailer", recordsTrailer)
	h.Add("Trailer", problemTrailer)
	b.w.WriteHeader(http.StatusOK)
}

func (b *lazyBody) Write(p []byte) (int, error) {
	b.begin()
	return b.w.Write(p)
}

func (a *api) importBundle(w http.ResponseWriter, r *http.Request) error {
	if ct := r.Header.Get("Content-Type"); ct != bundleType {
		return badRequest("a bundle is %s", bundleType)
	}
	q := r.URL.Query()
	c, err := a.community(q.Get("metastate"))
	if err != nil {
		return err
	}
	report, err := c.Import(r.Context(), r.Body, q.Get("dryRun") == "true")
	if err != nil {
		return err
	}
	report.Refused = orEmpty(report.Refused)
	writeJSON(w, "application/json", http.StatusOK, report)
	return nil
}

// readTrailer returns what the end of an export says.
func readTrailer(t http.Header) (records int, err error) {
	if text := t.Get(problemTrailer); text != "" {
		var p problem
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return 0, fmt.Errorf("httpapi: problem of the export: %w", err)
		}
		return 0, p.error()
	}
	n, err := strconv.Atoi(t.Get(recordsTrailer))
	if err != nil || n < 0 {
		return 0, &node.Error{
			Code: CodeCutShort, Exit: node.ExitFailed,
			Message: "the export was cut short: the node did not say how many records it holds",
			Hint:    "see whether the node still runs, then export again", Err: io.ErrUnexpectedEOF,
		}
	}
	return n, nil
}
