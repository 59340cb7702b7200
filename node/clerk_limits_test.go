package node

import (
	"bytes"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// agrees has a driver work on height 2 with another clerk.
func (w *realm) agrees(h *heightDriver) *checkpoint.Machine {
	w.t.Helper()
	l := h.ledger
	clerks := []certificate.Clerk{{Persona: protocol.ID{1}, Key: w.device.Public()}, {Persona: protocol.ID{2}, Key: identity.GenerateSigningKey().Public()}}
	m, err := checkpoint.New(checkpoint.Config{Metastate: l.metastate, Height: 2, Prev: l.tip.Ref().ID, Clerks: clerks, Signer: w.device})
	if err != nil {
		w.t.Fatal(err)
	}
	h.machine = m
	h.step(checkpoint.Start{})
	return m
}

// What can't be made durable is not sent: a clerk that forgot it could sign
// something else.
func TestUnsavedVoteIsNotSent(t *testing.T) {
	w := newRealm(t)
	for name, broken := range map[string]bool{"whole store": false, "broken store": true} {
		l := w.ledger()
		h, sent := w.driver(l, w.device)
		w.agrees(h)
		if broken {
			if err := l.store.Close(); err != nil {
				t.Fatal(err)
			}
		}
		h.step(checkpoint.TimedOut{Step: checkpoint.StepPropose}) // prevotes for nothing
		if (*sent == 0) != broken || (h.machine == nil) != broken {
			t.Errorf("%s: %d parts sent", name, *sent)
		}
	}
}

// Letters count at their own height only, and nothing counts once it has stopped.
func TestLettersOfAHeight(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	propose := checkpoint.Propose{Value: w.next(l, l.tip, time.Now().Unix()).Encoded}
	h, _ := w.driver(l, w.device)
	h.reset(l.tip, protocol.ID{})
	h.clerks = l.tip.Clerks()
	h.begin(l.tip) // as when another calls
	h.post(letter{3, propose})
	h.turn()
	if h.machine == nil || l.tip.Ref().Height != 1 {
		t.Errorf("of another height: at checkpoint %d", l.tip.Ref().Height)
	}
	other := w.ledger()
	stuck, _ := w.driver(other, w.device)
	stuck.halt(errWaiting)
	for _, height := range []uint64{0, 2} {
		stuck.post(letter{height, propose})
		stuck.turn()
	}
	if stuck.machine != nil || len(other.store.PrivateKeys(privVotes)) != 0 || other.tip.Ref().Height != 1 {
		t.Error("a clerk that stopped signs")
	}
	h.post(letter{2, propose})
	h.turn()
	if l.tip.Ref().Height != 2 {
		t.Error("a letter of its own height is not read")
	}
}

// A clerk goes from height to height, and forgets what it signed at those that
// are over.
func TestClerkGoesOn(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	h, _ := w.driver(l, w.device)
	h.began = time.Now().Add(time.Hour)
	x := w.proposal(l, "x")
	w.took(l, 1, x)
	h.turn()
	if h.machine != nil || l.tip.Ref().Height != 1 {
		t.Fatal("begins before records could gather")
	}
	prev, parent := protocol.ID{}, w.b.grant.ID()
	for i := range uint64(3) {
		if i > 0 {
			x = w.follows(l, "more", i, prev, parent)
			w.took(l, 1, x)
		}
		h.reset(l.currentTip(), protocol.ID{})
		h.began = time.Now().Add(-time.Hour)
		h.turn()
		if l.tip.Ref().Height != 2+i {
			t.Fatalf("at checkpoint %d", l.tip.Ref().Height)
		}
		prev, parent = x.ID(), x.ID()
	}
	h.turn()
	if h.height != 5 || len(l.store.PrivateKeys(privVotes)) != 0 {
		t.Errorf("at height %d, with %d records of votes", h.height, len(l.store.PrivateKeys(privVotes)))
	}
}

// Whoever repeats old messages is helped no more than once in a while, and not
// with what syncing is for.
func TestHelpIsBounded(t *testing.T) {
	w := newRealm(t)
	h, _ := w.driver(w.ledger(), w.device)
	helped := 0
	h.announce = func(uint64) { helped++ }
	h.height = 10_000
	for range 3 {
		h.help(9_999)
	}
	h.help(10_000 - maxWanted)
	h.help(10_000 - maxWanted - 1)
	if helped != 2 {
		t.Errorf("helped %d times", helped)
	}
	for i := range uint64(4 * maxHelped) {
		h.height = 20_000 + i
		h.help(h.height)
	}
	if len(h.helped) > maxHelped {
		t.Errorf("remembers %d heights", len(h.helped))
	}
}

// A part of the agreement is what agreementPart writes, and nothing else.
func TestAgreementParts(t *testing.T) {
	for _, kind := range []uint64{partChunk, partMessage} {
		if k, b, err := parseAgreementPart(agreementPart(7, kind, []byte("x"))); err != nil || k != kind || !bytes.Equal(b, []byte("x")) {
			t.Error(k, b, err)
		}
	}
	good := agreementPart(7, partMessage, []byte("x"))
	short := dagcbor.AppendUint(dagcbor.AppendUint(dagcbor.AppendArray(nil, 2), 7), partMessage)
	for name, b := range map[string][]byte{
		"of a further kind": agreementPart(7, 99, []byte("x")), "empty": nil,
		"more after it": append(bytes.Clone(good), 0), "cut": good[:len(good)-1], "an array of two": short,
		"an array of two, and bytes": dagcbor.AppendBytes(short, []byte("x")),
	} {
		if _, _, err := parseAgreementPart(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// There is no checkpoint 0, nor one after the last: a record that cites one is
// refused or waits.
func TestCitesNoCheckpoint(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	for height, want := range map[uint64]bool{0: false, 1: true, 2: false, 1 << 63: false} {
		if _, ok := l.CheckpointID(height); ok != want {
			t.Errorf("checkpoint %d: %t", height, ok)
		}
	}
	h := w.proposal(l, "x").Header()
	h.Checkpoint = protocol.Ref{Height: 0, ID: protocol.ID{1}}
	r, err := protocol.Sign(h, struct{}{}, nil, w.device)
	if err != nil {
		return // no such record can be made
	}
	if d, err := l.deliver([][]byte{r.Inner()}); err != nil || d.taken != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

// A checkpoint is final here once it is stored, with all that it covers, and
// those that waited for it follow.
func TestFinalIsStored(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	x, y, z := w.proposal(l, "x"), w.proposal(l, "y"), w.proposal(l, "z")
	w.took(l, 2, x, y)
	a := w.next(l, l.tip, time.Now().Unix(), z) // other clerks have the third rival
	b := w.next(l, a.Tip, time.Now().Unix())
	one, two := w.decided(l.tip, w.device, a.Encoded), w.decided(a.Tip, w.device, b.Encoded)
	if err := l.finalise(certificate.Certificate{Value: []byte{0xff}}); err == nil {
		t.Error("junk is taken")
	}
	_ = l.finalise(two)
	_ = l.finalise(one)
	seen := 0
	l.changed = func() { seen++ }
	if d := w.deliver(l, z); d.waiting != 1 || l.tip.Ref() != b.Tip.Ref() || seen == 0 {
		t.Fatalf("%+v, at checkpoint %d, seen %d", d, l.tip.Ref().Height, seen)
	}
	again, err := openLedger(l.metastate, l.own, l.store, l.log, func() {})
	if err != nil || again.tip.Ref() != b.Tip.Ref() {
		t.Fatalf("after a restart at checkpoint %d: %v", again.tip.Ref().Height, err)
	}

	l = w.ledger()
	w.took(l, 1, x)
	a = w.next(l, l.tip, time.Now().Unix(), x)
	one, two = w.decided(l.tip, w.device, a.Encoded), w.decided(a.Tip, w.device, w.next(l, a.Tip, time.Now().Unix()).Encoded)
	_ = l.finalise(two)
	seen = 0
	l.changed = func() { seen++ }
	if err := l.finalise(one); err != nil || l.tip.Ref().Height != 3 || seen == 0 {
		t.Errorf("at checkpoint %d, seen %d: %v", l.tip.Ref().Height, seen, err)
	}

	l = w.ledger()
	w.took(l, 1, x)
	if err := l.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.finalise(one); err == nil || l.tip.Ref().Height != 1 {
		t.Errorf("final though it is not stored: %v", err)
	}
}

// A timeout comes once: one that comes while the clerk may sign nothing counts
// when it may again.
func TestTimeoutsArePutBack(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	h, _ := w.driver(l, w.device)
	m := w.agrees(h)
	if err := l.store.PutPrivate(privRebuilt, []byte("silent until somebody looks")); err != nil {
		t.Fatal(err)
	}
	h.post(letter{2, checkpoint.TimedOut{Step: checkpoint.StepPropose}})
	h.turn()
	if _, step := m.Round(); step != checkpoint.StepPropose {
		t.Fatalf("a clerk that is silent is at step %v", step)
	}
	if err := l.store.DeletePrivate(privRebuilt); err != nil {
		t.Fatal(err)
	}
	h.turn()
	if _, step := m.Round(); step == checkpoint.StepPropose {
		t.Error("the timeout was lost")
	}
}
