package reconcile

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever a request is, the reply is bounded; whatever parses has one form.
func FuzzRequest(f *testing.F) {
	a, b := large(300, 300)
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
	local := b.local()
	f.Fuzz(func(t *testing.T, msg []byte) {
		q, err := parseRequest(msg)
		if err == nil && !bytes.Equal(encode(t, q), msg) {
			t.Fatalf("%x has another form", msg)
		}
		reply, err := NewResponder(local, Limits{}).Respond(msg)
		if err != nil && !errors.Is(err, ErrProtocol) || len(reply) > MaxMessage {
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
	local := a.local()
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
	})
}
