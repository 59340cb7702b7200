package node

import (
	"errors"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// A seeker is a newcomer's replica that takes a snapshot frame by frame.
type seeker struct {
	*replica
	t  *testing.T
	of *Community
	st *store.Store
}

// seek begins with nothing but the genesis and what an invite names.
func seek(t *testing.T, of *Community, known protocol.Ref) *seeker {
	st, err := store.Open(store.Config{InMemory: true, Key: make([]byte, 32), Logger: of.log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	inner, err := of.store.Get(of.id)
	if err != nil {
		t.Fatal(err)
	}
	err = st.Commit(store.Batch{
		Items: []store.Item{{ID: of.id, Inner: inner}}, Private: map[string][]byte{privKnown: knownCheckpoint(known)},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &seeker{t: t, of: of, st: st}
	s.restart()
	return s
}

// restart is what a node does after kill -9.
func (s *seeker) restart() {
	s.t.Helper()
	l, err := openLedger(s.of.id, s.of.key.Public(), s.st, s.of.log, func() {})
	if err != nil {
		s.t.Fatal(err)
	}
	s.replica = newReplica(l, s.of.replica.keys)
	s.from, s.fetch = 1, func() {}
}

func (s *seeker) began() bool { return s.ledger.Began() > 0 }

func (s *seeker) frames(seq iter.Seq2[[]byte, error]) (list [][]byte) {
	s.t.Helper()
	for f, err := range seq {
		if err != nil {
			s.t.Fatal(err)
		}
		list = append(list, f)
	}
	return list
}

func (s *seeker) deliver(f []byte) error {
	_, err := s.Deliver(s.t.Context(), "", p2p.Snapshots, [][]byte{f})
	return err
}

// next are the frames to ask for now: of the head, or of parts.
func (s *seeker) next() [][]byte {
	s.t.Helper()
	if names := s.Unrestored(); len(names) > 0 {
		return s.frames(s.of.replica.Parts(names))
	}
	known, wanted := s.Begin(s.of.Status().Checkpoint.Height, 0)
	if !wanted {
		s.t.Fatal("no snapshot is wanted")
	}
	return s.frames(s.of.replica.Head(known))
}

// restoreAll takes the rest.
func (s *seeker) restoreAll() {
	s.t.Helper()
	for !s.began() {
		for _, f := range s.next() {
			if err := s.deliver(f); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	want := s.of.book().currentTip()
	if got := s.ledger.currentTip(); got.Ref() != want.Ref() || got.State().Root() != want.State().Root() {
		s.t.Fatalf("restored %+v, not %+v", got.Ref(), want.Ref())
	}
}

func withPast(t *testing.T, test func(t *testing.T, v *village, known protocol.Ref)) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 2)
		at := v.all[0].Status().Checkpoint
		for i := range 2 {
			v.decides("Question "+string(rune('A'+i)), v.all...)
		}
		test(t, v, protocol.Ref{Height: at.Height, ID: at.ID})
		for _, m := range v.nodes {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A newcomer that is killed after any frame goes on with what it stored.
func TestSnapshotSurvivesKills(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		whole := seek(t, v.all[0], known)
		count := 0
		for !whole.began() {
			for _, f := range whole.next() {
				if err := whole.deliver(f); err != nil {
					t.Fatal(err)
				}
				count++
			}
		}
		for kill := range count {
			s := seek(t, v.all[0], known)
			for n := 0; n <= kill; {
				for _, f := range s.next() {
					if n++; n > kill {
						break
					}
					if err := s.deliver(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.restart()
			s.restoreAll()
			s.restart()
			if !s.began() || s.ledger.currentTip().Ref() != v.all[0].book().currentTip().Ref() {
				t.Fatalf("killed after %d frames: begins at %+v", kill, s.ledger.currentTip().Ref())
			}
			if n := len(s.st.PrivateKeys(privSnapshot)); n != len(whole.st.PrivateKeys(privSnapshot)) {
				t.Errorf("killed after %d frames: %d pieces are kept", kill, n)
			}
		}
	})
}

// What a lying peer sends is refused as its fault, and the next peer's is taken.
func TestSnapshotOfALiar(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		s := seek(t, v.all[0], known)
		lie := func(f []byte, at int) []byte {
			content, err := s.unseal(protocol.ContentSnapshot, f)
			if err != nil {
				t.Fatal(err)
			}
			content = slices.Clone(content)
			content[len(content)-1-at%(len(content)-60)] ^= 1
			return s.sealing().Seal(protocol.ContentSnapshot, content)
		}
		refused := func(what string, f []byte) {
			t.Helper()
			if err := s.deliver(f); !errors.Is(err, p2p.ErrPeer) {
				t.Errorf("%s: %v", what, err)
			}
			if s.began() {
				t.Fatalf("%s: it began", what)
			}
		}
		head := s.frames(v.all[0].replica.Head(known))
		for at := 0; at < 4000; at += 97 {
			err := s.deliver(lie(head[0], at))
			// Only once the polls are there is it known which ballots belong: then
			// no part fits, or nobody has it.
			for err == nil && !s.began() {
				fresh := false
				for _, f := range s.frames(v.all[0].replica.Parts(s.Unrestored())) {
					fresh = true
					if err = s.deliver(f); err != nil {
						break
					}
				}
				if !fresh {
					break
				}
			}
			if err != nil && !errors.Is(err, p2p.ErrPeer) || s.began() {
				t.Fatalf("a head with byte %d changed: %v", at, err)
			}
		}
		other := seek(t, v.all[0], protocol.Ref{Height: known.Height, ID: protocol.ID{1}})
		if frames := other.next(); len(frames) != 0 {
			t.Error("a head for who knows another checkpoint")
		}
		if err := other.deliver(head[0]); !errors.Is(err, p2p.ErrPeer) {
			t.Errorf("a snapshot that does not lead on from what is known: %v", err)
		}
		if err := s.deliver(head[0]); err != nil {
			t.Fatal(err)
		}
		for !s.began() {
			for _, f := range s.frames(v.all[0].replica.Parts(s.Unrestored())) {
				refused("a part that was changed", lie(f, 11))
				if err := s.deliver(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.restart()
		if !s.began() {
			t.Error("it is gone after a restart")
		}
	})
}

// Who can lead nobody on from what they know says nothing.
func TestSnapshotForWhomItLeadsNowhere(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		l := v.all[0].book()
		if b, err := l.head(known); err != nil || b == nil {
			t.Fatalf("no head: %v", err)
		}
		if b, err := l.head(protocol.Ref{Height: 1 << 30, ID: known.ID}); err != nil || b != nil {
			t.Errorf("a head for who knows a later height: %v", err)
		}
		if b, err := l.head(protocol.Ref{}); err != nil || b != nil {
			t.Errorf("a head for who knows nothing: %v", err)
		}
	})
}

// A node that gave up the ballots of closed votes has the same root, says the
// same of every vote, and goes on like the others, also after a restart.
func TestPrunedAndFullAreEqual(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		full, pruned := v.all[0], v.all[1]
		open, err := full.Propose(t.Context(), ProposeRequest{Title: "Open", ClosesIn: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ref := open.Proposal.String()
		v.eventually(time.Minute, "the vote opens", func() bool { got, err := pruned.Proposal(ref); return err == nil && got.MayVote })
		if _, err := pruned.Vote(t.Context(), ref, "yes"); err != nil {
			t.Fatal(err)
		}
		v.eventually(time.Minute, "all are equal", v.equal)

		if out, err := pruned.Prune(t.Context(), 0); err != nil || out.Records != 0 || pruned.Status().History.Began != 0 {
			t.Fatalf("it gave up what the charter has it keep: %+v, %v", out, err)
		}
		if _, err := pruned.Prune(t.Context(), 30*24*time.Hour); err == nil {
			t.Error("it would give up what the charter has it keep")
		}
		var ballots []protocol.ID
		for p := range pruned.book().currentTip().State().Decisions().Polls() {
			for _, b := range p.Ballots.All() {
				if p.Phase.Closed() {
					ballots = append(ballots, b.Ballot)
				}
			}
		}
		out, err := pruned.book().prune(0)
		if err != nil || out.Polls != 2 || out.Records != 4 || out.Bytes == 0 || len(ballots) != 4 {
			t.Fatalf("%+v, %v; %d ballots", out, err, len(ballots))
		}
		for _, id := range ballots {
			if held, err := pruned.store.Has(id); held || err != nil {
				t.Errorf("a ballot is still there: %v, %v", held, err)
			}
		}
		if h := pruned.Status().History; h.Began == 0 || h.From != h.Began+1 {
			t.Errorf("%+v", h)
		}
		if digest(t, pruned) != digest(t, full) {
			t.Error("what is compared differs")
		}
		if _, err := full.Vote(t.Context(), ref, "no"); err != nil {
			t.Fatal(err)
		}
		v.eventually(time.Minute, "they go on", func() bool {
			got, err := pruned.Tally(ref)
			return err == nil && got.Counted == 2 && v.equal()
		})
		reopened(t, pruned, out.Began)
		var decided []string
		for p := range full.Snapshot().Final.Decisions().Polls() {
			if p.Phase.Closed() {
				decided = append(decided, p.Proposal.String())
			}
		}
		sameAnswers(t, v, decided)
		time.Sleep(time.Hour) // it fetches nothing of what it gave up
		if held, err := pruned.store.Has(ballots[0]); held || err != nil {
			t.Error("it fetched what it gave up")
		}
		again := seek(t, pruned, known) // and it serves newcomers
		again.restoreAll()

		// Who would recompute a short history, and is given none, takes a snapshot.
		if certs, _, err := pruned.replica.Span(1, false); err != nil || len(certs) > 0 {
			t.Errorf("it gives history that can't be recomputed: %d frames, %v", len(certs), err)
		}
		stuck := seek(t, pruned, known)
		stuck.from = snapshotFrom
		height := pruned.Status().Checkpoint.Height
		for range patientTries {
			if _, wanted := stuck.Begin(height, 0); wanted {
				t.Error("it gave up on history at once")
			}
		}
		stuck.restoreAll()
	})
}

// A node that was off for months is known by those that it meets, and knows them:
// else neither would take the other's connection.
func TestKnownAfterMonths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 2)
		for _, n := range v.nodes {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(150 * 24 * time.Hour)
		for i, c := range v.all {
			other := v.all[1-i].replica
			b, err := identity.ParseBinding(other.Binding())
			if err != nil || !c.replica.Known(string(b.PeerID)) {
				t.Errorf("a stranger by now: %v", err)
			}
		}
	})
}

// Who joins where everybody pruned takes a snapshot, however short the history.
func TestJoinWhereAllPruned(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, _ protocol.Ref) {
		inv, err := v.all[0].CreateInvite(t.Context(), InviteRequest{})
		if err != nil {
			t.Fatal(err)
		}
		v.eventually(time.Minute, "the invite is final", v.equal)
		for _, c := range v.all {
			if out, err := c.book().prune(0); err != nil || out.Records == 0 {
				t.Fatal(out, err)
			}
		}
		c := v.later(Config{}, inv.Link)
		v.eventually(2*time.Minute, "the newcomer is level", func() bool {
			return isMember(c)() && c.Status().Checkpoint == v.all[0].Status().Checkpoint
		})
		if h := c.Status().History; h.Began == 0 {
			t.Errorf("%+v: it recomputed what was given up", h)
		}
	})
}

// Killed before it gave anything up, it begins with its snapshot all the same.
func TestPruneSurvivesAKill(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, _ protocol.Ref) {
		if err := v.all[1].book().beginHere(); err != nil {
			t.Fatal(err)
		}
		began := v.all[1].book().Began()
		if began == 0 {
			t.Fatal("it did not begin here")
		}
		reopened(t, v.all[1], began)
		v.decides("After", v.all...)
		v.eventually(time.Minute, "all are equal", v.equal)
		reopened(t, v.all[1], began)
	})
}
