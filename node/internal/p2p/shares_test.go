package p2p

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// All circuits together are held to one rate, and those that wait end with the
// presence.
func TestSharesHoldToARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newShares(rate.NewLimiter(1<<20, 1<<20))
		begin := time.Now()
		for range 11 << 20 / circuitBuffer {
			s.wait(ctx, "a", circuitBuffer)
		}
		if d := time.Since(begin); d < 9*time.Second || d > 11*time.Second {
			t.Errorf("11 MiB at 1 MiB/s, the first at once, took %v", d)
		}
		for i := range 1000 {
			go s.wait(ctx, fmt.Sprint(i%7), circuitBuffer)
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		time.Sleep(10 * time.Second) // what was given is paid for
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.busy || len(s.waiting)+len(s.ends) > 0 {
			t.Error("somebody waits still")
		}
	})
}

// However many streams a source has, and however small its pieces, another that
// wants as much gets as much; what it does not want the others get.
func TestSharesAreEqual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := newShares(rate.NewLimiter(1<<20, circuitBuffer))
		var had [3]atomic.Int64
		stream := func(source, piece int, pause time.Duration) {
			for ctx.Err() == nil {
				s.wait(ctx, fmt.Sprint(source), piece)
				had[source].Add(int64(piece))
				time.Sleep(pause)
			}
		}
		for range 32 {
			go stream(0, circuitBuffer, 0)
		}
		go stream(1, circuitBuffer/3, 0)
		go stream(2, 1<<10, 20*time.Millisecond) // some 50 KiB/s
		time.Sleep(20 * time.Second)
		cancel()
		time.Sleep(time.Second)
		const all = 20 << 20
		many, one, few := had[0].Load(), had[1].Load(), had[2].Load()
		if few < 800<<10 || one < (all-few)*45/100 || many < (all-few)*45/100 {
			t.Errorf("32 streams had %d bytes, one of small pieces %d, one that wants little %d", many, one, few)
		}
	})
}

// What is forgotten of sources changes nothing for those that wait.
func TestSharesForget(t *testing.T) {
	s := newShares(nil)
	s.now, s.ends = 10, map[string]int64{"over": 10, "waits": 11}
	if s.forget(); len(s.ends) != 1 || s.ends["waits"] != 11 {
		t.Error(s.ends)
	}
}
