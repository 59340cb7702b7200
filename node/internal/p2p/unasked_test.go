package p2p

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// played is an initiator's session with a responder that sends b whatever it is
// asked.
func played(r Replica, b ...[]byte) *session {
	x := underA(newWire(&tape{r: bytes.NewReader(slices.Concat(b...))}), "p", r, newAccounts())
	x.replica, x.release, _ = r.Under(x.secret)
	return x
}

// What was not asked for is not taken.
func TestUnaskedIsRefused(t *testing.T) {
	ctx := context.Background()
	source := NewMemReplica("b", secretA)
	a, b := source.Add(plane, "a"), source.Add(plane, "b")
	batch := func(kind Kind, frames ...[]byte) []byte {
		return reframe(batchFrame, appendEnvelope(nil, kind, frames))
	}
	end, one := reframe(endFrame, nil), slices.Values([][32]byte{{1}})
	for name, do := range map[string]func(r Replica) error{
		"two records for one id": func(r Replica) error { return played(r, batch(Records, a, b), end).want(ctx, one) },
		"another kind":           func(r Replica) error { return played(r, batch(Certificates, a), end).want(ctx, one) },
		"another frame":          func(r Replica) error { return played(r, reframe(overviewStep, nil), end).want(ctx, one) },
		"no acknowledgement":     func(r Replica) error { return played(r, reframe(hashesStep, nil)).give(Records, all(nil)) },
	} {
		r := NewMemReplica("b", secretA)
		err := do(r)
		if !errors.Is(err, ErrPeer) {
			t.Errorf("%s: %v", name, err)
		}
		if r.Has("b") || r.Counts()[0] > 1 {
			t.Errorf("%s: taken", name)
		}
	}
	r := NewMemReplica("b", secretA)
	if err := played(r, batch(Records, a), end).want(ctx, one); err != nil || !r.Has("a") {
		t.Errorf("what was asked for: %v", err)
	}
}

// A topic that was left is not allowed again.
func TestAllowlist(t *testing.T) {
	a, anybody := newAllowlist(false), func(peer.ID) bool { return true }
	if a.CanSubscribe("x") {
		t.Error("an empty list allows")
	}
	a.allow("x", anybody)
	a.allow("y", anybody)
	a.allow("z", anybody)
	a.drop("x")
	if a.CanSubscribe("x") || !a.CanSubscribe("y") || !a.CanSubscribe("z") {
		t.Error("the list does not follow")
	}
}
