package p2p

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/metastate-p2p/metastate/protocol"
)

// A stream that breaks off goes on where it was, with another peer.
func TestStreamResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		for n := range 3 * idsPerFrame {
			r.Add(protocol.ID{byte(n % 2)}, string(rune(n))+"record")
		}
		var resume cursor
		part := func(m meddle) *outcome {
			o := &outcome{}
			ci, mi := net.Pipe()
			mr, cr := net.Pipe()
			done := make(chan struct{}, 3)
			go func() { relay(mr, mi, &o.fromI, func(n int, f []byte) []byte { return f }); done <- struct{}{} }()
			go func() {
				relay(mi, mr, &o.fromR, func(n int, f []byte) []byte { return m.on(false, n, f) })
				done <- struct{}{}
			}()
			o.xI = &session{w: newWire(pipeEnd{ci}), peer: "r", replica: i, resume: &resume}
			o.xR = &session{w: newWire(pipeEnd{cr}), peer: "i", replica: r, resume: &cursor{}}
			go func() { o.errR = o.xR.respond(context.Background()); _ = cr.Close(); done <- struct{}{} }()
			o.errI = o.xI.initiate(context.Background(), weighted())
			_ = ci.Close()
			for range 3 {
				<-done
			}
			return o
		}
		first := part(func(_ bool, n int, f []byte) []byte {
			if resume.started() && f[4] == batchFrame && n > 12 {
				return nil
			}
			return f
		})
		if first.errI == nil || !resume.started() || first.xI.fresh == 0 {
			t.Fatal("the stream did not break off", first.errI, first.xI.fresh)
		}
		second := part(nil)
		if second.errI != nil {
			t.Fatal(second.errI)
		}
		equalReplicas(t, i, r)
		if first.xI.fresh+second.xI.fresh != 3*idsPerFrame || second.xI.got > second.xI.fresh+idsPerFrame {
			t.Errorf("fetched again: %d fresh, then %d of %d", first.xI.fresh, second.xI.fresh, second.xI.got)
		}
	})
}

// played is an initiator's session with a responder that sends b whatever it is
// asked.
func played(r Replica, b ...[]byte) *session {
	return &session{w: newWire(&tape{r: bytes.NewReader(slices.Concat(b...))}), peer: "p", replica: r, resume: &cursor{}}
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
		"stream beyond its claim": func(r Replica) error {
			return played(r, batch(Records, a), batch(Records, b), end).stream(ctx, 1)
		},
		"stream of another kind": func(r Replica) error { return played(r, batch(Bindings, a), end).stream(ctx, 9) },
		"odd cursor":             func(r Replica) error { return played(r, reframe(cursorStep, nil), end).stream(ctx, 9) },
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
	var a allowlist
	if a.CanSubscribe("x") {
		t.Error("an empty list allows")
	}
	a.set([]string{"x", "y"})
	a.set([]string{"y", "z"})
	if a.CanSubscribe("x") || !a.CanSubscribe("y") || !a.CanSubscribe("z") {
		t.Error("the list does not follow")
	}
}
