package httpapi

import (
	"net/http"
	"strconv"

	"github.com/metastate-p2p/metastate/node"
)

// routeForks serves what is between a metastate and its forks.
func (a *api) routeForks(mux *http.ServeMux) {
	mux.Handle("POST /api/v1/forks", answer(a, actTime, a.fork))
	mux.Handle("POST /api/v1/departures", answer(a, actTime, a.leaveTo))
	mux.Handle("GET /api/v1/split", answer(a, queryTime, a.split))
	mux.Handle("GET /api/v1/pacts", inside(a, queryTime, pacts))
	mux.Handle("POST /api/v1/claims", inside(a, actTime, claim))
}

func (a *api) fork(r *http.Request) (node.Forked, error) {
	req, err := decode[node.FoundRequest](r)
	defer clear(req.Passphrase)
	if err != nil {
		return node.Forked{}, err
	}
	return a.host.Fork(r.Context(), r.URL.Query().Get("metastate"), req)
}

func (a *api) leaveTo(r *http.Request) (node.RecordRef, error) {
	req, err := decode[node.LeaveRequest](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	return a.host.LeaveTo(r.Context(), r.URL.Query().Get("metastate"), req)
}

func (a *api) split(r *http.Request) (node.Split, error) {
	q := r.URL.Query()
	var height uint64
	if text := q.Get("height"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return node.Split{}, badRequest("height is that of a checkpoint, not %q", text)
		}
		height = n
	}
	return a.host.Split(q.Get("metastate"), q.Get("fork"), height)
}

func claim(r *http.Request, c Community) (node.RecordRef, error) {
	req, err := decode[StandingProof](r)
	if err != nil {
		return node.RecordRef{}, err
	}
	return c.Claim(r.Context(), req.Proof)
}

func pacts(r *http.Request, c Community) (node.PactList, error) { return c.Pacts(r.Context()) }
