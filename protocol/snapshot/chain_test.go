package snapshot_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// handedOver is a metastate whose clerks changed at heights 1, 3 and 5:
//
//	1 ── 2 ── 3 ── 4 ── 5 ── 6
//	*         *         *
//
// Bob and carol recall alice, then carol resigns.
func handedOver(t *testing.T) *chain {
	c := newChain(t, quick(t), "alice", "bob", "carol")
	at := int64(statetest.Start)
	quiet := func() {
		c.cover(at, []*protocol.Record{c.w.Invite("bob", "x", 1, at+1e6, statetest.How{})})
	}
	quiet()
	body := recall(c, "alice", "bob")
	body.In = nil
	act := c.w.Record("bob", protocol.Recall, body, statetest.How{})
	c.cover(at, []*protocol.Record{
		act, c.w.Record("carol", protocol.Endorse, roll.EndorseBody{Act: act.ID()}, statetest.How{After: []*protocol.Record{act}}),
	})
	quiet()
	c.cover(at, []*protocol.Record{c.w.Record("carol", protocol.Resign, roll.ResignBody{Office: "clerk"}, statetest.How{})})
	quiet()
	if len(c.tip.Clerks()) != 1 || c.tip.Ref().Height != 6 {
		t.Fatalf("%d clerks at height %d", len(c.tip.Clerks()), c.tip.Ref().Height)
	}
	return c
}

func TestChain(t *testing.T) {
	c := handedOver(t)
	s := c.snapshot()
	for what, x := range map[string]struct {
		known   uint64
		heights []uint64
		add     error // of the chain
		open    error // of the snapshot
	}{
		"from the first":          {known: 1, heights: []uint64{3, 5}},
		"from one in between":     {known: 2, heights: []uint64{3, 5}},
		"from a handover":         {known: 3, heights: []uint64{5}},
		"from the last handover":  {known: 5},
		"the snapshot's own":      {known: 6},
		"one left out":            {known: 1, heights: []uint64{5}, add: certificate.ErrSignature},
		"one left out at the end": {known: 1, heights: []uint64{3}, open: certificate.ErrNoQuorum},
		"the known again":         {known: 1, heights: []uint64{1}, add: certificate.ErrSignature},
		"back":                    {known: 1, heights: []uint64{3, 2}, add: certificate.ErrSignature},
		"nothing changes":         {known: 1, heights: []uint64{2}, add: snapshot.ErrChain},
	} {
		l, err := c.through(x.known, x.heights...)
		if !errors.Is(err, x.add) || x.add == nil && err != nil {
			t.Errorf("%s: %v, not %v", what, err, x.add)
		}
		if x.add != nil || err != nil {
			continue
		}
		if _, err := snapshot.Open(c.w.Genesis, l, s.Manifest()); !errors.Is(err, x.open) || x.open == nil && err != nil {
			t.Errorf("%s: opening: %v, not %v", what, err, x.open)
		}
	}
}

// A chain that begins after a recall takes what names it (SPEC §7.6 rule 9).
func TestChainAfterARecall(t *testing.T) {
	c := newChain(t, quick(t), "alice", "bob", "carol")
	act := c.w.Record("bob", protocol.Recall, recall(c, "alice", "bob"), statetest.How{})
	list := []*protocol.Record{
		act, c.w.Record("carol", protocol.Endorse, roll.EndorseBody{Act: act.ID()}, statetest.How{After: []*protocol.Record{act}}),
	}
	n, err := c.tip.ProposeUnder(act.ID(), list, statetest.Start)
	if err != nil {
		t.Fatal(err)
	}
	c.certs[2] = c.certify(n.Signers(), n.Encoded)
	c.take(n.Tip, list)
	c.cover(statetest.Start, []*protocol.Record{c.w.Record("carol", protocol.Resign, roll.ResignBody{Office: "clerk"}, statetest.How{})})
	if _, err := c.through(2, 3); err != nil {
		t.Error(err)
	}
	v, err := certificate.ParseValue(c.value(3))
	if err != nil {
		t.Fatal(err)
	}
	v.Last = protocol.ID{}
	value, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c.certs[3] = c.certify(n.Tip.Clerks(), value)
	if _, err := c.through(2, 3); !errors.Is(err, certificate.ErrSignature) {
		t.Errorf("a handover that does not name the recall: %v", err)
	}
}

// TestNewChainRefuses: what begins a chain is the value that is known.
func TestNewChainRefuses(t *testing.T) {
	c := handedOver(t)
	ms := c.w.Genesis.ID()
	other := newChain(t, statetest.Charter(t), "alice")
	for what, x := range map[string]struct {
		known protocol.Ref
		value []byte
	}{
		"nothing known":    {protocol.Ref{}, c.value(1)},
		"no value":         {c.ref(1), nil},
		"another's value":  {c.ref(1), c.value(2)},
		"another height":   {protocol.Ref{Height: 2, ID: c.ref(1).ID}, c.value(1)},
		"no height":        {protocol.Ref{ID: c.ref(1).ID}, c.value(1)},
		"what is no value": {protocol.Ref{Height: 1, ID: protocol.Sum([]byte{1})}, []byte{1}},
		"other metastate":  {other.ref(1), other.value(1)},
	} {
		if _, err := snapshot.NewChain(ms, x.known, x.value); !errors.Is(err, snapshot.ErrKnown) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestChainRefusesOld: a snapshot of before the chain's end.
func TestChainRefusesOld(t *testing.T) {
	c := handedOver(t)
	old := c.snapshot()
	c.cover(c.tip.State().AsOf(), nil)
	l, err := c.through(7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Open(c.w.Genesis, l, old.Manifest()); !errors.Is(err, snapshot.ErrChain) {
		t.Errorf("an older one: %v", err)
	}
}

// TestChainIsBounded: it takes so many handovers and no more.
func TestChainIsBounded(t *testing.T) {
	c := handedOver(t)
	l, err := c.through(1)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Fill(l)
	if err := l.Add(c.certs[3]); !errors.Is(err, snapshot.ErrChain) {
		t.Errorf("one more: %v", err)
	}
}

// forked is what who were clerks at a height could have made instead of what
// came after it, with their old keys:
//
//	1 ── 2 ── 3 ── 4 ── 5 ── 6
//	     └─── 3'── 4'── …
func (c *chain) forked(t *testing.T, tip checkpoint.Tip, heights int) *chain {
	f := *c
	f.tip, f.certs = tip, maps.Clone(c.certs)
	for h := range f.certs {
		if h > tip.Ref().Height {
			delete(f.certs, h)
		}
	}
	w := *c.w
	f.w = &w
	for i := range heights {
		f.cover(statetest.Start+int64(i)+1, nil)
	}
	return &f
}

// TestLongRange: who was clerk once and keeps the keys can make up a chain from
// there on. It holds for who knows only a checkpoint of then, and for nobody
// who knows one since.
func TestLongRange(t *testing.T) {
	c := newChain(t, quick(t), "alice", "bob", "carol")
	c.cover(statetest.Start, nil)
	then := c.tip
	h := handedOver(t) // the same history, and on
	if h.ref(1) != c.ref(1) {
		t.Fatal("not the same")
	}
	f := h.forked(t, then, 6)
	forged := f.snapshot()
	if _, err := snapshot.Open(h.w.Genesis, f.lineage(), forged.Manifest()); err != nil {
		t.Fatalf("the attack has no teeth: %v", err)
	}
	for _, known := range []uint64{3, 4, 6} {
		l, err := h.through(known)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := snapshot.Open(h.w.Genesis, l, forged.Manifest()); err == nil {
			t.Errorf("opened, with checkpoint %d known", known)
		}
	}
}

// TestChainContradicted: a certificate that good clerks signed, where the chain
// has another of that height.
func TestChainContradicted(t *testing.T) {
	c := newChain(t, quick(t), "alice", "bob", "carol")
	c.cover(statetest.Start, nil)
	h := handedOver(t)
	f := h.forked(t, c.tip, 2) // heights 3 and 4, by the same clerks as the handover
	l, err := h.through(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Open(h.w.Genesis, l, f.snapshot().Manifest()); err == nil {
		t.Error("a rival of height 4 under the clerks before: opened")
	}
	// One that carol and alice still sign, above a known one that it does not follow.
	x := newChain(t, quick(t), "alice", "bob", "carol")
	x.cover(statetest.Start+5, nil)
	y := newChain(t, quick(t), "alice", "bob", "carol")
	y.cover(statetest.Start, nil)
	y.cover(statetest.Start, nil)
	known, err := x.through(2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Open(y.w.Genesis, known, y.snapshot().Manifest()); !errors.Is(err, snapshot.ErrChain) {
		t.Errorf("one that follows a rival of the one known: %v", err)
	}
}
