package p2p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
)

// A station is what presences and lobbies have in common: a host, what was
// started on its behalf, and its counters.
type station struct {
	host  host.Host
	life  *life
	meter *meter
	relay io.Closer // nil unless others are reached through this
}

func newStation(cancel context.CancelFunc) station {
	return station{life: &life{cancel: cancel}, meter: &meter{}}
}

// ID is the host's transport peer id.
func (s *station) ID() string { return s.host.ID().String() }

// end ends all of it, leave first, and waits for what was started. Of a second
// call nothing is done.
func (s *station) end(what string, leave func()) error {
	if !s.life.end() {
		return nil
	}
	leave()
	var err error
	if s.relay != nil {
		err = s.relay.Close()
	}
	err = errors.Join(err, s.host.Close())
	s.life.wg.Wait()
	if err != nil {
		return fmt.Errorf("p2p: closing a %s: %w", what, err)
	}
	return nil
}

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

// call asks f on behalf of libp2p's own goroutines, which may outlive Close: then
// the answer is no.
func (l *life) call(f func() bool) bool {
	if !l.enter() {
		return false
	}
	defer l.wg.Done()
	return f()
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
