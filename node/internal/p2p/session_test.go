package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"

	"github.com/metastate-p2p/metastate/protocol"
)

var (
	secretA = [32]byte{1}
	secretB = [32]byte{2}
	plane   = protocol.ID{} // the control plane's set
)

const (
	idI = peer.ID("initiator's id")
	idR = peer.ID("responder's id")
)

// outcome is what one session led to.
type outcome struct {
	errI, errR   error
	xI, xR       *session
	fromI, fromR bytes.Buffer // what each side sent, as it arrived
	took         time.Duration
}

// A pipeEnd takes deadlines after its other end has closed, as streams do.
type pipeEnd struct{ net.Conn }

func (p pipeEnd) SetReadDeadline(t time.Time) error {
	if err := p.Conn.SetReadDeadline(t); !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// meddle may change the n-th frame of a direction; nil drops the connection.
type meddle func(fromInitiator bool, n int, frame []byte) []byte

// converse runs a handshake and session between two replicas over a pipe that
// meddle sits in the middle of. It must run in a synctest bubble.
func converse(t *testing.T, i, r Replica, m meddle) *outcome {
	t.Helper()
	o := &outcome{}
	ci, mi := net.Pipe()
	mr, cr := net.Pipe()
	start := time.Now()
	done := make(chan struct{}, 4)
	go func() {
		relay(mr, mi, &o.fromI, func(n int, f []byte) []byte { return m.on(true, n, f) })
		done <- struct{}{}
	}()
	go func() {
		relay(mi, mr, &o.fromR, func(n int, f []byte) []byte { return m.on(false, n, f) })
		done <- struct{}{}
	}()
	o.xI = &session{w: newWire(pipeEnd{ci}), peer: idR.String(), replica: i, resume: &cursor{}}
	o.xR = &session{w: newWire(pipeEnd{cr}), peer: idI.String(), replica: r, resume: &cursor{}}
	go func() {
		if o.errI = greet(o.xI.w, idI, idR, i); o.errI == nil {
			o.errI = o.xI.initiate(context.Background(), semaphore.NewWeighted(1))
		}
		_ = ci.Close()
		done <- struct{}{}
	}()
	go func() {
		if o.errR = answer(o.xR.w, idR, idI, r); o.errR == nil {
			o.errR = o.xR.respond(context.Background())
		}
		_ = cr.Close()
		done <- struct{}{}
	}()
	for range 4 {
		<-done
	}
	o.took = time.Since(start)
	return o
}

func (m meddle) on(fromI bool, n int, f []byte) []byte {
	if m == nil {
		return f
	}
	return m(fromI, n, f)
}

// relay passes whole frames on until either end closes.
func relay(dst, src net.Conn, log *bytes.Buffer, m func(int, []byte) []byte) {
	defer dst.Close()
	defer src.Close()
	for n := 0; ; n++ {
		hdr := make([]byte, 5)
		if _, err := io.ReadFull(src, hdr); err != nil {
			return
		}
		f := append(hdr, make([]byte, binary.BigEndian.Uint32(hdr))...)
		if _, err := io.ReadFull(src, f[5:]); err != nil {
			return
		}
		if f = m(n, f); f == nil {
			return
		}
		log.Write(f)
		if _, err := dst.Write(f); err != nil {
			return
		}
	}
}

// pair makes two replicas that share some and differ in records of three sets,
// certificates and bindings.
func pair() (i, r *MemReplica) {
	i, r = NewMemReplica("binding of I", secretA), NewMemReplica("binding of R", secretA)
	for n := range 60 {
		body := fmt.Sprint("record ", n)
		set := protocol.ID{byte(n % 3)}
		if n%4 != 0 {
			i.Add(set, body)
		}
		if n%5 != 0 {
			r.Add(set, body)
		}
	}
	i.Add(protocol.ID{7}, "only I has this set")
	r.Add(protocol.ID{8}, "only R has this set")
	for range 3 {
		r.AddCertificate()
	}
	i.AddCertificate()
	i.AddBinding("of C")
	return i, r
}

func equalReplicas(t *testing.T, i, r *MemReplica) {
	t.Helper()
	if look(i) != look(r) {
		t.Fatalf("replicas differ: %v and %v", i.Counts(), r.Counts())
	}
}

func TestSessionMakesEqual(t *testing.T) {
	for name, swap := range map[string]bool{"initiator behind": false, "responder behind": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r := pair()
				if swap {
					i, r = r, i
				}
				o := converse(t, i, r, nil)
				if o.errI != nil || o.errR != nil {
					t.Fatal(o.errI, o.errR)
				}
				equalReplicas(t, i, r)
				if got := i.Counts(); got != [3]int{61 - 60/20 + 1, 3, 3} {
					t.Fatalf("counts %v", got)
				}
				if o.xI.fresh != o.xI.got || o.xR.fresh != o.xR.got {
					t.Errorf("frames sent that were held: %d of %d, %d of %d", o.xI.fresh, o.xI.got, o.xR.fresh, o.xR.got)
				}
			})
		})
	}
}

// A node above a peer on another branch asks the peer where they part, too.
func TestSessionOfBranches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		for n := range 7 {
			if i.AddCertificate(); n < 5 {
				r.AddCertificate()
			}
		}
		i.parted, r.parted = 4, 2 // they part at 3
		if o := converse(t, i, r, nil); o.xI.got < 2 || o.xR.got < 2 {
			t.Errorf("%d and %d certificates came", o.xI.got, o.xR.got)
		}
	})
}

func TestSessionOfEqualsIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		for n := range 1000 {
			set := protocol.Sum(fmt.Append(nil, n))
			i.Add(set, "x")
			r.Add(set, "x")
		}
		o := converse(t, i, r, nil)
		if o.errI != nil || o.errR != nil {
			t.Fatal(o.errI, o.errR)
		}
		if n := o.fromI.Len() + o.fromR.Len(); n > 512 {
			t.Errorf("%d bytes for 1000 equal sets", n)
		}
	})
}

func TestSessionFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		for n := range 9000 { // more than one request's worth of ids
			r.Add(plane, fmt.Sprint("record ", n))
		}
		o := converse(t, i, r, nil)
		if o.errI != nil || o.errR != nil {
			t.Fatal(o.errI, o.errR)
		}
		equalReplicas(t, i, r)
	})
}

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

// A peer that knows the secret and then lies in any one frame costs bounded
// time and memory and a typed error, and nothing false is taken.
func TestSessionLies(t *testing.T) {
	lies := map[string]func(f []byte, rng *rand.Rand) []byte{
		"flip": func(f []byte, rng *rand.Rand) []byte { f[rng.IntN(len(f))] ^= byte(1 + rng.IntN(255)); return f },
		"type": func(f []byte, rng *rand.Rand) []byte { f[4] = byte(rng.IntN(40)); return f },
		"cut":  func(f []byte, rng *rand.Rand) []byte { return reframe(f[4], f[5:5+rng.IntN(len(f)-4)]) },
		"longer": func(f []byte, rng *rand.Rand) []byte {
			return reframe(f[4], append(f[5:], make([]byte, 1+rng.IntN(99))...))
		},
		"oversize": func(f []byte, _ *rand.Rand) []byte { binary.BigEndian.PutUint32(f, 1<<30); return f },
		"empty":    func(f []byte, _ *rand.Rand) []byte { return reframe(f[4], nil) },
		"twice":    func(f []byte, _ *rand.Rand) []byte { return append(f, f...) },
		"gone":     func([]byte, *rand.Rand) []byte { return nil },
	}
	for name, lie := range lies {
		for _, fromI := range []bool{true, false} {
			for at := 2; at < 14; at++ { // the handshake's are above
				synctest.Test(t, func(t *testing.T) {
					rng := rand.New(rand.NewPCG(uint64(at), 1))
					i, r := pair()
					lied := false
					o := converse(t, i, r, func(fi bool, n int, f []byte) []byte {
						if fi == fromI && n == at {
							lied = true
							return lie(f, rng)
						}
						return f
					})
					where := fmt.Sprintf("%s in frame %d, from initiator %v", name, at, fromI)
					if lied && name == "oversize" && !errors.Is(errors.Join(o.errI, o.errR), ErrTooBig) {
						t.Errorf("%s: %v, %v", where, o.errI, o.errR)
					}
					if lied && (name == "type" || name == "longer") && o.errI == nil && o.errR == nil {
						if look(i) != look(r) {
							t.Errorf("%s: nobody noticed, and the sides differ", where)
						}
					}
					if o.took > 4*idleTimeout {
						t.Errorf("%s: took %v", where, o.took)
					}
					honest(t, where, i, r)
				})
			}
		}
	}
}

func look(r Replica) overview {
	s, err := surveyOf(r)
	if err != nil {
		panic(err)
	}
	return s.overview
}

func reframe(typ byte, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	return append(append(b, typ), body...)
}

// honest checks that the replicas hold nothing that neither began with.
func honest(t *testing.T, where string, reps ...*MemReplica) {
	t.Helper()
	a, b := pair()
	for _, r := range reps {
		for id := range r.records {
			if a.records[id] == nil && b.records[id] == nil {
				t.Errorf("%s: a record from nowhere", where)
			}
		}
		if len(r.certs) > 3 || len(r.bindings) > 3 {
			t.Errorf("%s: %v", where, r.Counts())
		}
	}
}

func weighted() *semaphore.Weighted { return semaphore.NewWeighted(1) }
