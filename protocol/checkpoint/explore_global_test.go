package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// explorer visits all states of the honest clerks of a universe.
type explorer struct {
	*universe
	mu      sync.Mutex // guards known, adding to locals, and failed
	known   map[localKey]int32
	locals  arena
	seen    visited
	parents map[uint64]uint64 // nil: not kept
	deep    bool              // go on from the newest state, to come soon to late ones
	limit   int64             // states, after which to stop; 0: none
	failed  failure
	stop    atomic.Bool
	// onFinal is told the certificates of two values decided, and says whether
	// to go on nevertheless.
	onFinal func([3]*certificate.Certificate) bool
	final   atomic.Int64 // states in which a value can be, or was, decided
}

// failure is the first thing found wrong, and the state where.
type failure struct {
	what string
	at   uint64
}

// arena is a growing list that is read without a lock.
type arena struct {
	items [1 << localBits]atomic.Pointer[local]
	n     atomic.Int32
}

// localBits bounds local states: three of their indices fit a state's 64 bits.
const localBits = 21

func (a *arena) len() int          { return int(a.n.Load()) }
func (a *arena) at(i int32) *local { return a.items[i].Load() }
func (a *arena) add(l *local)      { a.items[a.n.Load()].Store(l); a.n.Add(1) }

// visited is a set of states, exact: a state is its number.
type visited struct {
	shards [256]struct {
		mu    sync.Mutex
		slots []uint64 // 0: free
		used  int
	}
	count atomic.Int64
}

func scramble(s uint64) uint64 {
	s *= 0x9e3779b97f4a7c15
	return s ^ s>>29
}

// add reports whether s is new.
func (v *visited) add(s uint64) bool {
	h := scramble(s)
	sh := &v.shards[h>>56]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.used*3 >= len(sh.slots)*2 {
		old := sh.slots
		sh.slots = make([]uint64, max(64, 2*len(old)))
		for _, o := range old {
			if o != 0 {
				sh.slots[place(sh.slots, o)] = o
			}
		}
	}
	i := place(sh.slots, s)
	if sh.slots[i] == s {
		return false
	}
	sh.slots[i] = s
	sh.used++
	v.count.Add(1)
	return true
}

func (v *visited) has(s uint64) bool {
	sh := &v.shards[scramble(s)>>56]
	return len(sh.slots) > 0 && sh.slots[place(sh.slots, s)] == s
}

func place(slots []uint64, s uint64) int {
	i := int(scramble(s) % uint64(len(slots)))
	for slots[i] != 0 && slots[i] != s {
		if i++; i == len(slots) {
			i = 0
		}
	}
	return i
}

func newExplorer(u *universe) *explorer {
	return &explorer{universe: u, known: map[localKey]int32{}}
}

// pack numbers a state: the local states of the honest clerks, in order, over a
// one that keeps the number from being zero.
func pack(l []int32) uint64 {
	s := uint64(1)
	for _, i := range l {
		s = s<<localBits | uint64(i)
	}
	return s
}

func (x *explorer) unpack(s uint64) (l [3]int32) {
	for i := len(x.honest) - 1; i >= 0; i-- {
		l[i] = int32(s & (1<<localBits - 1))
		s >>= localBits
	}
	return l
}

// run visits states breadth first with two workers and returns the depth.
func (x *explorer) run() (depth int) {
	var first []int32
	for _, clerk := range x.honest {
		m := x.start(clerk)
		first = append(first, x.intern(clerk, m, x.keyOf(clerk, m, mask{}, nil), nil))
	}
	level := []uint64{pack(first)}
	x.seen.add(level[0])
	if x.deep {
		for len(level) > 0 && !x.stop.Load() {
			s := level[len(level)-1]
			level = x.expand(s, level[:len(level)-1])
		}
		return 0
	}
	for ; len(level) > 0 && !x.stop.Load(); depth++ {
		var next [2][]uint64
		var taken atomic.Int64
		var wg sync.WaitGroup
		for w := range next {
			wg.Go(func() {
				for !x.stop.Load() {
					from := taken.Add(256) - 256
					if from >= int64(len(level)) {
						return
					}
					for _, s := range level[from:min(from+256, int64(len(level)))] {
						next[w] = x.expand(s, next[w])
					}
				}
			})
		}
		wg.Wait()
		level = slices.Concat(next[0], next[1])
	}
	return depth
}

// expand checks a state and adds those that follow. That a clerk decides is not
// a step to another state: whoever can decide can do so for good, since votes
// sent stay sent, and a clerk who decided does nothing that one who has not
// could not. So two values are decided in some run iff two can be in one state.
func (x *explorer) expand(s uint64, next []uint64) []uint64 {
	l := x.unpack(s)
	n := len(x.honest)
	sent := x.lies
	for _, i := range l[:n] {
		sent = sent.or(x.locals.at(i).key.sent)
	}
	wrong := x.check(sent)
	var final [3]*certificate.Certificate
	for c, i := range l[:n] {
		for _, mv := range x.movesOf(x.locals.at(i)) {
			if !slices.ContainsFunc(mv.needs, func(need mask) bool { return need.within(sent) }) {
				continue
			}
			if end := x.locals.at(mv.to); end.cert != nil {
				final[end.key.decided] = end.cert
				continue
			}
			to := l
			to[c] = mv.to
			next = x.follow(s, pack(to[:n]), next)
		}
	}
	if final[1] != nil || final[2] != nil {
		x.final.Add(1)
	}
	if final[1] != nil && final[2] != nil && (x.onFinal == nil || !x.onFinal(final)) {
		wrong = "two values decided"
	}
	if wrong != "" {
		x.fail(wrong, s)
	}
	return next
}

func (x *explorer) fail(wrong string, s uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failed.what == "" {
		x.failed = failure{wrong, s}
	}
	x.stop.Store(true)
}

// follow adds a state to those to be visited, if it is new.
func (x *explorer) follow(from, to uint64, next []uint64) []uint64 {
	if !x.seen.add(to) {
		return next
	}
	if x.parents != nil {
		x.mu.Lock()
		x.parents[to] = from
		x.mu.Unlock()
	}
	if x.limit > 0 && x.seen.count.Load() >= x.limit {
		x.stop.Store(true)
	}
	return append(next, to)
}

// check holds what was sent to what leads to agreement: one value precommitted
// in a round; a prevote against one's own earlier precommit only with a quorum
// of prevotes for it from that round or a later one.
func (x *explorer) check(sent mask) string {
	if x.onlyFinal {
		return ""
	}
	for round := range x.rounds {
		var spoke [3]bool
		for _, c := range x.honest {
			for v := 1; v < 3; v++ {
				spoke[v] = spoke[v] || sent.has(x.votes[c][round][1][v])
			}
		}
		if spoke[1] && spoke[2] {
			return fmt.Sprintf("honest precommits for two values in round %d", round)
		}
	}
	for _, c := range x.honest {
		if wrong := x.lockBroken(c, sent); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (x *explorer) lockBroken(clerk int, sent mask) string {
	for v := 1; v < 3; v++ {
		other := 3 - v
		for round := range x.rounds {
			if !sent.has(x.votes[clerk][round][1][v]) {
				continue
			}
			for later := round + 1; later < x.rounds; later++ {
				if sent.has(x.votes[clerk][later][0][other]) && !x.freed(round, later, other, sent) {
					return fmt.Sprintf("clerk %d broke its lock of round %d in round %d", clerk, round, later)
				}
			}
		}
	}
	return ""
}

// freed reports whether a quorum prevoted for a value in rounds from, … until−1.
func (x *explorer) freed(from, until uint32, value int, sent mask) bool {
	_, q := certificate.Quorum(x.n)
	for round := from; round < until; round++ {
		have := 0
		for clerk := range x.n {
			if sent.has(x.votes[clerk][round][0][value]) {
				have++
			}
		}
		if have >= q {
			return true
		}
	}
	return false
}

// trace tells how a state came about.
func (x *explorer) trace(s uint64) string {
	var lines []string
	for ok := true; ok && s != 0; s, ok = x.parents[s] {
		line := ""
		for c, i := range x.unpack(s) {
			if c < len(x.honest) {
				k := x.locals.at(i).key
				line += fmt.Sprintf(" | %c round %d %v locked %v decided %d:%s", 'A'+x.honest[c], k.round, k.step, k.locked, k.decided, x.show(k.sent))
			}
		}
		lines = append(lines, line)
	}
	slices.Reverse(lines)
	return strings.Join(lines, "\n")
}
