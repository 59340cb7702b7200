package checkpoint_test

import (
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
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
	control, id := next.Tip.Covered(protocol.ID{}), protocol.Sum([]byte("another"))
	restore := func(change func(*certificate.Value), tip checkpoint.Tip, control merkle.Set) (checkpoint.Tip, error) {
		v, err := certificate.ParseValue(next.Encoded)
		if err != nil {
			t.Fatal(err)
		}
		change(&v)
		b, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return checkpoint.Restore(certificate.Certificate{Value: b}, tip.State(), control)
	}
	as := func(*certificate.Value) {}
	got, err := restore(as, next.Tip, control)
	if err != nil || got.Ref() != next.Tip.Ref() || !got.Covers(records[0]) || !got.Covers(c.w.Genesis) {
		t.Fatalf("the tip as it was: %v", err)
	}
	for what, change := range map[string]func(*certificate.Value){
		"metastate":      func(v *certificate.Value) { v.Metastate = id },
		"height":         func(v *certificate.Value) { v.Height++ },
		"time":           func(v *certificate.Value) { v.AsOf++ },
		"state root":     func(v *certificate.Value) { v.StateRoot[0] ^= 1 },
		"control digest": func(v *certificate.Value) { v.Control.Digest[0] ^= 1 },
		"control count":  func(v *certificate.Value) { v.Control.Count++ },
		"clerks":         func(v *certificate.Value) { v.Clerks = v.Clerks[:1] },
	} {
		if _, err := restore(change, next.Tip, control); err == nil {
			t.Errorf("another %s was taken", what)
		}
	}
	if _, err := restore(as, c.tip, control); !errors.Is(err, checkpoint.ErrStateRoot) {
		t.Errorf("another state: %v", err)
	}
	if _, err := restore(as, next.Tip, control.Add(id)); err == nil {
		t.Error("another control plane was taken")
	}
}
