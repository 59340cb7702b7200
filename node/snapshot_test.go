package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// later adds a node to a village, by a link.
func (v *village) later(cfg Config, link string) *Community {
	v.t.Helper()
	i := len(v.nodes)
	var ports atomic.Int64
	cfg.Ephemeral, cfg.underlay = true, func(needs ...libp2p.Option) (host.Host, error) {
		return v.net.Underlay(i, 8000+int(ports.Add(1)))(needs...)
	}
	n := mustOpen(v.t, cfg)
	m, err := n.Join(v.t.Context(), JoinRequest{Link: link, As: fmt.Sprint("Member ", i)})
	if err != nil {
		v.t.Fatal(err)
	}
	c := n.lookup(m.Metastate)
	v.nodes, v.all = append(v.nodes, n), append(v.all, c)
	v.eventually(2*time.Minute, fmt.Sprint("member ", i, " is in"), isMember(c))
	return c
}

// decides runs a poll from its proposal to its count.
func (v *village) decides(title string, voters ...*Community) string {
	v.t.Helper()
	p, err := v.all[0].Propose(v.t.Context(), ProposeRequest{Title: title, ClosesIn: 20 * time.Second})
	if err != nil {
		v.t.Fatal(err)
	}
	ref := p.Proposal.String()
	v.votes(ref, voters...)
	v.eventually(2*time.Minute, "it is counted", func() bool { got, err := v.all[0].Tally(ref); return err == nil && got.Final })
	return ref
}

// votes has voters say yes in an open vote.
func (v *village) votes(ref string, voters ...*Community) {
	v.t.Helper()
	for _, c := range voters {
		v.eventually(time.Minute, "it may vote", func() bool { got, err := c.Proposal(ref); return err == nil && got.MayVote })
		ctx, cancel := context.WithTimeout(v.t.Context(), 10*time.Second)
		if _, err := c.Vote(ctx, ref, "yes"); err != nil {
			v.t.Fatal(err)
		}
		cancel()
	}
}

// A newcomer to a long history begins with a snapshot: it is a member with the
// same state root, votes, and is counted, before it holds anything of the past.
// The past then comes by itself, or never, as it was told.
func TestBeginWithASnapshot(t *testing.T) {
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 3)
		early, err := v.all[0].CreateInvite(t.Context(), InviteRequest{Uses: 9})
		if err != nil {
			t.Fatal(err)
		}
		var decided []string
		for i := range 4 {
			decided = append(decided, v.decides(fmt.Sprint("Question ", i), v.all...))
		}
		// The clerks change after the checkpoint that the invite names.
		if _, err := v.all[0].Appoint(t.Context(), "clerk", []protocol.ID{v.all[1].Persona(), v.all[2].Persona()}); err != nil {
			t.Fatal(err)
		}
		v.eventually(time.Minute, "three clerks", func() bool { return v.all[0].Status().Clerks.Count == 3 })
		decided = append(decided, v.decides("Another", v.all...))
		began := v.all[0].Status().Checkpoint.Height

		never := v.later(Config{shortest: 2, History: HistoryNever}, early.Link)
		later := v.later(Config{shortest: 2}, early.Link)
		all := v.later(Config{History: HistoryFirst}, early.Link)
		v.eventually(time.Minute, "all are equal", v.equal)
		for what, c := range map[string]*Community{"never": never, "later": later} {
			if h := c.Status().History; h.Began < began {
				t.Fatalf("%s: %+v, not from height %d", what, h, began)
			}
		}
		if h := all.Status().History; h.Began != 0 || h.From != 1 {
			t.Fatalf("history first: %+v", h)
		}
		decided = append(decided, v.decides("Together", v.all...))
		v.eventually(time.Minute, "all are equal again", v.equal)

		v.eventually(time.Hour, "the past has come", func() bool { return later.Status().History.From == 1 })
		if h := never.Status().History; h.From <= h.Began {
			t.Errorf("it fetched what it was told not to: %+v", h)
		}
		sameAnswers(t, v, decided)
		sameBundles(t, v.all[0], later, all)
		var n *Error
		if _, err := never.Export(t.Context(), new(bytes.Buffer), BundleRequest{}); !errors.As(err, &n) || n.Code != "no-history" {
			t.Errorf("exporting a past that is not there: %v", err)
		}
		if got := digest(t, never); got != digest(t, v.all[0]) {
			t.Error("what is compared differs without a past")
		}
		reopened(t, never, never.book().Began())
		reopened(t, later, 0) // all of it recomputed
		reopened(t, later, 0)
		for _, m := range v.nodes {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// sameAnswers requires that all say the same of every poll.
func sameAnswers(t *testing.T, v *village, decided []string) {
	t.Helper()
	for i, ref := range decided {
		want, err := v.all[0].Tally(ref)
		if err != nil || want.Outcome != "passed" {
			t.Fatalf("%+v, %v", want, err)
		}
		for j, c := range v.all {
			got, err := c.Tally(ref)
			if err != nil || got.Counted != want.Counted || got.Votes["yes"] != want.Votes["yes"] || got.Phase != want.Phase {
				t.Errorf("member %d on poll %d: %+v, %v; want %+v", j, i, got, err, want)
			}
			if _, err := c.Why(ref); err != nil {
				t.Errorf("member %d: why: %v", j, err)
			}
		}
	}
}

// sameBundles requires that the exports of communities have the same records
// and certificates.
func sameBundles(t *testing.T, all ...*Community) {
	t.Helper()
	want, err := all[0].Export(t.Context(), new(bytes.Buffer), BundleRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all[1:] {
		got, err := c.Export(t.Context(), new(bytes.Buffer), BundleRequest{})
		if err != nil || got != want {
			t.Errorf("an export of %d, %v; want %d", got, err, want)
		}
		tip, err := c.book().replayFromGenesis(c.Status().Checkpoint.Height)
		if err != nil || tip.State().Root() != c.book().currentTip().State().Root() {
			t.Errorf("recomputing all: %v", err)
		}
	}
}

// replayFromGenesis recomputes a height with nothing but records.
func (l *ledger) replayFromGenesis(height uint64) (tip checkpoint.Tip, err error) {
	b := l.begun.Swap(nil)
	defer l.begun.Store(b)
	return l.replayTo(height)
}

func digest(t *testing.T, c *Community) [32]byte {
	t.Helper()
	local, err := c.replica.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return local.Index.Root()
}

// reopened requires that the store has all of it: what a restart finds.
func reopened(t *testing.T, c *Community, began uint64) {
	t.Helper()
	l, err := openLedger(c.id, c.key.Public(), c.store, c.log, func() {})
	if err != nil {
		t.Fatal(err)
	}
	want := c.book()
	if l.tip.Ref() != want.currentTip().Ref() || l.Began() != began || l.lowest() != want.historyStatus().From {
		t.Errorf("reopened at %+v, began %d; want %+v, %d", l.tip.Ref(), l.Began(), want.currentTip().Ref(), began)
	}
	if l.tip.State().Root() != want.currentTip().State().Root() || len(l.open) != len(want.open) {
		t.Error("reopened with another state")
	}
}

// No snapshot is served to who knows only a checkpoint from before a recall, also
// if that left the clerks as they were: its chain would not hold, and who served
// it would be taken for a liar.
func TestNoSnapshotThroughARecall(t *testing.T) {
	s := newShelf(t)
	before := s.currentTip()
	body := roll.RecallBody{
		Office: roll.Clerk, Reason: "this branch", In: []roll.Clerkship{{Persona: s.b.inception.ID(), Key: s.device.Public()}},
	}
	act, err := protocol.Sign(protocol.Header{
		Metastate: s.metastate, Kind: protocol.Recall, Persona: s.b.inception.ID(), Key: s.device.Public(),
		Checkpoint: before.Ref(), Parents: []protocol.ID{s.b.grant.ID()}, Time: time.Now().Unix(),
	}, body, nil, s.device)
	if err != nil {
		t.Fatal(err)
	}
	s.realm.deliver(s.ledger, act)
	under, err := before.ProposeUnder(act.ID(), []*protocol.Record{act}, time.Now().Unix())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range under.Chunks {
		if err := s.addChunk(c); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: s.metastate, Height: before.Ref().Height + 1, Prev: before.Ref().ID, Era: act.ID(), Signer: s.device,
		Clerks: under.Signers(),
	}, under.Encoded)
	if err != nil {
		t.Fatal(err)
	}
	s.final(cert)
	if !slices.Equal(before.Clerks(), s.currentTip().Clerks()) {
		t.Fatal("the clerks changed")
	}
	if head, err := s.head(before.Ref()); head != nil || err != nil {
		_, refused := s.verifyHead(before.Ref(), head)
		t.Errorf("a snapshot is served through a recall: %v, %v", refused, err)
	}
	head, err := s.head(s.currentTip().Ref())
	if err == nil {
		_, err = s.verifyHead(s.currentTip().Ref(), head)
	}
	if err != nil {
		t.Error("known since the recall: ", err)
	}
}

// Pieces of a snapshot that no honest node sends.
func TestSnapshotPieces(t *testing.T) {
	name := protocol.Sum([]byte("part"))
	for what, b := range map[string][]byte{
		"nothing":      nil,
		"no bytes":     piece{name, 0, 1, nil}.encode(),
		"beyond":       piece{name, 1, 1, []byte{1}}.encode(),
		"over the cap": piece{name, 0, 9 << 20, []byte{1}}.encode(),
		"overflow":     piece{name, ^uint64(0), 9, []byte{1}}.encode(),
		"a large head": piece{protocol.ID{}, 0, maxHead + 1, []byte{1}}.encode(),
		"too large":    piece{name, 0, 1 << 20, make([]byte, maxPiece+1)}.encode(),
	} {
		if _, err := parsePiece(b); !errors.Is(err, p2p.ErrPeer) {
			t.Errorf("%s: %v", what, err)
		}
	}
	want := piece{name, 7, 9, []byte{1, 2}}
	if got, err := parsePiece(want.encode()); err != nil || got.name != name || got.at != 7 || got.size != 9 || !bytes.Equal(got.bytes, want.bytes) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzSnapshotPiece(f *testing.F) {
	f.Add(piece{protocol.ID{1}, 0, 3, []byte("abc")}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePiece(b); err == nil && !bytes.Equal(p.encode(), b) {
			t.Error("two encodings")
		}
	})
}
