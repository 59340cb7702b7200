package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/store"
)

// give delivers frames of one peer.
func (s *seeker) give(peer string, kind p2p.Kind, frames ...[]byte) error {
	_, err := s.Deliver(s.t.Context(), peer, kind, frames)
	return err
}

// Another head behind the last part, in one batch, is not put in the place of
// that which the node began with.
func TestHeadAfterTheLastPart(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		s := seek(t, v.all[0], known)
		if err := s.give("a", p2p.Snapshots, s.next()...); err != nil {
			t.Fatal(err)
		}
		v.decides("Later", v.all...)
		other := s.frames(v.all[1].replica.Head(known))
		if len(other) == 0 {
			t.Fatal("no other head")
		}
		for !s.began() {
			if err := s.give("a", p2p.Snapshots, append(s.next(), other...)...); err != nil {
				t.Fatal(err)
			}
		}
		ref := s.ledger.currentTip().Ref()
		s.restart()
		if s.ledger.currentTip().Ref() != ref {
			t.Errorf("it begins at %+v, not %+v", s.ledger.currentTip().Ref(), ref)
		}
	})
}

// Who gives good parts of a snapshot whose head another made up is not at fault,
// and the node does without that snapshot.
func TestHeadOfALiar(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		p, err := v.all[0].Propose(t.Context(), ProposeRequest{Title: "Open", ClosesIn: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		v.votes(p.Proposal.String(), v.all...) // so that the head names more than the state's root does
		v.eventually(time.Minute, "the ballots are final", v.equal)
		head := seek(t, v.all[0], known).next()[0]
		found := 0
		for at := 1; at < 1500; at += 31 {
			s := seek(t, v.all[0], known)
			content, err := s.unseal(protocol.ContentSnapshot, head)
			if err != nil {
				t.Fatal(err)
			}
			lie := append([]byte{}, content...)
			lie[len(lie)-at%(len(lie)-60)] ^= 1
			if s.give("liar", p2p.Snapshots, s.sealing().Seal(protocol.ContentSnapshot, lie)) != nil {
				continue
			}
			for names := s.Unrestored(); len(names) > 0 && !s.began(); names = s.Unrestored() {
				frames := s.frames(v.all[0].replica.Parts(names))
				if len(frames) == 0 {
					break
				}
				if err := s.give("honest", p2p.Snapshots, frames...); err != nil {
					t.Fatalf("byte %d: %v", at, err)
				}
			}
			if s.ledger.restoring.rest == nil && !s.began() {
				found++
			}
		}
		if found == 0 {
			t.Error("no head was found out by its parts")
		}
	})
}

// Pieces of one peer don't get in the way of another's.
func TestPiecesOfTwoPeers(t *testing.T) {
	var s restoring
	name := protocol.ID{1}
	for i, x := range []struct {
		peer  string
		p     piece
		whole bool
		fails bool
	}{
		{"a", piece{name, 0, 3, []byte("x")}, false, false},
		{"b", piece{name, 0, 2, []byte("z")}, false, false},
		{"a", piece{name, 1, 3, []byte("yy")}, true, false},
		{"b", piece{protocol.ID{2}, 1, 2, []byte("z")}, false, true},
		{"b", piece{name, 1, 2, []byte("z")}, false, true},
		{"a", piece{name, 0, 1, []byte("y")}, true, false},
	} {
		whole, err := s.assemble(x.peer, x.p)
		if (whole != nil) != x.whole || (err != nil) != x.fails || err != nil && !errors.Is(err, p2p.ErrPeer) {
			t.Errorf("%d: %q, %v", i, whole, err)
		}
	}
	for _, peer := range []string{"a", "b", "c", "d", "e"} {
		if _, err := s.assemble(peer, piece{name, 0, 2, []byte("z")}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.coming) != maxComing {
		t.Errorf("%d parts on their way", len(s.coming))
	}
}

// A node that pruned, and one that began with a snapshot and has the past, name
// the changes of clerks from before.
func TestTurnsBeforeTheBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 3)
		at := v.all[0].Status().Checkpoint
		known := protocol.Ref{Height: at.Height, ID: at.ID}
		if _, err := v.all[0].Appoint(t.Context(), "clerk", []protocol.ID{v.all[1].Persona(), v.all[2].Persona()}); err != nil {
			t.Fatal(err)
		}
		v.eventually(time.Minute, "three clerks", func() bool { return v.all[0].Status().Clerks.Count == 3 })
		v.decides("Question", v.all...)
		v.eventually(time.Minute, "all are equal", v.equal)
		l := v.all[1].book()
		if out, err := l.prune(0); err != nil || out.Records == 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		again := seek(t, v.all[1], known)
		again.restoreAll()
		again.of = v.all[0] // who has all
		past := again.fillAll()
		next := seek(t, v.all[0], known)
		if head, err := past.head(known); err != nil || head == nil {
			t.Errorf("no head by who has the past: %v", err)
		} else if _, err := next.ledger.verifyHead(known, head); err != nil {
			t.Errorf("a head by who has the past: %v", err)
		}
		// Taking in all anew passes over what was pruned.
		before := digest(t, v.all[1])
		l.mu.Lock()
		err := l.rejudge()
		l.mu.Unlock()
		if err != nil || digest(t, v.all[1]) != before {
			t.Errorf("looking at all that is held again: %v", err)
		}
		for _, m := range v.nodes {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// fillAll takes what it lacks of the past, as far as it can be had.
func (s *seeker) fillAll() *ledger {
	s.t.Helper()
	for round := 0; s.Unfilled() > 0 && round < 9; round++ {
		certs, covered, err := s.of.replica.Span(s.Unfilled(), true)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.give("honest", p2p.Certificates, certs...); err != nil {
			s.t.Fatal(err)
		}
		if err := s.give("honest", p2p.Records, s.frames(s.of.replica.Records(covered))...); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.ledger
}

// forged are certificates without the signatures.
func (s *seeker) forged(frames [][]byte) (out [][]byte) {
	for _, f := range frames {
		content, err := s.unseal(protocol.ContentCheckpoint, f)
		if err != nil {
			s.t.Fatal(err)
		}
		rd := dagcbor.NewReader(content)
		_, kind, b := rd.Array(2), rd.Uint(), rd.Bytes(len(content))
		if kind == partCertificate {
			cert, err := certificate.ParseCertificate(b)
			if err != nil {
				s.t.Fatal(err)
			}
			for i := range cert.Signatures {
				cert.Signatures[i].Sig[0] ^= 1
			}
			f = s.seal(p2p.Certificates, part(partCertificate, cert.Encode()))[0]
		}
		out = append(out, f)
	}
	return out
}

// A peer that gives certificates with forged signatures or no records, and one
// that fills the room for lists and for what is sought, only delay: others bring
// the past.
func TestPastOfALiar(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		for what, x := range map[string]struct {
			lie   func(s *seeker, certs [][]byte) [][]byte
			flood bool // of what is sought
			name  bool // records come by name, before their lists come again
		}{
			"forged":     {lie: (*seeker).forged, flood: true},
			"no records": {flood: true},
			"by name":    {name: true},
		} {
			s := seek(t, v.all[0], known)
			s.restoreAll()
			certs, _, err := v.all[0].replica.Span(s.Unfilled(), true)
			if err != nil {
				t.Fatal(err)
			}
			if x.lie != nil {
				certs = x.lie(s, certs)
			}
			if err := s.give("liar", p2p.Certificates, certs...); err != nil {
				t.Fatal(err)
			}
			s.floodLists()
			if x.flood {
				s.floodWant()
			}
			if x.name {
				if err := s.give("honest", p2p.Records, s.frames(v.all[0].replica.Records(s.Lacking()))...); err != nil {
					t.Fatal(err)
				}
			}
			if l := s.fillAll(); l.lowest() != 1 {
				t.Fatalf("%s: the past is held from height %d on", what, l.lowest())
			}
			s.restart()
			if s.began() || s.ledger.currentTip().Ref() != v.all[0].book().currentTip().Ref() {
				t.Errorf("%s: recomputed up to %+v", what, s.ledger.currentTip().Ref())
			}
		}
	})
}

// floodLists fills the room for lists that values name.
func (s *seeker) floodLists() {
	s.t.Helper()
	for range maxChunks/(32*certificate.MaxNewlyCovered) + 1 {
		lists, err := certificate.SplitChunks(randomIDs(certificate.MaxNewlyCovered))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, b := range lists {
			if err := s.ledger.addChunk(b); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// floodWant fills the room for records that are sought.
func (s *seeker) floodWant() {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	clear(s.ledger.past.want)
	for _, id := range randomIDs(maxAsked) {
		s.ledger.seek(id, nil)
	}
}

func randomIDs(n int) []protocol.ID {
	ids := make([]protocol.ID, n)
	for i := range ids {
		_, _ = rand.Read(ids[i][:])
	}
	slices.SortFunc(ids, protocol.ID.Compare)
	return ids
}

// A past that can't be recomputed does not keep a node from going on from the
// snapshot that it began with.
func TestPastThatIsDamaged(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		s := seek(t, v.all[0], known)
		s.restoreAll()
		began := s.ledger.Began()
		for h := began; h > 0; h-- {
			c, err := v.all[0].store.Checkpoint(h)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.st.Commit(store.Batch{Checkpoint: &store.Checkpoint{Height: h, Cert: c.Cert}}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			s.restart()
			if s.ledger.Began() != began || s.ledger.currentTip().Ref() != v.all[0].book().currentTip().Ref() {
				t.Fatalf("began %d, at %+v", s.ledger.Began(), s.ledger.currentTip().Ref())
			}
		}
	})
}

// A newcomer whose snapshot was damaged takes another, and signs nothing as a
// clerk until the heights that it may have signed at are over.
func TestSnapshotThatIsDamaged(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		whole := seek(t, v.all[0], known)
		whole.restoreAll()
		for i := range whole.st.PrivateKeys(privSnapshot) {
			s := seek(t, v.all[0], known)
			s.restoreAll()
			if err := s.st.DeletePrivate(s.st.PrivateKeys(privSnapshot)[i]); err != nil {
				t.Fatal(err)
			}
			s.restart()
			if _, err := s.st.Private(privRebuilt); s.began() || err != nil {
				t.Fatalf("part %d is lost: %v", i, err)
			}
			s.restoreAll()
			s.restart()
			if !s.began() {
				t.Errorf("part %d was lost: another is not kept", i)
			}
		}
	})
}

// What a node does not hold of the past it says so of, also of the checkpoint
// that it began with.
func TestNoHistory(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		lacks := func(what string, err error) {
			t.Helper()
			if e := new(Error); !errors.As(err, &e) || e.Code != noHistory {
				t.Errorf("%s: %v", what, err)
			}
		}
		before := v.all[0].Status().Checkpoint.Height
		if _, err := v.all[0].CreateInvite(t.Context(), InviteRequest{Uses: 1}); err != nil {
			t.Fatal(err)
		}
		v.eventually(time.Minute, "an invite is final", func() bool { return v.all[0].Status().Checkpoint.Height > before && v.equal() })
		s := seek(t, v.all[0], known)
		s.restoreAll()
		_, _, err := s.ledger.coverAt(s.ledger.Began())
		lacks("what the snapshot's checkpoint covers", err)
		pruned := v.all[1]
		if out, err := pruned.book().prune(0); err != nil || out.Records == 0 {
			t.Fatalf("%+v, %v", out, err)
		}
		_, err = pruned.Export(t.Context(), new(bytes.Buffer), BundleRequest{})
		lacks("a bundle of all", err)
		_, err = pruned.book().stateAt(pruned.book().Began() - 1)
		lacks("the state before", err)
	})
}

// Who was invited after the last snapshot was taken gets a newer one.
func TestHeadForALaterInvite(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		if len(seek(t, v.all[0], known).next()) == 0 {
			t.Fatal("no head")
		}
		v.decides("Later", v.all...)
		later := v.all[0].Snapshot().Ref
		s := seek(t, v.all[0], later)
		s.restoreAll()
		if got := s.ledger.currentTip().Ref(); got.Height < later.Height {
			t.Errorf("began with checkpoint %d, knowing %d", got.Height, later.Height)
		}
		for p := range s.ledger.currentTip().State().Decisions().Polls() {
			if p.Phase.Closed() && (p.HasBallots() || p.Ballots.Len() > 0 || p.Result.Counted == 0) {
				t.Error("a snapshot has the ballots of a closed poll")
			}
		}
	})
}
