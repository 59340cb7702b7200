package reconcile

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever a request is, the reply is bounded; whatever parses has one form.
func FuzzRequest(f *testing.F) {
	a, b := large(300, 300)
	f.Add(encode(f, request{Version: version, Salt: make([]byte, saltSize), Groups: []group{{Name: repeat(32, 1), Sketch: []uint64{3, 40, 2}}}}))
	i, r := NewInitiator(a.local(), [16]byte{}, Limits{}), NewResponder(b.local(), Limits{})
	for {
		msg, err := i.Message()
		if err != nil {
			f.Fatal(err)
		}
		if msg == nil {
			break
		}
		f.Add(msg)
		reply, err := r.Respond(msg)
		if err == nil {
			err = i.Receive(reply)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	local := b.sketched()
	f.Fuzz(func(t *testing.T, msg []byte) {
		q, err := parseRequest(msg)
		if err == nil && !bytes.Equal(encode(t, q), msg) {
			t.Fatalf("%x has another form", msg)
		}
		reply, err := NewResponder(local, Limits{}).Respond(msg)
		if err != nil && !errors.Is(err, ErrProtocol) || len(reply) > MaxReply {
			t.Fatalf("%d bytes, %v", len(reply), err)
		}
	})
}

func FuzzReply(f *testing.F) {
	a, b := large(300, 300)
	_, err := talk(f, NewInitiator(a.local(), [16]byte{}, Limits{}), NewResponder(b.local(), Limits{}), func(b []byte) []byte {
		f.Add(b)
		return b
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range []node{a, b} {
		r := NewResponder(b.sketched(), Limits{})
		if _, err := talk(f, NewInitiator(a.sketched(), [16]byte{}, Limits{}), r, func(b []byte) []byte { f.Add(b); return b }); err != nil {
			f.Fatal(err)
		}
	}
	local := a.sketched()
	f.Fuzz(func(t *testing.T, msg []byte) {
		r, err := parseReply(msg)
		if err == nil && !bytes.Equal(encode(t, r), msg) {
			t.Fatalf("%x has another form", msg)
		}
		i := NewInitiator(local, [16]byte{}, Limits{})
		if _, err := i.Message(); err != nil {
			t.Fatal(err)
		}
		if err := i.Receive(msg); err != nil && !errors.Is(err, ErrProtocol) {
			t.Fatal(err)
		}
		i = NewInitiator(local, [16]byte{}, Limits{})
		i.started = true
		set := [32]byte{1}
		src, err := local.source(set[:])
		if err != nil {
			t.Fatal(err)
		}
		a := ask{set: &set, count: 300, run: &run{n: 32, octaves: 2, limit: 512}}
		if err := i.onSketch(src, a, msg); err != nil && !errors.Is(err, ErrProtocol) {
			t.Fatal(err)
		}
	})
}
