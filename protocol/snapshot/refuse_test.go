package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// restore opens a manifest and gives it whatever it asks of parts.
func (c *chain) restore(manifest []byte, parts map[protocol.ID][]byte) (checkpoint.Tip, error) {
	r, err := snapshot.Open(c.w.Genesis, c.lineage(), manifest)
	if err != nil {
		return checkpoint.Tip{}, err
	}
	for {
		names := r.Missing()
		if len(names) == 0 {
			return r.Finish()
		}
		for _, name := range names {
			if parts[name] == nil {
				return checkpoint.Tip{}, fmt.Errorf("nobody has %s", name)
			}
			if err := r.Add(name, parts[name]); err != nil {
				return checkpoint.Tip{}, err
			}
		}
	}
}

// TestRichHasEverything keeps the other tests honest.
func TestRichHasEverything(t *testing.T) {
	c := rich(t)
	s := c.snapshot()
	tip, err := c.restore(s.Manifest(), c.parts(s))
	if err != nil || tip.State().Root() != c.tip.State().Root() {
		t.Fatal(err)
	}
	voting, touched := 0, 0
	v, err := certificate.ParseCertificate(c.certs[c.tip.Ref().Height])
	if err != nil {
		t.Fatal(err)
	}
	value, err := certificate.ParseValue(v.Value)
	if err != nil {
		t.Fatal(err)
	}
	for p := range tip.State().Decisions().Polls() {
		if p.Phase == decision.Voting && p.Ballots.Len() > 0 {
			voting++
			if slices.ContainsFunc(value.Subjects, func(s certificate.Subject) bool { return s.Subject == p.Proposal }) {
				touched++
			}
		}
	}
	motions := 0
	for range tip.State().Roll().Motions() {
		motions++
	}
	if voting != 3 || touched != 1 || motions != 2 || len(tip.Clerks()) != 3 {
		t.Errorf("%d open polls, %d touched, %d motions", voting, touched, motions)
	}
	if _, err := s.Get(protocol.ID{1}); !errors.Is(err, snapshot.ErrNone) {
		t.Errorf("a name of nothing: %v", err)
	}
}

func flips(b []byte) func(func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		for i := range b {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << (i % 8)
			if !yield(i, bad) {
				return
			}
		}
	}
}

// TestEveryFlippedByteIsRefused: of the manifest when it is opened or at last
// when the polls are there, of a chunk or record when it comes.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	c := rich(t)
	s := c.snapshot()
	parts := c.parts(s)
	for i, bad := range flips(s.Manifest()) {
		if _, err := c.restore(bad, parts); err == nil {
			t.Fatalf("manifest, byte %d: taken", i)
		}
	}
	r := c.open(s)
	for names := r.Missing(); len(names) > 0; names = r.Missing() {
		for _, name := range names {
			for i, bad := range flips(parts[name]) {
				var refused *snapshot.Refused
				if err := r.Add(name, bad); !errors.As(err, &refused) || refused.Name != name || refused.Err == nil {
					t.Fatalf("%s, byte %d: %v", name, i, err)
				}
			}
			if err := r.Add(name, parts[name]); err != nil {
				t.Fatal(err)
			}
			if err := r.Add(name, nil); err != nil {
				t.Fatalf("what is there is not passed over: %v", err)
			}
		}
	}
	if tip, err := r.Finish(); err != nil || tip.Ref() != c.tip.Ref() {
		t.Fatal(err)
	}
}

func TestRestorerIsResumable(t *testing.T) {
	c := rich(t)
	s := c.snapshot()
	parts := c.parts(s)
	r := c.open(s)
	if _, err := r.Finish(); !errors.Is(err, snapshot.ErrMissing) {
		t.Fatalf("finished without anything: %v", err)
	}
	if err := r.Add(protocol.ID{1}, []byte{0x80}); !errors.Is(err, snapshot.ErrUnwanted) {
		t.Fatalf("took what is no part: %v", err)
	}
	first := r.Missing()
	for _, name := range first[:len(first)/2] {
		if err := r.Add(name, parts[name]); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range r.Missing() {
		if slices.Contains(first[:len(first)/2], name) {
			t.Fatal("what came is missing")
		}
	}
	again := c.open(s) // after a crash, with the chunks that were stored
	for _, name := range sortedNames(parts) {
		if err := again.Add(name, parts[name]); err != nil && !errors.Is(err, snapshot.ErrUnwanted) {
			t.Fatal(err)
		}
	}
	c.fill(s, again, inOrder)
}

// TestForgedManifests: each has all its digests right and lacks or adds
// something that the state must have or can't have.
func TestForgedManifests(t *testing.T) {
	c := rich(t)
	s := c.snapshot()
	m, parts := s.Manifest(), c.parts(s)
	name := protocol.Sum([]byte("no poll"))
	for what, forged := range map[string][]byte{
		"without a fixed tree":      snapshot.Without(m, snapshot.Members),
		"without the control plane": snapshot.Without(m, snapshot.Control),
		"without ballots":           snapshot.Without(m, snapshot.Ballots),
		"without a covered set":     snapshot.Without(m, snapshot.Covered),
		"ballots of another poll":   snapshot.Renamed(m, snapshot.Ballots, name),
		"a covered set of another":  snapshot.Renamed(m, snapshot.Covered, name),
		"ballots of no poll":        snapshot.Also(m, m, snapshot.Ballots, name),
		"another certificate":       snapshot.Certified(m, c.certs[2]),
		"nothing":                   nil,
		"too long":                  make([]byte, snapshot.MaxManifest+1),
		"something after":           append(bytes.Clone(m), 0),
	} {
		if _, err := c.restore(forged, parts); !errors.Is(err, snapshot.ErrManifest) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func (c *chain) polls(t *testing.T, title string) protocol.ID {
	for p := range c.tip.State().Decisions().Polls() {
		if p.Body.Title == title {
			return p.Proposal
		}
	}
	t.Fatalf("no poll %s", title)
	return protocol.ID{}
}

// TestManyHeads: with more heads than a value lists, a snapshot is taken all the
// same, as nothing later depends on the others.
func TestManyHeads(t *testing.T) {
	c := newChain(t, quick(t), "alice", "bob")
	at := int64(statetest.Start)
	door := c.w.Invite("alice", "door", 100, at+1e6, statetest.How{})
	c.cover(at, []*protocol.Record{door})
	var batch []*protocol.Record
	for i := range 100 {
		batch = append(batch, c.w.Admit("alice", fmt.Sprint("n", i), "door", door.ID(), statetest.How{}))
	}
	c.cover(at, batch)
	batch = nil
	for i := range 61 {
		batch = append(batch, c.w.Propose(fmt.Sprint("n", i), "x", "ordinary", 3600, statetest.How{}))
	}
	c.cover(at, batch)
	if n := len(c.tip.Frontier()); n >= certificate.MaxFrontier {
		t.Fatalf("%d heads too early", n)
	}
	s := c.snapshot()
	c.fill(s, c.open(s), inOrder)
	batch = nil
	for i := range 39 { // each follows some fifteen of the heads
		batch = append(batch, c.w.Propose(fmt.Sprint("n", 61+i), "y", "ordinary", 3600, statetest.How{}))
	}
	c.heads(t, batch)
	full := c.snapshot()
	c.fill(full, c.open(full), inOrder)
}

// heads covers records until there are as many heads as a value lists.
func (c *chain) heads(t *testing.T, batch []*protocol.Record) {
	c.cover(c.tip.State().AsOf(), batch)
	if n := len(c.tip.Frontier()); n < certificate.MaxFrontier {
		t.Fatalf("%d heads", n)
	}
}

func TestOpenRefusesOthers(t *testing.T) {
	c := rich(t)
	s := c.snapshot()
	other := newChain(t, statetest.Charter(t), "alice", "bob", "carol")
	if _, err := snapshot.Open(other.w.Genesis, c.lineage(), s.Manifest()); !errors.Is(err, snapshot.ErrChain) {
		t.Errorf("another genesis: %v", err)
	}
	if _, err := snapshot.Open(other.w.Genesis, other.lineage(), s.Manifest()); err == nil {
		t.Error("another metastate's snapshot was opened")
	}
}
