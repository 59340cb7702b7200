package checkpoint_test

import (
	"errors"
	"iter"
	"maps"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestRestoreTip: a tip is made of its parts, and of no others. Snapshots test
// that it goes on as the one it was (protocol/snapshot).
func TestRestoreTip(t *testing.T) {
	c := newChain(t, "alice", "bob")
	records := c.some()
	next, err := c.tip.Propose(records, statetest.Start+1)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[protocol.ID]merkle.Set{}
	for _, s := range next.Value.Subjects {
		sets[s.Subject] = next.Tip.Covered(s.Subject)
	}
	if len(sets) != 2 {
		t.Fatalf("%d subjects", len(sets))
	}
	control, id := next.Tip.Covered(protocol.ID{}), protocol.Sum([]byte("another"))
	restore := func(change func(*checkpoint.Value), tip checkpoint.Tip, control merkle.Set, subjects iter.Seq2[protocol.ID, merkle.Set]) (checkpoint.Tip, error) {
		v, err := checkpoint.ParseValue(next.Encoded)
		if err != nil {
			t.Fatal(err)
		}
		change(&v)
		b, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return checkpoint.Restore(checkpoint.Certificate{Value: b}, tip.State(), control, subjects)
	}
	as := func(*checkpoint.Value) {}
	got, err := restore(as, next.Tip, control, maps.All(sets))
	if err != nil || got.Ref() != next.Tip.Ref() || !got.Covers(records[0]) || !got.Covers(c.w.Genesis) {
		t.Fatalf("the tip as it was: %v", err)
	}
	for what, change := range map[string]func(*checkpoint.Value){
		"metastate":      func(v *checkpoint.Value) { v.Metastate = id },
		"height":         func(v *checkpoint.Value) { v.Height++ },
		"time":           func(v *checkpoint.Value) { v.AsOf++ },
		"state root":     func(v *checkpoint.Value) { v.StateRoot[0] ^= 1 },
		"control digest": func(v *checkpoint.Value) { v.Control.Digest[0] ^= 1 },
		"control count":  func(v *checkpoint.Value) { v.Control.Count++ },
		"clerks":         func(v *checkpoint.Value) { v.Clerks = v.Clerks[:1] },
		"subject":        func(v *checkpoint.Value) { v.Subjects[0].Digest[0] ^= 1 },
		"subject count":  func(v *checkpoint.Value) { v.Subjects[0].Count++ },
	} {
		if _, err := restore(change, next.Tip, control, maps.All(sets)); err == nil {
			t.Errorf("another %s was taken", what)
		}
	}
	if _, err := restore(as, c.tip, control, maps.All(sets)); !errors.Is(err, checkpoint.ErrStateRoot) {
		t.Errorf("another state: %v", err)
	}
	if _, err := restore(as, next.Tip, control.Add(id), maps.All(sets)); err == nil {
		t.Error("another control plane was taken")
	}
	if _, err := restore(as, next.Tip, control, func(func(protocol.ID, merkle.Set) bool) {}); err == nil {
		t.Error("no subjects were taken")
	}
}
