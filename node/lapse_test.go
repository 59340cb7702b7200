package node

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

const dayLong = 24 * 3600

// cover makes a checkpoint of its own over records at a time, final here.
func (w *realm) cover(l *ledger, asOf int64, recs ...*protocol.Record) {
	w.t.Helper()
	n := w.next(l, l.currentTip(), asOf, recs...)
	if err := l.finalise(w.decided(l.currentTip(), w.device, n.Encoded)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *realm) sameSets(a, b *ledger) {
	w.t.Helper()
	a.mu.Lock()
	b.mu.Lock()
	defer a.mu.Unlock()
	defer b.mu.Unlock()
	x, _ := a.summaries(a.metastate)
	y, _ := b.summaries(b.metastate)
	if x.Root() != y.Root() {
		w.t.Error("two nodes at one checkpoint hold different sets")
	}
}

// A record waits, by its author alone, until it is too old: then it is dropped,
// so that this node holds what others do, and signed anew. A record in time goes
// on as it is.
func TestOldRecordsAreSignedAnew(t *testing.T) {
	w := newRealm(t)
	mine, other := w.ledger(), w.ledger()
	start := mine.tip.State().AsOf()
	old := w.follows(mine, "old", 0, protocol.ID{}, w.b.grant.ID())
	next := w.follows(mine, "next", 1, old.ID(), old.ID())
	w.took(mine, 2, old, next)
	for _, l := range []*ledger{mine, other} {
		w.cover(l, start+dayLong)
		w.cover(l, start+31*dayLong)
	}
	if d := w.deliver(other, old); d.taken != 1 || len(mine.renewed(w.device)) != 0 {
		t.Error("given up in time")
	}
	for _, l := range []*ledger{mine, other} {
		w.cover(l, start+33*dayLong)
	}
	w.sameSets(mine, other)
	if d := w.deliver(other, old); len(d.refused) != 1 || !errors.Is(d.refused[0].err, state.ErrRefused) {
		t.Errorf("taken too late: %+v", d)
	}
	// That it was said again on a branch left since does not speak for this one.
	if err := mine.note(old.ID(), lapse{At: mine.now().Unix(), Again: next.ID(), Left: true}); err != nil || len(mine.lapses()) != 0 {
		t.Errorf("the person is told %+v, %v", mine.lapses(), err)
	}
	anew := mine.renewed(w.device)
	if len(anew) != 2 || len(mine.renewed(w.device)) != 0 {
		t.Fatalf("%d are signed anew", len(anew))
	}
	for i, r := range anew {
		body, err := protocol.Body[decision.ProposeBody](r)
		if h := r.Header(); err != nil || body.Title != []string{"old", "next"}[i] || h.Seq != uint64(i) || h.Checkpoint != mine.tip.Ref() {
			t.Errorf("signed anew: %+v, %q, %v", h, body.Title, err)
		}
	}
	told := mine.lapses()
	if len(told) != 2 || told[0].Again.IsZero() || told[0].Why != "" || told[0].Kind != string(protocol.Propose) {
		t.Errorf("the person is told %+v", told)
	}
	w.took(other, 2, anew...)
	w.cover(other, start+34*dayLong, anew...)
	again, err := openLedger(mine.metastate, mine.own, mine.store, mine.log, func() {})
	if err != nil {
		t.Fatal(err)
	}
	if list := again.renewed(w.device); len(list) != 0 || len(again.open) != 2 {
		t.Errorf("after a restart %d are signed once more, %d are held", len(list), len(again.open))
	}
	w.sameSets(mine, again)
}

// What can't be signed anew is told, not lost in silence.
func TestLostRecordsAreTold(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	start := l.tip.State().AsOf()
	r, err := l.write(w.b.inception.ID(), w.device.Public(), protocol.Resign, protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		return protocol.Sign(h, roll.ResignBody{Office: "registrar"}, nil, w.device) // void: nobody has it
	})
	if err != nil {
		t.Fatal(err)
	}
	w.cover(l, start+dayLong)
	w.cover(l, start+33*dayLong)
	if list := l.renewed(w.device); len(list) != 0 {
		t.Fatalf("%d void records signed anew", len(list))
	}
	told := l.lapses()
	if len(told) != 1 || told[0].Why == "" || told[0].Why == interrupted || told[0].Record != r.ID().String() {
		t.Errorf("the person is told %+v", told)
	}
	clock(l, time.Now().Add(lapsesShown+time.Hour))
	if len(l.lapses()) != 0 {
		t.Error("told for ever")
	}
}

// Somebody shows this node alone a rival of what the clerks cover. What this
// node made on top of it can't become final: it is signed anew on what is final
// alone, so that the trick works once.
func TestRivalsOfOthersTakeNothingAlong(t *testing.T) {
	w := newRealm(t)
	l, clerk := w.ledger(), w.ledger()
	rogue := identity.GenerateSigningKey()
	start := l.tip.State().AsOf()
	grant, err := protocol.Sign(protocol.Header{
		Metastate: l.metastate, Kind: protocol.Grant, Persona: w.b.inception.ID(), Key: w.persona.Public(), Seq: 2, Prev: w.b.grant.ID(),
		Cosigners: []identity.PublicKey{rogue.Public()}, Checkpoint: l.tip.Ref(), Time: 1,
	}, identity.Grant{Device: rogue.Public(), Expires: start + 300*dayLong}, nil, w.persona, rogue)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*ledger{l, clerk} {
		w.took(x, 1, grant)
		w.cover(x, start+1, grant)
	}
	poem := func(text string) *protocol.Record {
		r, err := protocol.Sign(protocol.Header{
			Metastate: l.metastate, Kind: "poetry", Persona: w.b.inception.ID(), Key: rogue.Public(),
			Checkpoint: l.tip.Ref(), Parents: []protocol.ID{grant.ID()}, Time: 1,
		}, map[string]string{"t": text}, nil, rogue)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	shown, hidden := poem("shown"), poem("hidden")
	w.took(clerk, 1, shown)
	w.took(l, 2, hidden, shown)
	own := w.follows(l, "mine", 0, protocol.ID{}, hidden.ID())
	w.took(l, 1, own)
	ours := slices.Clone(l.parents())
	for _, x := range []*ledger{l, clerk} {
		w.cover(x, start+2, shown)
	}
	anew := l.renewed(w.device)
	if len(anew) != 1 || l.holds(hidden) || l.holds(own) {
		t.Fatalf("%d signed anew; the rival is held %t, what rests on it %t", len(anew), l.holds(hidden), l.holds(own))
	}
	if slices.Equal(l.parents(), ours) || !slices.Equal(l.parents(), []protocol.ID{anew[0].ID()}) {
		t.Error("other heads than what is held")
	}
	w.took(clerk, 1, anew...)
	w.sameSets(l, clerk)
	if d := w.deliver(clerk, hidden); len(d.refused) != 1 {
		t.Errorf("a rival of what is final: %+v", d)
	}
}

// A voter's place is taken by a ballot that is covered and does not count: none
// follows it there, and who held another drops it.
func TestBallotPlacesAreSpent(t *testing.T) {
	w := newRealm(t)
	l, other := w.ledger(), w.ledger()
	poll := w.polling(1, l, other)[0]
	ballot := func(choice string, at int64) *protocol.Record {
		r, err := protocol.Sign(protocol.Header{
			Metastate: l.metastate, Kind: protocol.Ballot, Persona: w.b.inception.ID(), Key: w.device.Public(),
			Checkpoint: l.tip.Ref(), Subject: poll.ID(), Time: at,
		}, decision.BallotBody{Choice: choice}, nil, w.device)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b, c := ballot("yes", 1), ballot("no", 2), ballot("yes", 3)
	w.took(l, 2, a, b)
	w.took(other, 2, a, c)
	asOf := l.tip.State().AsOf() + 1
	for _, x := range []*ledger{l, other} {
		x.needed[b.ID()] = true
		w.deliver(x, b)
		w.cover(x, asOf, a, b)
	}
	w.sameSets(l, other)
	if d := w.deliver(l, c); len(d.refused) != 1 {
		t.Errorf("a third in one place, later: %+v", d)
	}
	if d := w.deliver(w.reopen(l), c); len(d.refused) != 1 {
		t.Errorf("a third in one place, after a restart: %+v", d)
	}
	w.reopen(other)
}

// Nobody fills the pool alone: whoever has most of it there loses first.
func TestPoolIsShared(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	var p pool
	missing := make([]protocol.ID, 1<<14)
	for i := range missing {
		missing[i] = random32()
	}
	small := w.proposal(l, "small")
	p.add(small, &state.Missing{Checkpoint: 1 << 30}, w.persona.Public())
	for i := range 40 { // each as dear as 4 MiB
		var prev protocol.ID
		if i > 0 {
			prev = w.b.grant.ID()
		}
		r := w.follows(l, "x", uint64(i), prev, w.b.grant.ID())
		p.add(r, &state.Missing{Records: missing}, w.device.Public())
	}
	if p.get(small.ID()) == nil {
		t.Error("one who floods crowds out another")
	}
	if p.size > maxPending {
		t.Errorf("%d bytes wait", p.size)
	}
	for _, c := range []struct {
		sizes []int
		want  int
	}{{[]int{1, 2, 3}, math.MaxInt}, {[]int{1, 12}, 9}, {[]int{6, 9}, 5}, {[]int{20}, 10}, {[]int{1, 2, 30, 40}, 3}} {
		if got := fair(c.sizes, 10); got != c.want {
			t.Errorf("of %v nobody may be over %d", c.sizes, got)
		}
	}
}
