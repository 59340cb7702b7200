package node

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/store"
)

// A shelf is a realm's ledger on disk, to be closed and opened again.
type shelf struct {
	*realm
	dir string
	key [32]byte
	*ledger
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{realm: newRealm(t), dir: t.TempDir(), key: random32()}
	t.Cleanup(func() { _ = s.ledger.store.Close() })
	s.open(func(st *store.Store) error { return st.Commit(s.founded) })
	return s
}

func (s *shelf) open(prepare func(*store.Store) error) {
	s.t.Helper()
	st, err := store.Open(store.Config{Dir: s.dir, Key: s.key[:]})
	if err == nil {
		err = prepare(st)
	}
	if err == nil {
		s.ledger, err = openLedger(s.f.genesis.ID(), s.device.Public(), st, slog.New(slog.DiscardHandler), func() {})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *shelf) restart() {
	s.t.Helper()
	if err := s.ledger.store.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open(func(*store.Store) error { return nil })
}

// decided makes a value final after a tip, signed by one key as the only clerk.
func (w *realm) decided(tip checkpoint.Tip, key identity.SigningKey, value []byte) certificate.Certificate {
	w.t.Helper()
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: w.f.genesis.ID(), Height: tip.Ref().Height + 1, Prev: tip.Ref().ID, Signer: key,
		Clerks: []certificate.Clerk{{Persona: w.b.inception.ID(), Key: key.Public()}},
	}, value)
	if err != nil {
		w.t.Fatal(err)
	}
	return cert
}

// next is a value over records at a time, whose lists the ledger gets.
func (w *realm) next(l *ledger, tip checkpoint.Tip, asOf int64, recs ...*protocol.Record) checkpoint.Next {
	w.t.Helper()
	n, err := tip.Propose(recs, asOf)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range n.Chunks {
		if err := l.addChunk(c); err != nil {
			w.t.Fatal(err)
		}
	}
	return n
}

// stopped requires that finality has stopped at a checkpoint over a
// certificate, which is kept.
func (s *shelf) stopped(when string, ref protocol.Ref, over certificate.Certificate, says string) {
	s.t.Helper()
	snap := s.Snapshot()
	if snap.Trouble == nil || !strings.Contains(snap.Trouble.Error(), says) {
		s.t.Errorf("%s: finality goes on: %v", when, snap.Trouble)
	}
	if snap.Ref != ref {
		s.t.Errorf("%s: at checkpoint %d", when, snap.Ref.Height)
	}
	if _, ok, err := s.propose(protocol.ID{}); ok || err != nil || s.hasWork() {
		s.t.Errorf("%s: this clerk proposes: %v", when, err)
	}
	kept, err := s.ledger.store.Private(privDisputed + over.ID().String())
	if err != nil || !bytes.Equal(kept, over.Encode()) {
		s.t.Errorf("%s: the certificate is not kept: %v", when, err)
	}
}

// Clerks that signed two checkpoints of one height are believed in neither: the
// node stays where it is, keeps the proof, and does so after a restart. What
// no quorum signed stops nothing.
func TestConflictStopsFinality(t *testing.T) {
	s := newShelf(t)
	x, now, first := s.proposal(s.ledger, "x"), time.Now().Unix(), s.currentTip()
	s.realm.deliver(s.ledger, x)
	a, b := s.next(s.ledger, first, now, x), s.next(s.ledger, first, now+1, x)
	good, rival := s.decided(first, s.device, a.Encoded), s.decided(first, s.device, b.Encoded)
	later := s.decided(a.Tip, s.device, s.next(s.ledger, a.Tip, now+2).Encoded)
	for range 2 { // to hear of it again is no conflict
		if err := s.finalise(good); err != nil || s.Snapshot().Trouble != nil {
			t.Fatal(err, s.Snapshot().Trouble)
		}
	}
	again := good
	again.Round, again.Signatures = 1, nil // the same value, whoever signed it
	forged := s.decided(first, identity.GenerateSigningKey(), b.Encoded)
	if err := s.finalise(again); err != nil {
		t.Error("the same value in another round: ", err)
	}
	if err := s.finalise(forged); !errors.Is(err, certificate.ErrSignature) {
		t.Error("signed by a stranger: ", err)
	}
	if s.Snapshot().Trouble != nil || len(s.ledger.store.PrivateKeys(privDisputed)) != 0 {
		t.Fatal("stopped by what no quorum signed")
	}
	s.took(s.ledger, 1, s.follows(s.ledger, "y", 1, x.ID(), x.ID())) // there is work
	if !s.hasWork() {
		t.Fatal("nothing to cover")
	}
	const says = "two different checkpoints 2"
	if err := s.finalise(rival); err == nil {
		t.Error("two checkpoints of one height")
	}
	s.stopped("at once", a.Tip.Ref(), rival, says)
	s.wanted[3] = later
	if s.retry() {
		t.Error("goes on with what had waited")
	}
	s.stopFinality(errors.New("another cause"))
	s.restart()
	s.stopped("after a restart", a.Tip.Ref(), rival, says)
	if err := s.finalise(later); err == nil {
		t.Error("follows the clerks further")
	}
	s.stopped("later", a.Tip.Ref(), rival, says)
}

// The founding checkpoint is signed by founding keys, not by the devices of
// those whom it makes clerks.
func TestConflictOfFoundings(t *testing.T) {
	s := newShelf(t)
	begin, err := checkpoint.Begin(s.f.genesis)
	if err != nil {
		t.Fatal(err)
	}
	other := s.next(s.ledger, begin, time.Now().Unix()+1, s.f.genesis, s.b.inception, s.b.grant)
	if err := s.finalise(s.decided(begin, s.device, other.Encoded)); !errors.Is(err, certificate.ErrSignature) {
		t.Error("signed by a device: ", err)
	}
	rival := s.decided(begin, s.f.key, other.Encoded)
	if err := s.finalise(rival); err == nil {
		t.Error("founded twice")
	}
	s.restart()
	s.stopped("after a restart", s.currentTip().Ref(), rival, "two different checkpoints 1")
}

// A checkpoint is compared under the clerks that were in force at its height,
// not under those that it seats.
func TestConflictUnderFormerClerks(t *testing.T) {
	s := newShelf(t)
	first, second := s.currentTip(), identity.GenerateSigningKey()
	h := protocol.Header{
		Metastate: s.metastate, Kind: protocol.Grant, Persona: s.b.inception.ID(), Key: s.persona.Public(), Seq: 2, Prev: s.b.grant.ID(),
		Cosigners: []identity.PublicKey{second.Public()}, Parents: []protocol.ID{s.b.grant.ID()}, Checkpoint: first.Ref(), Time: 1,
	}
	late := time.Now().Unix() + identity.DefaultGrantLife + 3600 // the first device's grant has run out
	grant, err := protocol.Sign(h, identity.Grant{Device: second.Public(), Expires: late + 3600}, nil, s.persona, second)
	if err != nil {
		t.Fatal(err)
	}
	s.realm.deliver(s.ledger, grant)
	a, b := s.next(s.ledger, first, late, grant), s.next(s.ledger, first, late+1, grant)
	if err := s.finalise(s.decided(first, s.device, a.Encoded)); err != nil {
		t.Fatal(err)
	}
	if c := s.currentTip().Clerks(); len(c) != 1 || c[0].Key != second.Public() {
		t.Fatal("the new device does not sign")
	}
	if err := s.finalise(s.decided(first, second, b.Encoded)); !errors.Is(err, certificate.ErrSignature) {
		t.Error("signed by who was no clerk then: ", err)
	}
	rival := s.decided(first, s.device, b.Encoded)
	if err := s.finalise(rival); err == nil {
		t.Error("two checkpoints of one height")
	}
	s.stopped("at once", a.Tip.Ref(), rival, "two different checkpoints 2")
}

// A quorum behind what does not follow from its records stops the node before
// it, also after a restart.
func TestWhatDoesNotFollowStopsFinality(t *testing.T) {
	for name, covers := range map[string]bool{"covering nothing": false, "covering a record": true} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t)
			x, first := s.proposal(s.ledger, "x"), s.currentTip()
			s.realm.deliver(s.ledger, x)
			var recs []*protocol.Record
			if covers {
				recs = append(recs, x)
			}
			v := s.next(s.ledger, first, time.Now().Unix(), recs...).Value
			v.StateRoot[0] ^= 1
			value, err := v.Encode()
			if err != nil {
				t.Fatal(err)
			}
			bad := s.decided(first, s.device, value)
			if err := s.finalise(bad); !errors.Is(err, checkpoint.ErrStateRoot) {
				t.Error(err)
			}
			s.stopped("at once", first.Ref(), bad, "does not follow")
			s.restart()
			s.stopped("after a restart", first.Ref(), bad, "does not follow")
		})
	}
}

// What was kept as a dispute is looked at again, not believed: it stops nothing
// where there is none.
func TestDisputesAreLookedAtAgain(t *testing.T) {
	s := newShelf(t)
	first := s.currentTip()
	good := s.decided(first, s.device, s.next(s.ledger, first, time.Now().Unix()).Encoded)
	if err := s.finalise(good); err != nil {
		t.Fatal(err)
	}
	forged := s.decided(first, identity.GenerateSigningKey(), s.next(s.ledger, first, time.Now().Unix()+9).Encoded)
	for name, b := range map[string][]byte{"held": good.Encode(), "forged": forged.Encode(), "junk": {0xff}} {
		if err := s.ledger.store.PutPrivate(privDisputed+name, b); err != nil {
			t.Fatal(err)
		}
	}
	s.restart()
	if snap := s.Snapshot(); snap.Trouble != nil || snap.Ref.Height != 2 {
		t.Errorf("at checkpoint %d: %v", snap.Ref.Height, snap.Trouble)
	}
}
