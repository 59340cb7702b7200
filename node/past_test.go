package node

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
)

// A letterOfPast is a frame of history and its kind.
type letterOfPast struct {
	kind  p2p.Kind
	frame []byte
}

// span are the frames of the past to take next, in order.
func (s *seeker) span() (list []letterOfPast) {
	s.t.Helper()
	at := s.Unfilled()
	if at == 0 {
		return nil
	}
	certs, covered, err := s.of.replica.Span(at, true)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range certs {
		list = append(list, letterOfPast{p2p.Certificates, f})
	}
	for _, f := range s.frames(s.of.replica.Covered(covered)) {
		list = append(list, letterOfPast{p2p.Past, f})
	}
	return list
}

// take takes frames, and returns how many records were new.
func (s *seeker) take(list []letterOfPast) (records int) {
	s.t.Helper()
	for _, x := range list {
		fresh, err := s.Deliver(s.t.Context(), "a", x.kind, [][]byte{slices.Clone(x.frame)})
		if err != nil {
			s.t.Fatal(err)
		}
		if x.kind == p2p.Past {
			records += fresh
		}
	}
	return records
}

// A node that is killed after any frame of the past goes on with what it stored,
// and takes no record twice.
func TestPastSurvivesKills(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		whole := seek(t, v.all[0], known)
		whole.restoreAll()
		all := whole.span()
		total := whole.take(all)
		if whole.ledger.historyStatus().From != 1 || total < 8 {
			t.Fatalf("%d records, down to %d", total, whole.ledger.historyStatus().From)
		}
		want := whole.st.Len()
		for kill := range all {
			s := seek(t, v.all[0], known)
			s.restoreAll()
			before := s.take(all[:kill])
			from, held := s.ledger.historyStatus().From, s.st.Len()
			s.restart()
			if got := s.ledger.historyStatus().From; got != from || s.st.Len() != held {
				t.Fatalf("after %d frames: holds the past from %d, before the kill from %d", kill, got, from)
			}
			after := s.take(s.span())
			if before+after != total || s.st.Len() != want {
				t.Errorf("after %d frames: %d records before the kill and %d after it, of %d", kill, before, after, total)
			}
			if from := s.ledger.historyStatus().From; from != 1 {
				t.Errorf("after %d frames: the past ends at %d", kill, from)
			}
		}
	})
}

// A record that comes twice in a batch is not taken for two: the checkpoint that
// covers it and another is whole with both only.
func TestPastThatComesTwice(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		s := seek(t, v.all[0], known)
		s.restoreAll()
		var last [][]byte // what founded the metastate, but for its genesis
		for _, x := range s.span() {
			if x.kind == p2p.Past {
				r, err := protocol.Parse(x.frame)
				if err != nil {
					t.Fatal(err)
				}
				if k := r.Kind(); (k == protocol.Inception || k == protocol.Grant) && r.Header().Checkpoint.Height == 0 {
					last = append(last, x.frame)
					continue
				}
			}
			s.take([]letterOfPast{x})
		}
		if from := s.ledger.historyStatus().From; len(last) != 2 || from != 2 {
			t.Fatalf("%d records of the founding, down to %d", len(last), from)
		}
		for range 2 {
			if err := s.give("a", p2p.Past, last[0], last[0]); err != nil {
				t.Fatal(err)
			}
		}
		if from := s.ledger.historyStatus().From; from != 2 {
			t.Errorf("down to %d without all that it covers", from)
		}
		if err := s.give("a", p2p.Past, last[1]); err != nil {
			t.Fatal(err)
		}
		if from := s.ledger.historyStatus().From; from != 1 {
			t.Errorf("down to %d with all that it covers", from)
		}
	})
}

// A record that was never signed so ends the session, names itself, and leaves
// nothing; the peer that has the good one is believed.
func TestForgedPast(t *testing.T) {
	withPast(t, func(t *testing.T, v *village, known protocol.Ref) {
		s := seek(t, v.all[0], known)
		s.restoreAll()
		all := s.span()
		at := slices.IndexFunc(all, func(x letterOfPast) bool { return x.kind == p2p.Past })
		s.take(all[:at])
		held := s.st.Len()
		forged := slices.Clone(all[at].frame)
		forged[len(forged)-1] ^= 1 // in the last signature
		if err := s.give("liar", p2p.Past, forged); err == nil {
			t.Fatal("taken")
		} else if id := idOf(forged).String(); !errors.Is(err, p2p.ErrPeer) || !strings.Contains(err.Error(), id) {
			t.Errorf("%v: not named, or not the peer's fault", err)
		}
		if s.st.Len() != held {
			t.Error("stored")
		}
		s.take(all[at:])
		if s.ledger.historyStatus().From != 1 {
			t.Error("the good record was not taken after it")
		}
	})
}
