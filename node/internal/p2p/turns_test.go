package p2p

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Who wants to fetch waits for the session that does, as long as that hears of
// its peer; not for one whose peer has gone without a word.
func TestFloor(t *testing.T) {
	for _, c := range []struct {
		what        string
		every, ends time.Duration // between bytes that come; until the session ends
		held        bool
		least, most time.Duration
	}{
		{"silent", time.Hour, time.Hour, false, silenceTimeout, 2 * silenceTimeout},
		{"slow", silenceTimeout - time.Second, time.Hour, false, slotTimeout, slotTimeout + time.Second},
		{"slow, and ends", silenceTimeout - time.Second, 12 * time.Second, true, 12 * time.Second, 13 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			holder, f := newWire(pipeEnd{near}), newFloor()
			if !f.try(holder) || f.try(holder) {
				t.Fatal("the floor is not one session's")
			}
			go func() {
				b := make([]byte, 1)
				for {
					if _, err := holder.Read(b); err != nil {
						return
					}
				}
			}()
			over := make(chan struct{})
			go func() {
				for {
					select {
					case <-over:
						return
					case <-time.After(c.every):
						_, _ = far.Write([]byte{1}) // fails once it is over
					}
				}
			}()
			end := time.AfterFunc(c.ends, func() { f.leave(true) })
			start := time.Now()
			held := f.wait(t.Context(), newWire(pipeEnd{far}))
			if took := time.Since(start); held != c.held || took < c.least || took > c.most {
				t.Errorf("%s: held %v after %v", c.what, held, took)
			}
			end.Stop()
			f.leave(held)
			close(over)
			_, _ = near.Close(), far.Close()
		})
	}
}
