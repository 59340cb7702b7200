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

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
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
	return talk(t, i, r, newAccounts(), m)
}

// A middleman passes a frame on to dst, as it is or otherwise; false drops the
// connection.
type middleman interface {
	pass(dst io.Writer, fromInitiator bool, n int, frame []byte) bool
}

// talk is converse between two who keep accounts.
func talk(t *testing.T, i, r Replica, costs accounts, m middleman) *outcome {
	t.Helper()
	o := &outcome{}
	ci, mi := net.Pipe()
	mr, cr := net.Pipe()
	start := time.Now()
	done := make(chan struct{}, 4)
	go func() {
		relay(mr, mi, &o.fromI, m, true)
		done <- struct{}{}
	}()
	go func() {
		relay(mi, mr, &o.fromR, m, false)
		done <- struct{}{}
	}()
	o.xI = newSession(newWire(pipeEnd{ci}), idR.String(), i, costs)
	o.xR = newSession(newWire(pipeEnd{cr}), idI.String(), r, costs)
	go func() {
		var secret [32]byte
		if secret, o.errI = greet(o.xI.w, idI, idR, i); o.errI == nil {
			o.xI.secret = secret
			o.errI = o.xI.initiate(context.Background(), newFloor())
		}
		_ = ci.Close()
		done <- struct{}{}
	}()
	go func() {
		var hello greeting
		hello, o.errR = hear(o.xR.w)
		if o.errR == nil && !hello.meant(idR, idI, r) {
			o.errR = dismiss(o.xR.w)
		}
		if o.errR == nil {
			var secret [32]byte
			secret, o.errR = answer(o.xR.w, idR, idI, hello, r)
			o.xR.secret = secret
		}
		if o.errR == nil {
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

func (m meddle) pass(dst io.Writer, fromI bool, n int, f []byte) bool {
	if m != nil {
		f = m(fromI, n, f)
	}
	if f == nil {
		return false
	}
	_, err := dst.Write(f)
	return err == nil
}

// relay passes whole frames on until either end closes.
func relay(dst, src net.Conn, log *bytes.Buffer, m middleman, fromI bool) {
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
		if !m.pass(io.MultiWriter(dst, log), fromI, n, f) {
			return
		}
	}
}

// underA is a session whose handshake is over, under the epoch of pair.
func underA(w *wire, peer string, r Replica, a accounts) *session {
	x := newSession(w, peer, r, a)
	x.secret = secretA
	return x
}

// pair makes two replicas that share some and differ in records of three sets,
// certificates and bindings.
func pair() (i, r *MemReplica) {
	i, r = NewMemReplica("binding of I", secretA), NewMemReplica("binding of R", secretA)
	for n := range 240 { // the last make one set so large that it is sketched
		body := fmt.Sprint("record ", n)
		set := protocol.ID{}
		if n < 60 {
			set[0] = byte(n % 3)
		}
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
				if got := i.Counts(); got != [3]int{241 - 240/20 + 1, 3, 3} {
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

// Equal replicas at rest stay at rest, on either side; where they differ both
// wake and become equal.
func TestAtRest(t *testing.T) {
	for _, resting := range [][2]bool{{true, false}, {false, true}, {true, true}} {
		for _, equal := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				i, r := NewMemReplica("b", secretA), NewMemReplica("b", secretA)
				for n := range 100 {
					i.Add(plane, fmt.Sprint("record ", n))
					r.Add(plane, fmt.Sprint("record ", n))
				}
				if !equal {
					r.Add(plane, "one more")
				}
				for n, x := range []*MemReplica{i, r} {
					if resting[n] {
						x.Rest()
					}
				}
				o := converse(t, i, r, nil)
				if o.errI != nil || o.errR != nil {
					t.Fatal(o.errI, o.errR)
				}
				for n, x := range []*MemReplica{i, r} {
					if woken := x.Woken() > 0; woken != (resting[n] && !equal) {
						t.Errorf("at rest %v, equal %v: side %d was woken: %v", resting, equal, n, woken)
					}
				}
				equalReplicas(t, i, r)
			})
		}
	}
}

// Who is told that both are equal and asks all the same is answered.
func TestAskedAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r := NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		r.Add(plane, "x")
		i.Add(plane, "x")
		r.Rest()
		x := &responder{session: underA(newWire(pipeEnd{nullConn{}}), "p", r, newAccounts())}
		survey, err := Survey(i)
		if err != nil {
			t.Fatal(err)
		}
		asks, err := reconcile.NewInitiator(reconcile.Local{}, [16]byte{}, reconcile.Limits{}).Message()
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			typ  byte
			body []byte
		}{{overviewStep, survey}, {reconcileStep, asks}} {
			if err := x.step(t.Context(), step.typ, step.body); err != nil {
				t.Fatal(err)
			}
		}
		if r.Woken() == 0 || x.local.Index.Root() != i.index.Root() {
			t.Error("what it answered for is not what it holds")
		}
	})
}

// A nullConn takes everything and says nothing.
type nullConn struct{ net.Conn }

func (nullConn) Write(b []byte) (int, error)      { return len(b), nil }
func (nullConn) SetWriteDeadline(time.Time) error { return nil }

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

func look(r Store) overview {
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
