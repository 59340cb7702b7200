package checkpoint

import (
	"slices"
	"sync"

	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// localKey is what a clerk is, up to what it has heard: where it stands, its
// locks, all it ever said. Once it decided (not 0): what, and by which votes.
type localKey struct {
	clerk         int8
	round         uint8
	step          Step
	locked, valid [2]int8 // round, value; round −1: none
	sent          mask
	decided       int8
}

// local is a state of one honest clerk: a real machine, resumed from its real
// record, that has heard nothing since.
type local struct {
	key     localKey
	machine *Machine                 // nil once decided
	cert    *certificate.Certificate // once decided
	once    sync.Once
	moves   []move
}

// move is something that a clerk can do once messages that suffice for it were
// sent: all of any one of needs. Liars' messages are not listed; they can
// always be sent.
type move struct {
	needs []mask
	to    int32
}

// keyOf reads a machine's state.
func (u *universe) keyOf(clerk int, m *Machine, sent mask, decided *certificate.Certificate) localKey {
	k := localKey{clerk: int8(clerk), sent: sent}
	if decided != nil { // by whose precommits is all that matters
		k = localKey{clerk: -1, round: uint8(decided.Round), decided: u.name(decided.ID())}
		for _, s := range decided.Signatures {
			k.sent = k.sent.or(bit(u.votes[s.Clerk][decided.Round][1][k.decided]))
		}
		return k
	}
	k.round, k.step = uint8(m.at.round), m.at.step
	k.locked, k.valid = u.lockOf(m.locked), u.lockOf(m.valid)
	return k
}

func (u *universe) lockOf(l lock) [2]int8 {
	if l.round == NoRound {
		return [2]int8{NoRound}
	}
	return [2]int8{int8(l.round), u.name(l.id)}
}

// resume returns a machine resumed from another's record, as after a crash, and
// what it then says at once. It does not have the votes of others that the
// record carries: all of them were sent, and can come again.
func (u *universe) resume(clerk int, m *Machine) (*Machine, mask, error) {
	again, err := Resume(u.config(clerk), m.record())
	if err != nil {
		return nil, mask{}, err
	}
	again.passage = nil
	for i := range again.rounds {
		for k := range again.rounds[i].slots {
			for c := range again.rounds[i].slots[k] {
				if c != clerk {
					again.rounds[i].slots[k][c] = [2]*Message{}
				}
			}
		}
	}
	again.dropEmpty()
	now, _ := u.step(again, Start{})
	return again, now.sent, nil
}

// forget returns the machine without all it has heard. It must stand as before.
func (x *explorer) forget(clerk int, m *Machine, key localKey) *Machine {
	again, sent, err := x.resume(clerk, m)
	switch {
	case err != nil && x.amnesia: // who signed against itself has such records
		return m
	case err != nil:
		x.complain("a record that does not resume: %v", err)
		return m
	}
	if k := x.keyOf(clerk, again, key.sent.or(sent), nil); k != key {
		x.complain("a crash moved clerk %d:\n%+v\n%+v", clerk, key, k)
	}
	return again
}

// steady reports whether what one clerk said has one message of a kind and
// round.
func (x *explorer) steady(said mask) bool {
	type slot struct {
		kind  Kind
		round uint32
	}
	seen := map[slot]bool{}
	ok := true
	said.each(func(i int) bool {
		h := x.msgs[i].header
		ok = ok && !seen[slot{h.Kind, h.Round}]
		seen[slot{h.Kind, h.Round}] = true
		return ok
	})
	return ok
}

// intern returns the index of a local state, a new one if it is new.
func (x *explorer) intern(clerk int, m *Machine, key localKey, decided *certificate.Certificate) int32 {
	x.mu.Lock()
	i, ok := x.known[key]
	x.mu.Unlock()
	if ok {
		return i
	}
	if decided == nil && !x.amnesia && !x.steady(key.sent) {
		x.complain("clerk %d contradicted itself:%s", clerk, x.show(key.sent))
	}
	l := &local{key: key, cert: decided}
	if decided == nil {
		l.machine = x.forget(clerk, m, key)
	} else if _, err := decided.Verify(testMetastate, certificate.Signers{Clerks: x.clerks}); err != nil {
		x.complain("decided what does not verify: %v", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if i, ok := x.known[key]; ok {
		return i
	}
	i = int32(x.locals.len())
	x.locals.add(l)
	x.known[key] = i
	return i
}

// finder finds the moves of one local state, by trying.
type finder struct {
	*explorer
	from  *local
	clerk int
	found map[int32][]mask
}

func (x *explorer) movesOf(l *local) []move {
	l.once.Do(func() {
		if l.machine == nil {
			return
		}
		f := finder{x, l, int(l.key.clerk), map[int32][]mask{}}
		f.search()
		for to, needs := range f.found {
			l.moves = append(l.moves, move{needs, to})
		}
		slices.SortFunc(l.moves, func(a, b move) int { return int(a.to - b.to) })
	})
	return l.moves
}

// try feeds an input to a copy. It returns the copy if that changed nothing but
// what the clerk has heard, and nil if it was a move, or nothing at all.
func (f *finder) try(m *Machine, in Input, need mask) *Machine {
	m = m.Clone()
	now, v := f.step(m, in)
	if v != Accepted && v != Conflicting {
		return nil
	}
	key := f.keyOf(f.clerk, m, f.from.key.sent.or(now.sent), now.decided)
	if key == f.from.key {
		return m
	}
	need = need.without(f.lies).without(f.from.key.sent)
	to := f.intern(f.clerk, m, key, now.decided)
	for _, n := range f.found[to] {
		if n.within(need) {
			return nil
		}
	}
	f.found[to] = append(slices.DeleteFunc(f.found[to], need.within), need)
	return nil
}

// search tries all that a rule of the machine can be waiting for. A rule reads
// either votes of one kind and round for one value, with a proposal of that
// value (decide, lockOn, weigh with a valid round), or a proposal (weigh), or
// votes of one kind and round for whatever (giveUp, the timers), or two clerks'
// messages of later rounds (skip). A proposal is told before the votes and
// after: told first, it may be a move in itself.
func (f *finder) search() {
	m := f.from.machine
	f.timers(m, [3]bool{}, mask{})
	if m.at.asked {
		for _, v := range f.values[1:] {
			f.try(m, Propose{Round: m.at.round, Value: v}, mask{})
		}
	}
	if f.amnesia { // the clerk starts over; what it said remains said
		again := f.start(f.clerk)
		to := f.intern(f.clerk, again, f.keyOf(f.clerk, again, f.from.key.sent, nil), nil)
		f.found[to] = []mask{{}}
	}
	f.walks(m, mask{}, []int{0, 1, 2}, -1)
	for v := 1; v < 3; v++ {
		for _, p := range f.proposals[v] {
			if next := f.try(m, Received{f.msgs[p]}, bit(p)); next != nil {
				f.walks(next, bit(p), []int{v}, 0)
			}
		}
	}
	f.skips(m)
}

// timers lets timers run that a machine has not had before.
func (f *finder) timers(m *Machine, before [3]bool, need mask) {
	for s := StepPropose; s <= StepPrecommit; s++ {
		if m.at.armed[s] && !before[s] && (s < StepPrecommit || m.at.round+1 < f.rounds) {
			f.try(m, TimedOut{Step: s, Round: m.at.round}, need)
		}
	}
}

// walk is votes to deliver, of one kind and round, for any of some values.
type walk struct {
	kind   int // 0: prevotes, 1: precommits
	round  uint32
	values []int
	one    int // value of all votes so far; −1: no votes yet, 0: proposals no more
}

func (f *finder) walks(m *Machine, need mask, values []int, one int) {
	for k := range 2 {
		for round := range f.rounds {
			f.walk(m, need, walk{k, round, values, one}, 0)
		}
	}
}

// walk delivers, one after the other, votes of clerks from a clerk on, at most
// one each; its own too, which may come back after a crash.
func (f *finder) walk(m *Machine, need mask, w walk, from int) {
	for clerk := from; clerk < f.n; clerk++ {
		for _, v := range w.values {
			i := f.votes[clerk][w.round][w.kind][v]
			if clerk == f.clerk && !f.from.key.sent.has(i) {
				continue
			}
			need := need.or(bit(i))
			next := f.try(m, Received{f.msgs[i]}, need)
			if next == nil {
				continue
			}
			f.timers(next, m.at.armed, need)
			rest := w
			if rest.one == -1 {
				rest.one = v
			} else if rest.one != v {
				rest.one = 0
			}
			for _, p := range f.proposals[rest.one] {
				f.try(next, Received{f.msgs[p]}, need.or(bit(p)))
			}
			f.walk(next, need, rest, clerk+1)
		}
	}
}

// skips delivers two messages of later rounds by two others. More than two
// (f+1 of four clerks) bring a clerk nowhere that two do not.
func (f *finder) skips(m *Machine) {
	var ahead []int
	for i, msg := range f.msgs {
		if h := msg.header; h.Round > m.at.round && h.Clerk != f.clerk {
			ahead = append(ahead, i)
		}
	}
	for _, i := range ahead {
		next := f.try(m, Received{f.msgs[i]}, bit(i))
		for _, j := range ahead {
			if next != nil && f.msgs[j].header.Clerk > f.msgs[i].header.Clerk {
				f.try(next, Received{f.msgs[j]}, bit(i).or(bit(j)))
			}
		}
	}
}
