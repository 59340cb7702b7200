package node

import (
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// shown is a set's sketch, nil if there is none for so much work, and the work.
func shown(t *testing.T, l reconcile.Local, name [32]byte, spare int) (symbols []sketch.Symbol, work int) {
	t.Helper()
	set, err := l.Open(name)
	if err == nil {
		work, err = set.Sketch(1, spare, func(s []sketch.Symbol) { symbols = slices.Clone(s) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return symbols, work
}

// A node keeps the sketches of its sets from session to session: of records that
// came since, each is as much work as it is one. A session under way goes on
// with the sets it began with.
func TestSketchesAreKept(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	r := &replica{ledger: l}
	before, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	control := [32]byte(l.metastate)
	old, work := shown(t, before, control, 1)
	if work == 0 || old == nil {
		t.Fatal("a first sketch is no work")
	}
	w.took(l, 1, w.follows(l, "new", 0, protocol.ID{}, w.b.grant.ID()))
	after, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	now, work := shown(t, after, control, 1)
	if work != 1 || slices.Equal(now, old) {
		t.Errorf("a record more is %d of work", work)
	}
	var fresh reconcile.Sketches
	again, _ := shown(t, reconcile.Local{Open: func([32]byte) (reconcile.Set, error) {
		return fresh.Of(control, l.sets[protocol.ID{}]), nil
	}}, control, 1)
	if !slices.Equal(now, again) {
		t.Error("a sketch led on is not the set's")
	}
	if back, _ := shown(t, before, control, 1); !slices.Equal(back, old) {
		t.Error("a session sees another set than it began with")
	}
}

// Of a set that is gone, as when a poll closes, nothing is kept.
func TestSketchesOfGoneSetsAreForgotten(t *testing.T) {
	x := newHoldings()
	poll, control := protocol.ID{1}, protocol.ID{2}
	local := func() reconcile.Local {
		index, sets := x.summaries(control)
		return reconcile.Local{Index: index, Open: func(name [32]byte) (reconcile.Set, error) {
			return x.sketches.Of(name, sets[name]), nil
		}}
	}
	x.sets[poll] = merkle.Set{}.Add([32]byte{3})
	x.stale[poll] = true
	before := local()
	shown(t, before, poll, 1)
	if symbols, _ := shown(t, before, poll, 0); symbols == nil {
		t.Fatal("the sketch is not kept")
	}
	delete(x.sets, poll)
	x.stale[poll] = true
	local()
	if symbols, _ := shown(t, before, poll, 0); symbols != nil {
		t.Error("the sketch of a set that is gone is kept")
	}
}
