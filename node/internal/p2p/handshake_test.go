package p2p

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
)

func TestHandshakeNeedsCommonEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := NewMemReplica("binding of I", secretA), NewMemReplica("binding of R", secretB)
		o := converse(t, i, r, nil)
		if !errors.Is(o.errI, ErrStranger) {
			t.Errorf("initiator: %v", o.errI)
		}
		if o.errR == nil {
			t.Error("responder is content")
		}
		if bytes.Contains(o.fromI.Bytes(), []byte("binding")) || bytes.Contains(o.fromR.Bytes(), []byte("binding")) {
			t.Error("a binding was shown")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		i, r := NewMemReplica("i", secretA), NewMemReplica("r", secretB, secretA)
		if o := converse(t, i, r, nil); errors.Is(o.errI, ErrStranger) || errors.Is(o.errR, ErrStranger) {
			t.Error("an older epoch in common does not do:", o.errI, o.errR)
		}
	})
}

func TestHandshakeRefusesBinding(t *testing.T) {
	for _, side := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			i, r := pair()
			if side {
				i.RefuseBinding("binding of R")
			} else {
				r.RefuseBinding("binding of I")
			}
			o := converse(t, i, r, nil)
			if side && !errors.Is(o.errI, ErrStranger) {
				t.Errorf("initiator: %v", o.errI)
			}
			if !side && !errors.Is(o.errR, ErrStranger) {
				t.Errorf("responder: %v", o.errR)
			}
			if i.seen+r.seen != 0 {
				t.Error("records passed")
			}
		})
	}
}

// Every bit of every handshake frame matters: whatever is changed on the way,
// neither a record nor a wrong binding passes.
func TestHandshakeMeddled(t *testing.T) {
	for frame := range 4 {
		for _, at := range []int{5, 12, 5 + 20, 5 + 31, -1, -6} {
			synctest.Test(t, func(t *testing.T) {
				i, r := pair()
				changed := false
				o := converse(t, i, r, func(fromI bool, n int, f []byte) []byte {
					if fromI == (frame%2 == 0) && n == frame/2 {
						k := at
						if k < 0 {
							k += len(f)
						}
						if changed = k < len(f); changed {
							f[k] ^= 1
						}
					}
					return f
				})
				if !changed {
					return
				}
				if o.errI == nil || o.errR == nil && frame != 3 {
					t.Errorf("frame %d, byte %d: %v, %v", frame, at, o.errI, o.errR)
				}
				if i.seen+r.seen != 0 {
					t.Errorf("frame %d, byte %d: records passed", frame, at)
				}
			})
		}
	}
}

// A proof is bound to role and peers: what one peer proves can't be shown to
// another, nor back to itself.
func TestProofsAreBound(t *testing.T) {
	base := transcript{initiator: idI, responder: idR, nonceI: make([]byte, 16), nonceR: bytes.Repeat([]byte{1}, 16)}
	want := base.prove(secretA, roleInitiator, []byte("b"))
	others := map[string][]byte{
		"secret":    base.prove(secretB, roleInitiator, []byte("b")),
		"role":      base.prove(secretA, roleResponder, []byte("b")),
		"binding":   base.prove(secretA, roleInitiator, []byte("c")),
		"initiator": transcript{"x", idR, base.nonceI, base.nonceR}.prove(secretA, roleInitiator, []byte("b")),
		"responder": transcript{idI, "x", base.nonceI, base.nonceR}.prove(secretA, roleInitiator, []byte("b")),
		"swapped":   transcript{idR, idI, base.nonceI, base.nonceR}.prove(secretA, roleInitiator, []byte("b")),
		"nonces":    transcript{idI, idR, base.nonceR, base.nonceI}.prove(secretA, roleInitiator, []byte("b")),
	}
	for name, got := range others {
		if bytes.Equal(got, want) {
			t.Errorf("another %s gives the same proof", name)
		}
	}
}
