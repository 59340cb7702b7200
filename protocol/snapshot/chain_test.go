package snapshot_test

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
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

func (c *chain) ref(height uint64) protocol.Ref {
	cert, err := checkpoint.ParseCertificate(c.certs[height])
	if err != nil {
		c.Fatal(err)
	}
	return protocol.Ref{Height: height, ID: cert.ID()}
}

// through feeds a chain the certificates of heights.
func (c *chain) through(known protocol.Ref, heights ...uint64) (*snapshot.Chain, error) {
	l, err := snapshot.NewChain(c.w.Genesis, known)
	for _, h := range heights {
		if err == nil {
			err = l.Add(c.certs[h])
		}
	}
	return l, err
}

func TestChain(t *testing.T) {
	c := handedOver(t)
	s := c.snapshot()
	got, err := snapshot.Handovers(c.w.Genesis, 6, c)
	if err != nil || len(got) != 3 || !bytes.Equal(got[1], c.certs[3]) {
		t.Fatalf("%d handovers: %v", len(got), err)
	}
	elsewhere := protocol.Ref{Height: 4, ID: protocol.ID{1}}
	for what, x := range map[string]struct {
		known   protocol.Ref
		heights []uint64
		add     error // of the chain
		open    error // of the snapshot
	}{
		"from the genesis":             {heights: []uint64{1, 3, 5}},
		"through a handover":           {known: c.ref(3), heights: []uint64{1, 3, 5}},
		"through another":              {known: c.ref(4), heights: []uint64{1, 3, 4, 5}},
		"the snapshot's own":           {known: c.ref(6), heights: []uint64{1, 3, 5, 6}},
		"one left out":                 {heights: []uint64{1, 5}, add: checkpoint.ErrSignature},
		"one left out at the end":      {heights: []uint64{1, 3}, open: checkpoint.ErrNoQuorum},
		"again":                        {heights: []uint64{1, 1}, add: checkpoint.ErrSignature},
		"back":                         {heights: []uint64{1, 3, 2}, add: checkpoint.ErrSignature},
		"nothing changes":              {heights: []uint64{1, 2}, add: snapshot.ErrChain},
		"another known":                {known: elsewhere, heights: []uint64{1, 3, 4}, add: snapshot.ErrKnown},
		"past the known":               {known: elsewhere, heights: []uint64{1, 3, 5}, add: snapshot.ErrKnown},
		"known, and never reached":     {known: c.ref(4), heights: []uint64{1, 3}, open: snapshot.ErrKnown},
		"known, later than a snapshot": {known: protocol.Ref{Height: 7, ID: protocol.ID{1}}, heights: []uint64{1, 3, 5}, open: snapshot.ErrKnown},
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

// TestChainRefusesOld: a snapshot older than the checkpoint that is known, or
// another than that at its height.
func TestChainRefusesOld(t *testing.T) {
	c := handedOver(t)
	old := c.snapshot()
	c.cover(c.tip.State().AsOf(), nil)
	l, err := c.through(c.ref(7), 1, 3, 5, 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Open(c.w.Genesis, l, old.Manifest()); !errors.Is(err, snapshot.ErrKnown) {
		t.Errorf("an older one: %v", err)
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
// there on. It holds for who knows only the genesis, and for nobody who knows a
// checkpoint since.
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
		var own []uint64
		for _, at := range []uint64{1, 2, 3, 4, 5, 6} {
			if at == 1 || at == known {
				own = append(own, at)
			}
		}
		if _, err := f.through(h.ref(known), own...); !errors.Is(err, snapshot.ErrKnown) {
			t.Errorf("led past checkpoint %d: %v", known, err)
		}
		l, err := h.through(h.ref(known), honest(known)...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := snapshot.Open(h.w.Genesis, l, forged.Manifest()); err == nil {
			t.Errorf("opened, with checkpoint %d known", known)
		}
	}
}

// honest are the heights that lead through a known one.
func honest(known uint64) (heights []uint64) {
	for _, h := range []uint64{1, 2, 3, 4, 5, 6} {
		if h == known || h%2 == 1 {
			heights = append(heights, h)
		}
	}
	return heights
}

// TestChainContradicted: a certificate that good clerks signed, where the chain
// has another of that height.
func TestChainContradicted(t *testing.T) {
	c := newChain(t, quick(t), "alice", "bob", "carol")
	c.cover(statetest.Start, nil)
	h := handedOver(t)
	f := h.forked(t, c.tip, 1) // height 3, by the same clerks as the handover
	l, err := h.through(protocol.Ref{}, 1, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Open(h.w.Genesis, l, f.snapshot().Manifest()); !errors.Is(err, snapshot.ErrChain) {
		t.Errorf("a rival of height 3: %v", err)
	}
	known, err := h.through(h.ref(2), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	rival := h.forked(t, first(t, h), 1)
	if rival.ref(2) == h.ref(2) {
		t.Fatal("no rival")
	}
	if _, err := snapshot.Open(h.w.Genesis, known, rival.snapshot().Manifest()); !errors.Is(err, snapshot.ErrKnown) {
		t.Errorf("a rival of the one known: %v", err)
	}
}

// first is the tip of height 1.
func first(t *testing.T, c *chain) checkpoint.Tip {
	x := newChain(t, quick(t), "alice", "bob", "carol")
	if x.ref(1) != c.ref(1) {
		t.Fatal("another history")
	}
	return x.tip
}

func TestResumeChain(t *testing.T) {
	c := handedOver(t)
	l := snapshot.ResumeChain(first(t, c))
	for _, h := range []uint64{3, 5} {
		if err := l.Add(c.certs[h]); err != nil {
			t.Fatal(err)
		}
	}
	s := c.snapshot()
	r, err := snapshot.Open(c.w.Genesis, l, s.Manifest())
	if err != nil {
		t.Fatal(err)
	}
	if tip := c.fill(s, r, inOrder); tip.Ref() != c.tip.Ref() {
		t.Error("another tip")
	}
	if err := snapshot.ResumeChain(c.tip).Add(c.certs[6]); !errors.Is(err, snapshot.ErrChain) {
		t.Errorf("the tip's own again: %v", err)
	}
	f := c.forked(t, first(t, c), 2)
	if _, err := snapshot.Open(c.w.Genesis, snapshot.ResumeChain(c.tip), f.snapshot().Manifest()); !errors.Is(err, snapshot.ErrKnown) {
		t.Errorf("one from before: %v", err)
	}
}
