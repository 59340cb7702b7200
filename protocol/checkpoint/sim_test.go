package checkpoint

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// A world of clerks on a virtual network: messages are lost, delayed, repeated
// and reordered until healed; clerks crash between any two outputs and resume
// from what they had persisted; dishonest ones say different things to
// different clerks.

type simEvent struct {
	at  time.Duration
	seq int // breaks ties, so that a seed replays
	do  func()
}

type simQueue []simEvent

func (q simQueue) Len() int { return len(q) }
func (q simQueue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q simQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *simQueue) Push(e any)   { *q = append(*q, e.(simEvent)) }
func (q *simQueue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

type simNode struct {
	index    int
	machine  *Machine // nil while down
	life     int      // counts restarts: timers of an earlier life are void
	disk     []byte   // what Persist stored
	decided  *certificate.Certificate
	liar     bool
	lies     map[Header]*Message // told by a liar
	accusing map[int]bool
}

type world struct {
	t       testing.TB
	rng     *rand.Rand
	clerks  []certificate.Clerk
	nodes   []*simNode
	now     time.Duration
	seq     int
	queue   simQueue
	healAt  time.Duration
	parsed  map[string]*Message
	crashes bool
	split   bool // before healing, links are open or shut for seconds on end
	seed    uint64

	falsehoods [3][]byte // values that liars propose
}

func newWorld(t testing.TB, seed uint64, n, liars int, crashes bool) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, uint64(n))), clerks: testClerks(n),
		healAt: 40 * time.Second, parsed: map[string]*Message{}, crashes: crashes,
		split: seed%3 == 0, seed: seed,
	}
	for i := range n {
		w.nodes = append(w.nodes, &simNode{index: i, accusing: map[int]bool{}, lies: map[Header]*Message{}})
	}
	for i := range w.falsehoods {
		w.falsehoods[i] = mustEncode(t, testValue(n, fmt.Sprint("lie ", i)))
	}
	for _, i := range w.rng.Perm(n)[:liars] {
		w.nodes[i].liar = true
	}
	for _, nd := range w.nodes {
		if !nd.liar {
			w.after(time.Duration(w.rng.IntN(3000))*time.Millisecond, func() { w.boot(nd) })
		}
	}
	return w
}

func (w *world) config(i int) Config {
	cfg := Config{Metastate: testMetastate, Height: 1, Clerks: w.clerks, Signer: testKey(i)}
	if w.seed%2 == 1 { // much shorter than the network's delays: rounds fail midway
		cfg.Timeouts = Timeouts{
			Propose: 700 * time.Millisecond, ProposeDelta: 100 * time.Millisecond,
			Prevote: 300 * time.Millisecond, PrevoteDelta: 100 * time.Millisecond,
			Precommit: 300 * time.Millisecond, PrecommitDelta: 100 * time.Millisecond,
		}
	}
	return cfg
}

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, simEvent{w.now + d, w.seq, do})
}

// boot starts a node from its disk.
func (w *world) boot(nd *simNode) {
	var err error
	if nd.disk == nil {
		nd.machine, err = New(w.config(nd.index))
	} else {
		nd.machine, err = Resume(w.config(nd.index), nd.disk)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	nd.life++
	w.step(nd, Start{})
	w.retransmit(nd, nd.life)
}

func (w *world) retransmit(nd *simNode, life int) {
	w.after(2*time.Second, func() {
		if nd.life != life || nd.machine == nil {
			return
		}
		if nd.decided == nil {
			for _, msg := range nd.machine.Messages() {
				w.spread(nd.index, msg.Bytes())
			}
		} else {
			w.spread(nd.index, nd.decided.Encode())
		}
		w.retransmit(nd, life)
	})
}

// spread sends bytes to all others over the network as it is.
func (w *world) spread(from int, b []byte) {
	for to := range w.nodes {
		if to != from {
			w.post(from, to, b)
		}
	}
}

// open reports whether a link works now.
func (w *world) open(from, to int) bool {
	epoch := uint64(w.now / (4 * time.Second))
	coin := rand.New(rand.NewPCG(w.seed, epoch<<16|uint64(from)<<8|uint64(to)))
	return !w.split || coin.IntN(2) == 0
}

func (w *world) post(from, to int, b []byte) {
	copies := 1
	if w.now < w.healAt {
		if !w.open(from, to) {
			return
		}
		copies = []int{0, 0, 0, 1, 1, 1, 2}[w.rng.IntN(7)]
	}
	for range copies {
		delay := 20 + w.rng.IntN(300)
		if w.now < w.healAt {
			delay += w.rng.IntN(6000)
		}
		w.after(time.Duration(delay)*time.Millisecond, func() { w.deliver(w.nodes[to], b) })
	}
}

func (w *world) parse(b []byte) *Message {
	if msg, ok := w.parsed[string(b)]; ok {
		return msg
	}
	msg, err := ParseMessage(testMetastate, w.clerks, b)
	if err != nil {
		msg = nil
	}
	w.parsed[string(b)] = msg
	return msg
}

func (w *world) deliver(nd *simNode, b []byte) {
	msg := w.parse(b)
	switch {
	case nd.liar && msg != nil:
		w.lie(nd, msg)
	case nd.machine == nil:
	case msg != nil:
		w.step(nd, Received{msg})
	case nd.decided == nil:
		c, err := certificate.ParseCertificate(b)
		if err != nil {
			w.t.Fatalf("neither message nor certificate: %v", err)
		}
		if _, err := c.Verify(testMetastate, certificate.Signers{Clerks: w.clerks}); err != nil {
			w.t.Fatal(err)
		}
		nd.decided = &c
	}
}

// lie answers any message of a round with conflicting votes to different
// clerks, and conflicting proposals if it is the liar's turn.
func (w *world) lie(nd *simNode, heard *Message) {
	h := heard.Header()
	signer := testKey(nd.index)
	say := func(h Header, value []byte) {
		h.Clerk, h.Height = nd.index, 1
		m := nd.lies[h]
		if m != nil && w.rng.IntN(8) > 0 {
			return
		}
		if m == nil {
			m = signMessage(signer, testMetastate, h, value, protocol.ID{})
			nd.lies[h] = m
		}
		w.post(nd.index, w.rng.IntN(len(w.nodes)), m.Bytes())
	}
	for _, round := range []uint32{h.Round, h.Round + 1} {
		if Proposer(1, round, len(w.clerks)) == nd.index {
			b := w.falsehoods[w.rng.IntN(len(w.falsehoods))]
			vr := int64(NoRound)
			if round > 0 && w.rng.IntN(3) == 0 {
				vr = int64(w.rng.IntN(int(round)))
			}
			say(Header{Kind: KindProposal, Round: round, ValidRound: vr, Value: protocol.Sum(b)}, b)
		}
		for _, kind := range []Kind{KindPrevote, KindPrecommit} {
			for _, id := range []protocol.ID{{}, h.Value} {
				say(Header{Kind: kind, Round: round, ValidRound: NoRound, Value: id}, nil)
			}
		}
	}
}

// step feeds one input and carries out its outputs, perhaps crashing on the
// way.
func (w *world) step(nd *simNode, in Input) {
	if nd.machine == nil {
		return
	}
	var twin *Machine
	if w.rng.IntN(64) == 0 {
		twin = nd.machine.Clone()
	}
	out, _ := nd.machine.Step(in)
	if twin != nil {
		if again, _ := twin.Step(in); !reflect.DeepEqual(out, again) || !reflect.DeepEqual(twin, nd.machine) {
			w.t.Fatal("a clone went another way on the same input")
		}
	}
	for _, o := range out {
		if w.crashes && w.now < w.healAt && w.rng.IntN(25) == 0 {
			nd.machine = nil
			nd.life++
			w.after(time.Duration(w.rng.IntN(8000))*time.Millisecond, func() { w.boot(nd) })
			return
		}
		w.carryOut(nd, o)
	}
}

func (w *world) carryOut(nd *simNode, o Output) {
	life := nd.life
	later := func(d time.Duration, in Input) {
		w.after(d, func() {
			if nd.life == life {
				w.step(nd, in)
			}
		})
	}
	switch o := o.(type) {
	case Persist:
		nd.disk = o.Record
	case Broadcast:
		w.spread(nd.index, o.Message.Bytes())
	case NeedValue:
		v := testValue(len(w.clerks), fmt.Sprintf("value %d of %d at %v", o.Round, nd.index, w.now))
		later(time.Duration(w.rng.IntN(200))*time.Millisecond, Propose{o.Round, mustEncode(w.t, v)})
	case Judge:
		ok := !o.Fresh || w.now >= w.healAt || w.rng.IntN(5) > 0
		later(time.Duration(w.rng.IntN(200))*time.Millisecond, Judged{o.ID, o.Fresh, ok})
	case Schedule:
		later(o.After, TimedOut{o.Step, o.Round})
	case Decided:
		nd.decided = &o.Certificate
		if _, err := o.Certificate.Verify(testMetastate, certificate.Signers{Clerks: w.clerks}); err != nil {
			w.t.Fatalf("clerk %d decided what does not verify: %v", nd.index, err)
		}
	case Refused:
		w.t.Fatalf("clerk %d refused a certificate", nd.index)
	case Accuse:
		w.accuse(nd, o.Evidence)
	}
}

func (w *world) accuse(nd *simNode, e Evidence) {
	parsed, err := ParseEvidence(e.Encode())
	if err != nil || parsed != e {
		w.t.Fatalf("evidence does not survive its encoding: %v", err)
	}
	if _, err := e.Verify(testMetastate, w.clerks); err != nil {
		w.t.Fatalf("evidence does not verify: %v", err)
	}
	if !w.nodes[e.Clerk].liar {
		w.t.Fatalf("at %v honest clerk %d signed two %vs in round %d", w.now, e.Clerk, e.Kind, e.Round)
	}
	nd.accusing[e.Clerk] = true
}

// run goes on until all honest clerks have decided, or the time is up.
func (w *world) run(limit time.Duration) bool {
	for w.queue.Len() > 0 {
		e := heap.Pop(&w.queue).(simEvent)
		if w.now = e.at; w.now > limit {
			return false
		}
		e.do()
		w.checkBounds()
		if !slices.ContainsFunc(w.nodes, func(nd *simNode) bool { return !nd.liar && nd.decided == nil }) {
			return true
		}
	}
	return false
}

func (w *world) checkBounds() {
	for _, nd := range w.nodes {
		if nd.machine == nil {
			continue
		}
		n := len(w.clerks)
		if got, most := len(nd.machine.rounds), keptRounds+3+roundsAhead*n; got > most {
			w.t.Fatalf("messages of %d rounds kept, at most %d", got, most)
		}
	}
}

func (w *world) agreed() error {
	var first *certificate.Certificate
	for _, nd := range w.nodes {
		if nd.decided == nil {
			continue
		}
		if first == nil {
			first = nd.decided
		} else if !bytes.Equal(first.Value, nd.decided.Value) {
			return fmt.Errorf("clerks decided differently, in rounds %d and %d", first.Round, nd.decided.Round)
		}
	}
	return nil
}

// SPEC §7.4: agreement at every seed, and a decision once the network heals.
func TestSimulation(t *testing.T) {
	seeds := uint64(42)
	if testing.Short() {
		seeds = 15
	}
	for _, c := range []struct {
		n, liars int
		crashes  bool
	}{{1, 0, true}, {2, 0, true}, {3, 0, true}, {4, 0, true}, {4, 1, false}, {4, 1, true}, {7, 2, true}} {
		t.Run(fmt.Sprintf("clerks=%d,liars=%d,crashes=%v", c.n, c.liars, c.crashes), func(t *testing.T) {
			t.Parallel()
			var rounds uint32
			for seed := range seeds {
				w := newWorld(t, seed, c.n, c.liars, c.crashes)
				done := w.run(20 * time.Minute)
				if err := w.agreed(); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if !done {
					for _, nd := range w.nodes {
						if nd.machine != nil {
							r, s := nd.machine.Round()
							t.Logf("clerk %d: round %d, %v, decided %v", nd.index, r, s, nd.decided != nil)
						}
					}
					t.Fatalf("seed %d: undecided at %v", seed, w.now)
				}
				for _, nd := range w.nodes {
					if nd.decided != nil {
						rounds = max(rounds, nd.decided.Round)
					}
				}
			}
			if c.n > 1 && rounds < 2 {
				t.Fatalf("no seed went past round %d: the network is too kind to test anything", rounds)
			}
		})
	}
}
