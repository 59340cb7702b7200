package checkpoint

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// orders is a walk of three honest machines that forget nothing: one message,
// timer, value or crash at a time, in an order drawn at random, with some
// messages never coming. Its states are those of [explorer] and what each clerk
// has heard, in what order where it matters.
type orders struct {
	*universe
	rng     *rand.Rand
	clerks  []*walker
	lost    []mask // by walker: what never comes
	decided *certificate.Certificate
}

type walker struct {
	index   int
	machine *Machine
	disk    []byte
	sent    mask
	decided *certificate.Certificate
	stands  localKey // once decided
}

func newOrders(u *universe, seed uint64) *orders {
	o := &orders{universe: u, rng: rand.New(rand.NewPCG(seed, 1))}
	for _, clerk := range u.honest {
		m, err := New(u.config(clerk))
		if err != nil {
			u.t.Fatal(err)
		}
		c := &walker{index: clerk, machine: m}
		o.clerks = append(o.clerks, c)
		o.lost = append(o.lost, mask{})
		for w := range o.lost[0] { // of some runs nothing is lost, of others three quarters
			o.lost[len(o.lost)-1][w] = []uint64{0, o.rng.Uint64() & o.rng.Uint64(), o.rng.Uint64(), o.rng.Uint64() | o.rng.Uint64()}[o.rng.IntN(4)]
		}
		o.take(c, Start{})
	}
	return o
}

// take feeds one input and holds what comes of it to what must be true of it.
func (o *orders) take(c *walker, in Input) {
	now, _ := o.step(c.machine, in)
	c.sent = c.sent.or(now.sent)
	if now.record != nil {
		c.disk = now.record
	}
	for i := range o.n {
		if now.accused.has(i) && !o.liar(i) {
			o.complain("honest clerk %d accused by clerk %d", i, c.index)
		}
	}
	if now.decided == nil {
		return
	}
	c.decided = now.decided
	again, more, err := o.resume(c.index, c.machine)
	if err != nil {
		o.complain("a record that does not resume: %v", err)
		return
	}
	c.stands = o.keyOf(c.index, again, c.sent.or(more), nil)
	if _, err := c.decided.Verify(testMetastate, certificate.Signers{Clerks: o.universe.clerks}); err != nil {
		o.complain("decided what does not verify: %v", err)
	}
	if o.decided == nil {
		o.decided = c.decided
	} else if o.decided.ID() != c.decided.ID() {
		o.complain("two values decided")
	}
}

// move does one thing at random.
func (o *orders) move() {
	i := o.rng.IntN(len(o.clerks))
	c := o.clerks[i]
	m := c.machine
	if c.decided != nil {
		return
	}
	switch r := o.rng.IntN(100); {
	case r < 2:
		o.crash(c)
	case r < 14:
		if s := Step(o.rng.IntN(3)); m.at.armed[s] && (s < StepPrecommit || m.at.round+1 < o.rounds) {
			o.take(c, TimedOut{Step: s, Round: m.at.round})
		}
	case r < 25 && m.at.asked:
		o.take(c, Propose{Round: m.at.round, Value: o.values[1+o.rng.IntN(2)]})
	default:
		sent := o.lies
		for _, other := range o.clerks {
			sent = sent.or(other.sent)
		}
		sent = sent.without(o.lost[i])
		if n := sent.count(); n > 0 {
			pick := o.rng.IntN(n)
			sent.each(func(i int) bool {
				if pick--; pick < 0 {
					o.take(c, Received{o.msgs[i]})
				}
				return pick >= 0
			})
		}
	}
}

// crash restarts a clerk from what it persisted.
func (o *orders) crash(c *walker) {
	var err error
	if c.disk == nil {
		c.machine, err = New(o.config(c.index))
	} else {
		c.machine, err = Resume(o.config(c.index), c.disk)
	}
	if err != nil {
		o.complain("a record that does not resume: %v", err)
	}
	o.take(c, Start{})
}

// print returns a fingerprint of the state, with all that was heard.
func (o *orders) print(h *maphash.Hash) uint64 {
	h.Reset()
	var b []byte
	for _, c := range o.clerks {
		m := c.machine
		k := o.keyOf(c.index, m, c.sent, nil)
		b = append(b[:0], byte(k.round), byte(k.step), byte(k.locked[0]), byte(k.locked[1]), byte(k.valid[0]), byte(k.valid[1]))
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, k.sent[0]), k.sent[1])
		b = fmt.Append(b, m.at.armed, m.at.asked, m.at.over)
		for _, r := range m.rounds {
			for _, kind := range r.slots {
				for _, pair := range kind {
					for _, msg := range pair {
						if msg == nil {
							b = append(b, 0xff)
						} else {
							b = append(b, byte(o.index[msg.header]))
						}
					}
				}
			}
		}
		h.Write(b)
	}
	return h.Sum64() | 1
}

// key returns where a clerk stands, but for what it has heard. One who decided,
// which comes before all other rules, could have done what it could otherwise
// do first, and decided then: an explorer knows it there.
func (o *orders) key(c *walker) localKey {
	if c.decided != nil {
		return c.stands
	}
	return o.keyOf(c.index, c.machine, c.sent, nil)
}

// forgotten returns the state without what was heard: the explorer's.
func (o *orders) forgotten(x *explorer) (uint64, bool) {
	var l []int32
	for _, c := range o.clerks {
		i, ok := x.known[o.key(c)]
		if !ok {
			return 0, false
		}
		l = append(l, i)
	}
	return pack(l), true
}

// finalIn reports whether the explorer too has clerks decide who did.
func (o *orders) finalIn(x *explorer) bool {
	sent := o.lies
	for _, c := range o.clerks {
		sent = sent.or(o.key(c).sent)
	}
	for _, c := range o.clerks {
		if c.decided == nil {
			continue
		}
		if !slices.ContainsFunc(x.movesOf(x.locals.at(x.known[o.key(c)])), func(mv move) bool {
			return x.locals.at(mv.to).key.decided == o.name(c.decided.ID()) &&
				slices.ContainsFunc(mv.needs, func(need mask) bool { return need.within(sent) })
		}) {
			return false
		}
	}
	return true
}

// where tells where the clerks stand.
func (o *orders) where() (s string) {
	for _, c := range o.clerks {
		k := o.key(c)
		s += fmt.Sprintf("\n%c: round %d %v, locked %v, valid %v, decided %v, said%s", 'A'+c.index, k.round, k.step, k.locked, k.valid, c.decided != nil, o.show(k.sent))
	}
	return s
}

// recovers lets the liar fall silent and the network be good: messages that
// clerks send again arrive, then timers run. It reports whether all decide, or
// have a certificate to be given.
func (o *orders) recovers() bool {
	for range 40 {
		for moved := true; moved; {
			moved = false
			for _, from := range o.clerks {
				for _, msg := range from.machine.Messages() {
					for _, to := range o.clerks {
						moved = o.live(to, Received{msg}) || moved
					}
				}
			}
			for _, c := range o.clerks {
				if c.machine.at.over {
					return true // its certificate ends the height for all
				}
			}
		}
		for _, c := range o.clerks {
			at := c.machine.at
			for s := StepPropose; s <= StepPrecommit; s++ {
				o.live(c, TimedOut{Step: s, Round: at.round})
			}
		}
	}
	return false
}

// live feeds an input and answers what it asks, in any round.
func (o *orders) live(c *walker, in Input) (moved bool) {
	out, v := c.machine.Step(in)
	for _, out := range out {
		switch out := out.(type) {
		case Judge:
			o.live(c, Judged{Value: out.ID, Fresh: out.Fresh, OK: true})
		case NeedValue:
			o.live(c, Propose{Round: out.Round, Value: o.values[1+c.index%2]})
		}
	}
	return v == Accepted || v == Conflicting && len(out) > 0
}

// walkOrders walks machines that forget nothing, until want states were seen.
// Every state on the way must be, but for what was heard, one that x visited;
// and from each walk's end an honest path must lead to a decision.
func walkOrders(t *testing.T, x *explorer, want int64, steps int) {
	var h maphash.Hash
	var seen visited
	start, walks, decided := time.Now(), uint64(0), 0
	for ; seen.count.Load() < want && !t.Failed(); walks++ {
		o := newOrders(x.universe, walks<<2|uint64(x.liars[0]))
		for range steps {
			o.move()
			if !seen.add(o.print(&h)) {
				continue
			}
			if s, ok := o.forgotten(x); !ok || !x.seen.has(s) {
				t.Fatalf("walk %d is where no exploration was:%s", walks, o.where())
			}
		}
		if o.decided != nil {
			decided++
			if !o.finalIn(x) {
				t.Fatalf("walk %d decided what no exploration does:%s", walks, o.where())
			}
		}
		if !o.recovers() {
			t.Fatalf("walk %d: honest clerks on a good network do not decide:%s", walks, o.where())
		}
	}
	t.Logf("one thing at a time: %d walks, %d of them to a decision, %d states, %.1f s",
		walks, decided, seen.count.Load(), time.Since(start).Seconds())
	if decided == 0 {
		t.Error("no walk decided")
	}
}
