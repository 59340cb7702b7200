package node

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/store"
)

// A torn shelf has stopped: the only clerk signed two checkpoints 2, and another
// after the one that is held.
type torn struct {
	*shelf
	common     checkpoint.Tip
	a, a2, b   checkpoint.Next // held, held, and the other
	good, then certificate.Certificate
	rival      certificate.Certificate
	x          *protocol.Record // covered by both, cites what they have in common
	own        *protocol.Record // cites a
}

func newTorn(t *testing.T) *torn {
	s := &torn{shelf: newShelf(t)}
	s.common = s.currentTip()
	now := time.Now().Unix()
	s.x = s.proposal(s.ledger, "x")
	s.realm.deliver(s.ledger, s.x)
	s.a, s.b = s.next(s.ledger, s.common, now, s.x), s.next(s.ledger, s.common, now+1)
	s.good, s.rival = s.decided(s.common, s.device, s.a.Encoded), s.decided(s.common, s.device, s.b.Encoded)
	s.final(s.good)
	s.own = s.follows(s.ledger, "own", 1, s.x.ID(), s.x.ID())
	s.took(s.ledger, 1, s.own)
	s.a2 = s.next(s.ledger, s.a.Tip, now+2, s.own)
	s.then = s.decided(s.a.Tip, s.device, s.a2.Encoded)
	s.final(s.then)
	if err := s.finalise(s.rival); err == nil {
		t.Fatal("two checkpoints of one height")
	}
	return s
}

func (s *shelf) final(c certificate.Certificate) {
	s.t.Helper()
	if err := s.finalise(c); err != nil {
		s.t.Fatal(err)
	}
}

// at requires that the node follows a branch up to a checkpoint, now and after
// it starts again.
func (s *shelf) at(what string, ref protocol.Ref, held ...*protocol.Record) {
	s.t.Helper()
	for _, when := range []string{"at once", "after a restart"} {
		snap := s.Snapshot()
		if snap.Trouble != nil || snap.Ref != ref {
			s.t.Fatalf("%s, %s: at checkpoint %d, %v", what, when, snap.Ref.Height, snap.Trouble)
		}
		if n := s.sets[protocol.ID{}].Len(); n != 3+len(held) { // beside genesis, inception and grant
			s.t.Errorf("%s, %s: %d records are held", what, when, n)
		}
		for _, r := range held {
			if !s.holds(r) {
				s.t.Errorf("%s, %s: a record is not held", what, when)
			}
		}
		s.restart()
	}
}

// A person can stay: the node goes on where it was, keeps the other certificate,
// and is stopped by it no more.
func TestPart(t *testing.T) {
	s := newTorn(t)
	if err := s.follow(s.a2.Tip.Ref().ID); err != nil {
		t.Fatal(err)
	}
	s.at("parted", s.a2.Tip.Ref(), s.x, s.own)
	b2 := s.decided(s.b.Tip, s.device, s.next(s.ledger, s.b.Tip, time.Now().Unix()+3).Encoded)
	for _, c := range []certificate.Certificate{s.rival, b2} {
		s.final(c)
	}
	a3 := s.next(s.ledger, s.a2.Tip, time.Now().Unix()+3)
	s.final(s.decided(s.a2.Tip, s.device, a3.Encoded))
	s.at("goes on", a3.Tip.Ref(), s.x, s.own)
	d, err := s.branches(s.device.Public())
	if err != nil || d.Trouble != "" || len(d.Others) != 1 || !d.Others[0].Left || len(d.Orders) != 1 ||
		!slices.Equal(d.Accused, []protocol.ID{s.b.Tip.State().Roll().Clerks()[0].Persona}) {
		t.Errorf("%+v, %v", d, err)
	}
	if kept, err := certificate.ParseCertificate(d.Others[0].Certificate); err != nil || kept.ID() != s.rival.ID() {
		t.Error("the other certificate is not shown: ", err)
	}
	if err := s.follow(a3.Tip.Ref().ID); AsError(err).Code != "refused" {
		t.Error("an order that changes nothing: ", err)
	}
}

// A parting is a shelf of three checkpoints, and the three of another branch that
// has the first in common.
type parting struct {
	*shelf
	common, last protocol.Ref
	others       []certificate.Certificate
}

func newParting(t *testing.T) parting {
	s := newShelf(t)
	common, now := s.currentTip(), time.Now().Unix()
	p := parting{shelf: s, common: common.Ref()}
	here, there := common, common
	for i := range int64(3) {
		a, b := s.next(s.ledger, here, now+2*i), s.next(s.ledger, there, now+2*i+1)
		s.final(s.decided(here, s.device, a.Encoded))
		p.others = append(p.others, s.decided(there, s.device, b.Encoded))
		here, there = a.Tip, b.Tip
	}
	p.last = here.Ref()
	if err := s.finalise(p.others[2]); err == nil {
		t.Fatal("two checkpoints of one height")
	}
	return p
}

// sees requires what is said of the other branch, and of its clerk.
func (p parting) sees(what string, common uint64) {
	p.t.Helper()
	d, err := p.branches(p.device.Public())
	clerk := p.currentTip().State().Roll().Clerks()[0].Persona
	if err != nil || d.Common.Height != common || len(d.Others) != 1 || !slices.Equal(d.Accused, []protocol.ID{clerk}) {
		p.t.Errorf("%s: %+v, %v", what, d, err)
	}
}

// A node that is shown only the last checkpoint of another branch does not say
// that it has its own last one in common with that. It asks for those before,
// further back each time it is shown the same, until it finds where they part.
func TestBranchesPartFurtherBack(t *testing.T) {
	p := newParting(t)
	p.sees("shown the last", 0)
	for range 4 {
		_ = p.finalise(p.others[2])
	}
	if at := p.wants(); at > p.common.Height+1 {
		t.Errorf("asks from checkpoint %d on, and never finds where they part", at)
	}
	for _, c := range p.others {
		_ = p.finalise(c)
	}
	p.sees("shown all", p.common.Height)
}

// Who stays before it is known where the branches part is not stopped by what
// lies between, when that comes.
func TestPartBeforeItIsKnownWhere(t *testing.T) {
	p := newParting(t)
	if err := p.follow(p.last.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, c := range p.others {
			p.final(c)
		}
		p.at("parted", p.last)
	}
}

// Who turns to another branch before it is known where all of them part goes on
// there: a checkpoint after its tip is not taken for one that leads to what was
// left, in whatever order they come.
func TestFollowBeforeItIsKnownWhere(t *testing.T) {
	p := newParting(t)
	_ = p.finalise(p.others[0])
	if err := p.follow(p.others[0].ID()); err != nil {
		t.Fatal(err)
	}
	second := p.next(p.ledger, p.currentTip(), time.Now().Unix()+20)
	third := p.next(p.ledger, second.Tip, time.Now().Unix()+21)
	for _, c := range []certificate.Certificate{
		p.decided(second.Tip, p.device, third.Encoded), p.decided(p.currentTip(), p.device, second.Encoded),
	} {
		if err := p.finalise(c); err != nil && !errors.Is(err, errWaiting) {
			t.Fatal(err)
		}
	}
	p.at("goes on", third.Tip.Ref())
	p.final(p.others[1]) // leads to what was left
	p.at("goes on still", third.Tip.Ref())
}

// A person can follow the other branch: what cites checkpoints that it does not
// have is not held, and this device says it again; going back says nothing twice.
func TestFollow(t *testing.T) {
	s := newTorn(t)
	c := &Community{id: s.metastate, desk: desk{ledger: s.ledger}, key: s.device, log: s.log, watch: make(chan struct{})}
	to := func(id protocol.ID) {
		t.Helper()
		c.ledger = s.ledger
		if err := s.follow(id); err != nil {
			t.Fatal(err)
		}
		c.offerAgain()
		c.offerAgain()
	}
	to(s.rival.ID())
	again := s.record("own", s.b.Tip.Ref())
	s.at("followed", s.b.Tip.Ref(), s.x, again)
	if s.ledger.open[s.x.ID()] == nil || s.ledger.open[again.ID()] == nil {
		t.Error("what only the branch left had covered is not open again")
	}
	s.final(s.good) // is nothing
	s.final(s.then)
	b2 := s.next(s.ledger, s.b.Tip, time.Now().Unix()+4, s.x, again)
	s.final(s.decided(s.b.Tip, s.device, b2.Encoded))
	s.at("went on", b2.Tip.Ref(), s.x, again)
	to(s.then.ID())
	s.at("back", s.a2.Tip.Ref(), s.x, s.own)
	to(s.common.Ref().ID)
	s.at("stepped back", s.common.Ref(), s.x)
	if !s.isContested() {
		t.Error("clerks in force would make a third checkpoint")
	}
	for name, cert := range map[string]certificate.Certificate{
		"one left": s.good, "the other": s.rival,
		"a third": s.decided(s.common, s.device, s.next(s.ledger, s.common, time.Now().Unix()+9).Encoded),
	} {
		s.final(cert)
		if s.currentTip().Ref() != s.common.Ref() {
			t.Errorf("follows %s", name)
		}
	}
	to(b2.Tip.Ref().ID)
	s.at("chosen", b2.Tip.Ref(), s.x, again)
}

// record is the open proposal of a title that cites a checkpoint.
func (s *shelf) record(title string, ref protocol.Ref) *protocol.Record {
	s.t.Helper()
	for _, r := range s.ledger.open {
		if p := s.Snapshot().View.Decisions().Poll(r.ID()); p != nil && p.Body.Title == title && r.Header().Checkpoint == ref {
			return r.Record
		}
	}
	s.t.Fatal("not said again: ", title)
	return nil
}

// An order is refused that leads to what is not held, does not follow from its
// records, or is not disputed.
func TestFollowRefuses(t *testing.T) {
	s := newShelf(t)
	first, now := s.currentTip(), time.Now().Unix()
	lacking := s.follows(s.ledger, "lacking", 0, protocol.ID{}, s.b.grant.ID())
	a := s.next(s.ledger, first, now)
	b := s.next(s.ledger, first, now+1, lacking)
	bad := s.next(s.ledger, first, now+2).Value
	bad.StateRoot[0] ^= 1
	value, err := bad.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.follow(first.Ref().ID); AsError(err).Code != "refused" {
		t.Error("nothing is disputed: ", err)
	}
	s.final(s.decided(first, s.device, a.Encoded))
	if err := s.finalise(s.decided(first, s.device, b.Encoded)); err == nil {
		t.Fatal("two checkpoints of one height")
	}
	false_ := s.decided(first, s.device, value)
	if err := s.finalise(false_); err != nil { // kept for the person
		t.Fatal(err)
	}
	stays := func(id protocol.ID, code string) {
		t.Helper()
		if err := s.follow(id); AsError(err).Code != code {
			t.Errorf("wanted %s: %v", code, err)
		}
		if snap := s.Snapshot(); snap.Ref != a.Tip.Ref() || snap.Trouble == nil {
			t.Fatal("moved, or goes on")
		}
	}
	genesis, _ := s.CheckpointID(1)
	stays(protocol.ID{1}, "not-found")
	stays(b.Tip.Ref().ID, "incomplete")
	stays(false_.ID(), "does-not-follow")
	if d, err := s.branches(s.device.Public()); err != nil || len(d.Others) != 2 || d.Common.ID != genesis {
		t.Errorf("%+v, %v", d, err)
	}
	s.realm.deliver(s.ledger, lacking)
	if err := s.follow(b.Tip.Ref().ID); err != nil {
		t.Error("it holds now: ", err)
	}
	s.at("followed", b.Tip.Ref(), lacking)
}

func childOrder(args []string) error {
	key, err := hex.DecodeString(args[1])
	if err != nil {
		return err
	}
	st, err := store.Open(store.Config{Dir: args[0], Key: key})
	if err != nil {
		return err
	}
	metastate, err := protocol.ParseID(args[2])
	if err != nil {
		return err
	}
	l, err := openLedger(metastate, identity.PublicKey{}, st, slog.New(slog.DiscardHandler), func() {})
	if err != nil {
		return err
	}
	to, err := protocol.ParseID(args[3])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	o, _, err := l.decide(to)
	if err != nil {
		return err
	}
	for w := range l.writes(o) {
		if n--; n < 0 {
			fmt.Println("cut")
			select {}
		}
		if err := w(); err != nil {
			return err
		}
	}
	fmt.Println("through")
	select {}
}

// A node that is killed after any write of an order is on the one branch or on
// the other, whole, and says so; it never forgets a certificate.
func TestKilledMidOrder(t *testing.T) {
	s := newTorn(t)
	if err := s.ledger.store.Close(); err != nil {
		t.Fatal(err)
	}
	source, moved := s.dir, false
	for cut := 0; ; cut++ {
		s.dir = filepath.Join(t.TempDir(), "s")
		if err := os.CopyFS(s.dir, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		v := spawn(t, "order", s.dir, hex.EncodeToString(s.key[:]), s.metastate.String(), s.rival.ID().String(), strconv.Itoa(cut))
		if !v.out.Scan() {
			t.Fatal("the child said nothing")
		}
		said := v.out.Text()
		v.kill()
		s.open(func(*store.Store) error { return nil })
		switch {
		case said != "cut" && said != "through":
			t.Fatal(said)
		case s.Snapshot().Trouble != nil && !moved:
			s.stopped(fmt.Sprint("after ", cut), s.a2.Tip.Ref(), s.rival, "two different checkpoints 2")
		default:
			moved = true
			s.at(fmt.Sprint("after ", cut), s.b.Tip.Ref(), s.x)
			for _, c := range []certificate.Certificate{s.good, s.then} {
				if _, err := s.ledger.store.Private(privDisputed + c.ID().String()); err != nil {
					t.Errorf("after %d: a certificate is lost: %v", cut, err)
				}
			}
			if _, err := s.ledger.store.Private(privOrder); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("after %d: the order stands: %v", cut, err)
			}
		}
		if err := s.ledger.store.Close(); err != nil {
			t.Fatal(err)
		}
		if said == "through" {
			if !moved || cut < 9 {
				t.Errorf("through after %d writes", cut)
			}
			return
		}
	}
}
