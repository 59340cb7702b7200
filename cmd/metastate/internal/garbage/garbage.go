// Package garbage decides when this program's garbage is collected: little is
// kept where little is in use, and much while much is moved, when collecting it
// would take a sixth of the processors' time.
package garbage

import (
	"runtime/debug"
	"sync"
)

// How much garbage there may be, in percent of what lives. The memory limit goes
// before both.
const (
	tight = 50
	loose = 400
)

// A Collector sets how the process collects its garbage. There is to be one.
type Collector struct {
	before int // percent

	mu    sync.Mutex
	moves int // guarded by mu: what moves much now
}

// Tighten keeps garbage small until something begins to move much.
func Tighten() *Collector {
	return &Collector{before: debug.SetGCPercent(tight)}
}

// Release sets what was set before Tighten.
func (c *Collector) Release() { debug.SetGCPercent(c.before) }

// Bulk is told when something begins to move much, and when that has ended. It
// may be called from several goroutines.
func (c *Collector) Bulk(begin bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if begin {
		if c.moves++; c.moves == 1 {
			debug.SetGCPercent(loose)
		}
		return
	}
	if c.moves--; c.moves == 0 {
		debug.SetGCPercent(tight)
	}
}
