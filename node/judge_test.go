package node

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// follows draws a proposal by the founder's device at a place of its chain,
// with the parents given.
func (w *realm) follows(l *ledger, title string, seq uint64, prev protocol.ID, parents ...protocol.ID) *protocol.Record {
	w.t.Helper()
	slices.SortFunc(parents, protocol.ID.Compare)
	h := protocol.Header{
		Metastate: l.metastate, Kind: protocol.Propose, Persona: w.b.inception.ID(), Key: w.device.Public(),
		Checkpoint: l.tip.Ref(), Parents: parents, Seq: seq, Prev: prev, Time: 1,
	}
	r, err := protocol.Sign(h, decision.ProposeBody{Title: title, Method: "yes-no", Class: "ordinary", Voting: 7 * 24 * 3600}, nil, w.device)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *realm) took(l *ledger, n int, list ...*protocol.Record) {
	w.t.Helper()
	if d := w.deliver(l, list...); d.taken != n {
		w.t.Fatalf("of %d records %d are taken: %+v", len(list), d.taken, d)
	}
}

// clock has a ledger's clock stand.
func clock(l *ledger, now time.Time) { l.now = func() time.Time { return now } }

// A fresh value's clock is within a minute of this clerk's. To one that a
// quorum prevoted for, however long ago, the clock means nothing.
func TestJudgeClock(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	asOf := l.tip.State().AsOf() + 1000
	n := w.next(l, l.tip, asOf)
	for now, ok := range map[int64]bool{asOf - 61: false, asOf - 60: true, asOf: true, asOf + 60: true, asOf + 61: false} {
		clock(l, time.Unix(now, 0))
		if got, known := l.judge(n.Encoded, true, l.now()); got != ok || !known {
			t.Errorf("%d s after its time: ok %t, known %t", now-asOf, got, known)
		}
		if got, known := l.judge(n.Encoded, false, l.now()); !got || !known {
			t.Errorf("%d s after its time, not fresh: ok %t, known %t", now-asOf, got, known)
		}
	}
}

// A value that does not follow is refused, fresh or not; one whose lists are
// not those it names can't be read at all.
func TestJudgeRefuses(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	x := w.proposal(l, "x")
	w.took(l, 1, x)
	clock(l, time.Now())
	good := w.next(l, l.tip, l.now().Unix(), x)
	for name, change := range map[string]func(*certificate.Value){
		"another state":     func(v *certificate.Value) { v.StateRoot[0] ^= 1 },
		"another past":      func(v *certificate.Value) { v.Prev[0] ^= 1 },
		"another height":    func(v *certificate.Value) { v.Height++ },
		"another metastate": func(v *certificate.Value) { v.Metastate[0] ^= 1 },
		"other clerks":      func(v *certificate.Value) { v.Clerks[0].Key[0] ^= 1 },
		"a list twice": func(v *certificate.Value) {
			v.Control.Chunks = append(v.Control.Chunks, v.Control.Chunks[0])
			v.Control.Count += 400
		},
	} {
		v, err := certificate.ParseValue(good.Encoded)
		if err != nil {
			t.Fatal(err)
		}
		change(&v)
		b, err := v.Encode()
		if err != nil {
			t.Fatal(name, err)
		}
		for _, fresh := range []bool{true, false} {
			if ok, known := l.judge(b, fresh, l.now()); ok || !known {
				t.Errorf("%s, fresh %t: ok %t, known %t", name, fresh, ok, known)
			}
		}
	}
	for _, fresh := range []bool{true, false} {
		if ok, known := l.judge([]byte{0xff}, fresh, l.now()); ok || !known {
			t.Error("bytes that are no value")
		}
		if ok, known := l.judge(good.Encoded, fresh, l.now()); !ok || !known {
			t.Errorf("a good value: ok %t, known %t", ok, known)
		}
	}
}

// An omission counts from two seconds before the height began, and only of what
// the value could have covered: not what follows a rival of what it covers.
func TestJudgeOmissions(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	root := w.b.grant.ID()
	now := time.Now()
	clock(l, now)
	x, rival := w.follows(l, "x", 0, protocol.ID{}, root), w.follows(l, "rival", 0, protocol.ID{}, root)
	w.took(l, 2, x, rival)
	n := w.next(l, l.tip, now.Unix(), x)
	began := now.Add(time.Hour)
	clock(l, now)
	judge := func(began time.Time, fresh bool) bool {
		t.Helper()
		ok, known := l.judge(n.Encoded, fresh, began)
		if !known {
			t.Fatal("not known")
		}
		return ok
	}
	if !judge(began, true) {
		t.Error("a rival of what is covered counts as omitted")
	}
	w.took(l, 1, w.follows(l, "after the rival", 2, w.last(l, w.follows(l, "rival's next", 1, rival.ID(), rival.ID())), root))
	if !judge(began, true) {
		t.Error("what follows a rival counts as omitted")
	}
	next := w.follows(l, "next", 1, x.ID(), x.ID())
	w.took(l, 1, next)
	for _, c := range []struct {
		began time.Time
		fresh bool
		ok    bool
	}{
		{now.Add(omission), true, true},
		{now.Add(omission + 1), true, false},
		{began, true, false},
		{began, false, true},
	} {
		if got := judge(c.began, c.fresh); got != c.ok {
			t.Errorf("a record held %s before, fresh %t: ok %t", c.began.Sub(now), c.fresh, got)
		}
	}
	n = w.next(l, l.tip, now.Unix(), x, next)
	if !judge(began, true) {
		t.Error("nothing is omitted")
	}
}

// last delivers a record and names it.
func (w *realm) last(l *ledger, r *protocol.Record) protocol.ID {
	w.t.Helper()
	w.took(l, 1, r)
	return r.ID()
}

// A checkpoint has work when a record could be covered or a deadline is there,
// not a second sooner, and none while finality has stopped.
func TestWorkForACheckpoint(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	now := time.Unix(l.tip.State().AsOf()+10, 0)
	clock(l, now)
	work := func(when string, want bool) {
		t.Helper()
		n, ok, err := l.propose(protocol.ID{})
		if l.hasWork() != want || ok != want || err != nil {
			t.Errorf("%s: work %t, proposes %t, %v", when, l.hasWork(), ok, err)
		}
		if ok && n.Value.AsOf != l.now().Unix() {
			t.Errorf("%s: at another time than now", when)
		}
	}
	work("nothing held", false)
	x := w.proposal(l, "x")
	w.took(l, 1, x)
	work("a record held", true)
	first := l.tip
	if err := l.finalise(w.decided(first, w.device, w.next(l, first, now.Unix(), x).Encoded)); err != nil {
		t.Fatal(err)
	}
	work("all covered", false)
	due, ok := l.tip.State().NextDeadline()
	if !ok {
		t.Fatal("a proposal without a deadline")
	}
	ballot := func(poll protocol.ID) *protocol.Record {
		r, err := protocol.Sign(protocol.Header{
			Metastate: l.metastate, Kind: protocol.Ballot, Persona: w.b.inception.ID(), Key: w.device.Public(),
			Checkpoint: l.tip.Ref(), Subject: poll, Time: 1,
		}, decision.BallotBody{Choice: "yes"}, nil, w.device)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	vote, stray := ballot(x.ID()), ballot(random32())
	l.add(stray, now) // however it came: there is no such poll
	work("a ballot in no poll", false)
	l.add(vote, now)
	work("a ballot", true)
	l.settle(vote)
	clock(l, time.Unix(due-1, 0))
	work("before the deadline", false)
	clock(l, time.Unix(due, 0))
	work("at the deadline", true)
	l.stopFinality(errors.New("a cause"))
	work("stopped", false)
	l.stopFinality(errors.New("another"))
	if got := l.Snapshot().Trouble; got == nil || got.Error() != "a cause" {
		t.Error("the first cause is forgotten: ", got)
	}
}

// Certificates that come early wait, as far as there is room, and are taken in
// when what they wait for comes: records, lists, or the ones before.
func TestCertificatesWait(t *testing.T) {
	w := newRealm(t)
	l, other := w.ledger(), w.ledger()
	now := time.Now().Unix()
	x := w.proposal(l, "x")
	w.took(l, 1, x)
	a := w.next(l, l.tip, now, x)
	b := w.next(l, a.Tip, now+1)
	one, two := w.decided(l.tip, w.device, a.Encoded), w.decided(a.Tip, w.device, b.Encoded)
	waits := func(what string, err error, height uint64) {
		t.Helper()
		if !errors.Is(err, errWaiting) || other.Snapshot().Ref.Height != height {
			t.Errorf("%s: %v, at checkpoint %d", what, err, other.Snapshot().Ref.Height)
		}
	}
	waits("the one before is missing", other.finalise(two), 1)
	waits("its list is missing", other.finalise(one), 1)
	for _, c := range a.Chunks {
		if err := other.addChunk(c); err != nil {
			t.Fatal(err)
		}
	}
	if !other.needed[x.ID()] || other.Snapshot().Ref.Height != 1 {
		t.Error("does not know what it needs")
	}
	if d := w.deliver(other, x); d.taken != 1 || other.Snapshot().Ref != b.Tip.Ref() {
		t.Errorf("%+v, at checkpoint %d", d, other.Snapshot().Ref.Height)
	}
	if len(other.wanted) != 0 || len(other.needed) != 0 {
		t.Errorf("%d still wanted, %d needed", len(other.wanted), len(other.needed))
	}
	far := func(height uint64) certificate.Certificate { // by anyone: who signs there is not known yet
		v := b.Value
		v.Height = height
		value, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return certificate.Certificate{Value: value}
	}
	waits("as far as waits", other.finalise(far(4+maxWanted-1)), 3)
	waits("too far", other.finalise(far(4+maxWanted)), 3)
	if _, ok := other.wanted[4+maxWanted-1]; !ok || len(other.wanted) != 1 {
		t.Errorf("%d wait", len(other.wanted))
	}
	other.wanted[4] = w.decided(b.Tip, identity.GenerateSigningKey(), w.next(other, b.Tip, now+2).Encoded)
	if other.retry() || other.Snapshot().Ref.Height != 3 {
		t.Error("took in what a stranger signed")
	}
}

// Names of records that nobody has do not keep out those of others.
func TestNeededIsBounded(t *testing.T) {
	w := newRealm(t)
	one, two := w.ledger(), w.ledger()
	x := w.proposal(one, "x")
	w.took(one, 1, x)
	n := w.next(one, one.tip, time.Now().Unix(), x)
	for range maxNeeded {
		two.needed[random32()] = true
	}
	for _, c := range n.Chunks {
		if err := two.addChunk(c); err != nil {
			t.Fatal(err)
		}
	}
	if _, known := two.judge(n.Encoded, false, time.Now()); known {
		t.Error("judged without its record")
	}
	if certified, ok := two.needed[x.ID()]; !ok || certified || len(two.needed) > maxNeeded {
		t.Errorf("needed %t, certified %t, of %d", ok, certified, len(two.needed))
	}
	two.needed[x.ID()] = true
	if two.judge(n.Encoded, false, time.Now()); !two.needed[x.ID()] {
		t.Error("a clerk's value undoes what a quorum said")
	}
}
