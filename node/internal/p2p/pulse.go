package p2p

import (
	"sync"
	"time"
)

// beatTime is the time in which a pulse counts: as short as lets it follow what
// begins all at once.
const beatTime = 200 * time.Millisecond

// A pulse tells how much happens. The zero pulse is at rest.
type pulse struct {
	mu    sync.Mutex
	since time.Time // guarded by mu; of the beat under way
	n     int       // guarded by mu; in it so far
	last  int       // guarded by mu; in the one before
}

func (p *pulse) beat(n int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	p.n += n
}

// rate is how much happened in the last whole beat, or in the one under way if
// that is more already, a second.
func (p *pulse) rate(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	return max(p.n, p.last) * int(time.Second/beatTime)
}

// turn ends beats that are over. Caller holds mu.
func (p *pulse) turn(now time.Time) {
	switch d := now.Sub(p.since); {
	case d >= 2*beatTime:
		p.since, p.n, p.last = now, 0, 0
	case d >= beatTime:
		p.since, p.n, p.last = p.since.Add(beatTime), 0, p.n
	}
}
