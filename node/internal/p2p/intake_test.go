package p2p

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pastFrames are n records of some size.
func pastFrames(n, size int) [][]byte {
	frames := make([][]byte, n)
	for i := range frames {
		frames[i] = make([]byte, size)
		binary.BigEndian.PutUint64(frames[i], uint64(i))
	}
	return frames
}

// taken runs an intake of a session with a peer that sends what send does.
func taken(r *MemReplica, send func(*session)) (*session, error) {
	near, far := net.Pipe()
	defer near.Close()
	go send(&session{w: newWire(far)})
	x := &session{w: newWire(near), stay: stay{replica: r}}
	in, ctx := x.newIntake(context.Background())
	return x, in.wait(ctx, Past, in.receive(ctx, Past, maxSpan))
}

func TestIntakeTakesEverything(t *testing.T) {
	for _, n := range []int{0, 1, intakeRecords, 5*intakeRecords + 7} {
		r := NewMemReplica("it")
		x, err := taken(r, func(y *session) { _ = y.sendAll(Past, all(pastFrames(n, 40))) })
		if err != nil || x.got != n || x.fresh != n || r.Counts()[0] != n {
			t.Errorf("%d records: %d came, %d fresh, %v held: %v", n, x.got, x.fresh, r.Counts(), err)
		}
	}
}

// What a peer must not send ends the session and is its fault, whatever worker
// met it and whatever came after.
func TestIntakeEndsAtTheFirstFault(t *testing.T) {
	frames := pastFrames(20*intakeRecords, 40)
	frames[intakeRecords+5] = []byte("no record")
	x, err := taken(NewMemReplica("it"), func(y *session) { _ = y.sendAll(Past, all(frames)) })
	if !errors.Is(err, ErrPeer) {
		t.Error(err)
	}
	if x.got == len(frames) {
		t.Error("it went on to the end")
	}
	if _, err := taken(NewMemReplica("it"), func(y *session) {
		_ = y.sendBatches(Past, all(frames[:9]))
		_ = y.w.s.(io.Closer).Close()
	}); err == nil || errors.Is(err, ErrPeer) {
		t.Errorf("a stream that breaks off: %v", err)
	}
	if _, err := taken(NewMemReplica("it"), func(y *session) { _ = y.sendAll(Records, all(frames[:9])) }); !errors.Is(err, ErrPeer) {
		t.Errorf("another kind: %v", err)
	}
}

// A store that does not keep up stops the peer.
func TestIntakeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewMemReplica("it")
		open := make(chan struct{})
		r.onTake = func() { <-open }
		var sent atomic.Int64
		frames := pastFrames(4000, 10_000)
		done := make(chan error, 1)
		go func() {
			_, err := taken(r, func(y *session) {
				_ = y.sendAll(Past, func(yield func([]byte, error) bool) {
					for _, f := range frames {
						if sent.Add(int64(len(f))); !yield(f, nil) {
							return
						}
					}
				})
			})
			done <- err
		}()
		synctest.Wait()
		time.Sleep(time.Second) // in the bubble: what waits for more gives up waiting
		synctest.Wait()
		batches := int64(min(runtime.GOMAXPROCS(0), maxWorkers) + 2) // of workers, and the next
		if most := batches*(intakeBytes+maxBatch) + maxBatch; sent.Load() > most {
			t.Errorf("%d bytes were read while nothing was taken, bound %d", sent.Load(), most)
		}
		close(open)
		if err := <-done; err != nil || r.Counts()[0] != len(frames) {
			t.Errorf("%v, %d held", err, r.Counts()[0])
		}
	})
}

// A batch is handed over when nothing more comes for a while.
func TestIntakeFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewMemReplica("it")
		_, err := taken(r, func(y *session) {
			_ = y.sendBatches(Past, all(pastFrames(3, 40)))
			time.Sleep(2 * flushAfter)
			synctest.Wait()
			if n := r.Counts()[0]; n != 3 {
				t.Errorf("%d records held while the peer is silent", n)
			}
			_ = y.w.send(endFrame, bytes.Clone(nil))
		})
		if err != nil {
			t.Error(err)
		}
	})
}
