package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/metastate-p2p/metastate/node"
)

// Fork founds a metastate from the latest checkpoint of this one. The caller
// wipes the passphrase.
func (in Inside) Fork(ctx context.Context, req node.FoundRequest) (node.Forked, error) {
	return post[node.Forked](ctx, in.client, "/forks", about(in.ref), req)
}

// LeaveTo leaves the metastate for a fork of it.
func (in Inside) LeaveTo(ctx context.Context, req node.LeaveRequest) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/departures", about(in.ref), req)
}

// Split is who moved: in a fork from its parent, or to the fork named. A height
// of 0 is the one that the node knows.
func (in Inside) Split(ctx context.Context, fork string, height uint64) (node.Split, error) {
	var pairs []string
	if fork != "" {
		pairs = append(pairs, "fork", fork)
	}
	if height != 0 {
		pairs = append(pairs, "height", strconv.FormatUint(height, 10))
	}
	return call[node.Split](ctx, in.client, http.MethodGet, "/split", about(in.ref, pairs...), nil)
}

// Claim brings a proof of standing of somebody who left the parent for this fork.
func (in Inside) Claim(ctx context.Context, proof []byte) (node.RecordRef, error) {
	return post[node.RecordRef](ctx, in.client, "/claims", about(in.ref), StandingProof{Proof: proof})
}

// Pacts lists the pacts with other metastates.
func (in Inside) Pacts(ctx context.Context) (node.PactList, error) {
	return get[node.PactList](ctx, in, "/pacts")
}
