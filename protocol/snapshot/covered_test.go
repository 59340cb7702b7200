package snapshot_test

import (
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestCoveredSetOfClosedPoll: there is none.
func TestCoveredSetOfClosedPoll(t *testing.T) {
	c := newChain(t, quick(t), "alice", "bob")
	at := int64(statetest.Start)
	p := c.w.Propose("alice", "x", "ordinary", 3600, statetest.How{})
	c.cover(at, []*protocol.Record{p})
	c.cover(at, []*protocol.Record{c.w.Ballot("bob", p.ID(), "yes", statetest.How{})})
	open := c.snapshot()
	parts := c.parts(open)
	c.cover(at+3600, nil)
	s := c.snapshot()
	for name, b := range c.parts(s) {
		parts[name] = b
	}
	forged := snapshot.Also(s.Manifest(), open.Manifest(), snapshot.Covered, p.ID())
	if _, err := c.restore(forged, parts); !errors.Is(err, snapshot.ErrManifest) {
		t.Errorf("a covered set of a closed poll: %v", err)
	}
}

// TestCoveredSetLeftOut: where ballots were cast there is one.
func TestCoveredSetLeftOut(t *testing.T) {
	c := rich(t)
	s := c.snapshot()
	forged := s.Manifest()
	for _, title := range []string{"aside", "amend"} {
		forged = snapshot.WithoutNamed(forged, snapshot.Covered, c.polls(t, title))
	}
	if _, err := c.restore(forged, c.parts(s)); !errors.Is(err, snapshot.ErrManifest) {
		t.Errorf("without: %v", err)
	}
}

// TestAnotherRecord: a good record is refused in the place of another.
func TestAnotherRecord(t *testing.T) {
	c := rich(t)
	s := c.snapshot()
	parts := c.parts(s)
	r := c.open(s)
	for names := r.Missing(); len(names) > 0; names = r.Missing() {
		for _, name := range names {
			if c.records[name] != nil {
				var refused *snapshot.Refused
				if err := r.Add(name, c.w.Genesis.Inner()); !errors.As(err, &refused) || refused.Name != name {
					t.Fatalf("took another record for %s: %v", name, err)
				}
			}
			if _, err := r.Finish(); !errors.Is(err, snapshot.ErrMissing) {
				t.Fatalf("finished without %s: %v", name, err)
			}
			if err := r.Add(name, parts[name]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestOpenChecksTheStateRoot: where nothing was covered between two
// checkpoints, only the sections tell them apart.
func TestOpenChecksTheStateRoot(t *testing.T) {
	c := rich(t)
	at := c.tip.State().AsOf()
	c.cover(at, nil)
	s := c.snapshot()
	c.cover(at, nil)
	forged := snapshot.Certified(s.Manifest(), c.certs[c.tip.Ref().Height])
	if _, err := snapshot.Open(c.w.Genesis, c.lineage(), forged); !errors.Is(err, snapshot.ErrManifest) {
		t.Errorf("sections of another checkpoint: %v", err)
	}
	shifted := snapshot.Shifted(c.snapshot().Manifest(), protocol.ID{31: 1})
	if _, err := snapshot.Open(c.w.Genesis, c.lineage(), shifted); !errors.Is(err, snapshot.ErrManifest) {
		t.Errorf("trees under other kinds: %v", err)
	}
}
