package p2p

import (
	"context"
	"sync"
)

// A life counts what runs on behalf of a presence and ends it: every goroutine
// and every handler that libp2p calls is started through it.
type life struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	closed bool // guarded by mu; no Add to wg once set
}

// enter counts the caller in, unless the presence is closing. A true result
// obliges to wg.Done.
func (l *life) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.wg.Add(1)
	return true
}

// run starts f on a goroutine of its own, or returns false when closing.
func (l *life) run(f func()) bool {
	if !l.enter() {
		return false
	}
	go func() {
		defer l.wg.Done()
		f()
	}()
	return true
}

// end stops new work and cancels what runs; false if that was done before.
func (l *life) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.closed = true
	l.cancel()
	return true
}
