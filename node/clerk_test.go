package node

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
	"github.com/metastate-p2p/metastate/store"
)

// driver is a clerk of a ledger without a network, whose height began long ago,
// and what it sent.
func (w *realm) driver(l *ledger, device identity.Signer) (h *heightDriver, sent *int) {
	w.t.Helper()
	sent = new(int)
	h = &heightDriver{ctx: w.t.Context(), clerk: &clerk{
		ledger: l, device: device, log: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1),
		send: func(parts [][]byte) { *sent += len(parts) }, synced: func() bool { return false },
		announce: func(uint64) {}, ahead: func() {}, bring: func(roll.EvidenceBody) {},
	}}
	h.reset(l.currentTip(), protocol.ID{})
	h.began = time.Now().Add(-time.Hour)
	w.t.Cleanup(h.stop)
	return h, sent
}

// Who is no clerk signs nothing; a clerk makes a checkpoint when there is work,
// and none when there is not.
func TestOnlyClerksSign(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	idle, sent := w.driver(l, w.device)
	idle.turn()
	if idle.machine != nil || *sent != 0 || l.tip.Ref().Height != 1 {
		t.Error("a checkpoint over nothing")
	}
	w.took(l, 1, w.proposal(l, "x"))
	stranger, sent := w.driver(l, identity.GenerateSigningKey())
	stranger.post(letter{in: checkpoint.Start{}})
	stranger.turn()
	if stranger.machine != nil || *sent != 0 || len(l.store.PrivateKeys(privVotes)) != 0 || l.tip.Ref().Height != 1 {
		t.Error("who is no clerk signs")
	}
	early, sent := w.driver(l, w.device)
	early.began = time.Now().Add(time.Hour)
	early.turn()
	if early.machine != nil || *sent != 0 {
		t.Error("begins before records could gather")
	}
	idle.turn()
	if l.tip.Ref().Height != 2 || len(l.open) != 0 {
		t.Error("a clerk with work makes no checkpoint")
	}
}

// Others' messages of this height begin it; those of a height that is over bring
// who sent them the checkpoint, and those of a later one ask for checkpoints.
func TestWhatBeginsAHeight(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	other := identity.GenerateSigningKey()
	says := func(height uint64) checkpoint.Input {
		v := w.next(l, l.tip, time.Now().Unix()).Value
		if v.Height = height; height == 1 {
			v.Prev = protocol.ID{}
		}
		value, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		m, err := checkpoint.New(checkpoint.Config{
			Metastate: l.metastate, Height: height, Prev: v.Prev, Signer: other,
			Clerks: []certificate.Clerk{{Persona: w.b.inception.ID(), Key: other.Public()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Step(checkpoint.Start{})
		m.Step(checkpoint.Propose{Value: value})
		if len(m.Messages()) == 0 {
			t.Fatal("nothing was signed")
		}
		return checkpoint.Received{Message: m.Messages()[0]}
	}
	for name, c := range map[string]struct {
		height              uint64
		begins, helps, asks int
	}{
		"over": {1, 0, 1, 0}, "this": {2, 1, 0, 0}, "later": {3, 0, 0, 1},
	} {
		h, _ := w.driver(l, w.device)
		helped, asked, begun := 0, 0, 0
		h.announce = func(height uint64) {
			if height == c.height {
				helped++
			}
		}
		h.ahead = func() { asked++ }
		h.post(letter{in: says(c.height)})
		h.turn()
		if h.machine != nil {
			begun++
		}
		if begun != c.begins || helped != c.helps || asked != c.asks {
			t.Errorf("a message of a height that is %s: began %d, helped %d, asked %d", name, begun, helped, asked)
		}
	}
}

// Of four clerks one alone begins nothing, and is asked what it has; two do.
func TestOneClerkBeginsNothing(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	var clerks []certificate.Clerk
	var keys []identity.SigningKey
	for i := range 4 {
		keys = append(keys, identity.GenerateSigningKey())
		clerks = append(clerks, certificate.Clerk{Persona: protocol.ID{byte(i + 1)}, Key: keys[i].Public()})
	}
	votes := func(i int) letter {
		m, err := checkpoint.New(checkpoint.Config{
			Metastate: l.metastate, Height: 2, Prev: l.tip.Ref().ID, Clerks: clerks, Signer: keys[i],
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Step(checkpoint.Start{})
		m.Step(checkpoint.TimedOut{Step: checkpoint.StepPropose})
		list := m.Messages()
		return letter{in: checkpoint.Received{Message: list[len(list)-1]}}
	}
	h, _ := w.driver(l, w.device)
	asked := 0
	h.ahead = func() { asked++ }
	h.reset(l.tip, protocol.ID{})
	h.clerks = clerks
	for range 3 {
		if h.called([]letter{votes(0)}) || asked != 1 {
			t.Errorf("one clerk begins a height; %d times asked", asked)
		}
	}
	if !h.called([]letter{votes(1)}) {
		t.Error("two clerks begin nothing")
	}
}

// A clerk takes up what it signed before a restart, whatever it would say now,
// and signs nothing where it can't tell what that was.
func TestClerkResumes(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	x := w.proposal(l, "x")
	w.took(l, 1, x)
	cfg := checkpoint.Config{Metastate: l.metastate, Height: 2, Prev: l.tip.Ref().ID, Clerks: l.tip.Clerks(), Signer: w.device}
	before := w.next(l, l.tip, time.Now().Unix()-30, x)
	m, err := checkpoint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Step(checkpoint.Start{})
	outputs, _ := m.Step(checkpoint.Propose{Value: before.Encoded})
	saved := 0
	for _, out := range outputs {
		if p, ok := out.(checkpoint.Persist); ok {
			saved++
			if err := l.store.PutPrivate(votesKey(2, protocol.ID{}), p.Record); err != nil {
				t.Fatal(err)
			}
		}
	}
	if saved == 0 {
		t.Fatal("nothing was signed")
	}
	h, _ := w.driver(l, w.device)
	for range 10 { // its own messages come to it once judged
		h.turn()
	}
	if l.tip.Ref() != before.Tip.Ref() {
		t.Errorf("signed another value at a height where it had signed: at %d", l.tip.Ref().Height)
	}

	l = w.ledger()
	w.took(l, 1, x)
	if err := l.store.PutPrivate(votesKey(2, protocol.ID{}), []byte("torn")); err != nil {
		t.Fatal(err)
	}
	h, sent := w.driver(l, w.device)
	for range 2 {
		h.turn()
		h.began = time.Now().Add(-time.Hour)
	}
	if h.stuck == nil || *sent != 0 || l.tip.Ref().Height != 1 || l.Snapshot().Trouble == nil {
		t.Error("signs though it can't tell what it signed before")
	}
}

// A clerk whose person turned to another branch signs nothing at a height where
// it signed before, and goes on at the next.
func TestClerkOfAnotherBranch(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	x := w.proposal(l, "x")
	w.took(l, 1, x)
	v := w.next(l, l.tip, time.Now().Unix()-30, x).Value
	v.Prev = protocol.Sum([]byte("elsewhere"))
	value, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := checkpoint.Config{
		Metastate: l.metastate, Height: 2, Prev: v.Prev, Clerks: l.tip.Clerks(), Signer: w.device,
	}
	m, err := checkpoint.New(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	m.Step(checkpoint.Start{})
	outputs, _ := m.Step(checkpoint.Propose{Value: value})
	saved := 0
	for _, out := range outputs {
		if p, ok := out.(checkpoint.Persist); ok {
			saved++
			if err := l.store.PutPrivate(votesKey(2, protocol.ID{}), p.Record); err != nil {
				t.Fatal(err)
			}
		}
	}
	if saved == 0 {
		t.Fatal("nothing was signed")
	}
	h, sent := w.driver(l, w.device)
	for range 3 {
		h.began = time.Now().Add(-time.Hour)
		h.turn()
	}
	if h.stuck != nil || *sent != 0 || l.tip.Ref().Height != 1 || l.Snapshot().Trouble != nil {
		t.Errorf("sent %d, at %d, %v", *sent, l.tip.Ref().Height, h.stuck)
	}
	cert := w.decided(l.tip, w.device, w.next(l, l.tip, time.Now().Unix(), x).Encoded)
	if err := l.finalise(cert); err != nil {
		t.Fatal(err)
	}
	w.took(l, 1, w.follows(l, "y", 1, x.ID(), x.ID()))
	for range 3 {
		h.began = time.Now().Add(-time.Hour)
		h.turn()
	}
	if l.tip.Ref().Height != 3 {
		t.Errorf("silent at the next height too: at %d", l.tip.Ref().Height)
	}
}

// A quorum for what this clerk found invalid stops it, whether its ledger
// agrees with the clerk, can't tell yet, or follows the quorum.
func TestRefusedStopsTheClerk(t *testing.T) {
	for name, held := range map[string]bool{"that follows": true, "not to be judged": false} {
		w := newRealm(t)
		l, other := w.ledger(), w.ledger()
		x := w.proposal(l, "x")
		w.took(l, 1, x)
		cert := w.decided(l.tip, w.device, w.next(l, l.tip, time.Now().Unix(), x).Encoded)
		if !held {
			l = other
		}
		h, sent := w.driver(l, w.device)
		h.carryOut(checkpoint.Refused{Certificate: cert})
		h.began = time.Now().Add(-time.Hour)
		h.turn()
		if h.stuck == nil || l.Snapshot().Trouble == nil || *sent != 0 {
			t.Errorf("a certificate %s: %v", name, h.stuck)
		}
	}
	w := newRealm(t)
	l := w.ledger()
	v := w.next(l, l.tip, time.Now().Unix()).Value
	v.StateRoot[0] ^= 1
	value, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	h, _ := w.driver(l, w.device)
	h.carryOut(checkpoint.Refused{Certificate: w.decided(l.tip, w.device, value)})
	if l.Snapshot().Trouble == nil || len(l.store.PrivateKeys(privDisputed)) != 1 {
		t.Error("a certificate that does not follow is not kept")
	}
}

// Letters for another height are not read, and messages of nobody not taken.
func TestClerkReadsItsOwnLetters(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	h, _ := w.driver(l, w.device)
	if err := h.receive([]byte{0xff}); err == nil || len(h.take()) != 0 {
		t.Error("takes junk")
	}
	stranger := identity.GenerateSigningKey()
	m, err := checkpoint.New(checkpoint.Config{
		Metastate: l.metastate, Height: 2, Prev: l.tip.Ref().ID, Signer: stranger,
		Clerks: []certificate.Clerk{{Persona: w.b.inception.ID(), Key: stranger.Public()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Step(checkpoint.Start{})
	m.Step(checkpoint.Propose{Value: w.next(l, l.tip, time.Now().Unix()).Encoded})
	if len(m.Messages()) == 0 {
		t.Fatal("nothing was signed")
	}
	for _, msg := range m.Messages() {
		if err := h.receive(msg.Bytes()); err == nil {
			t.Error("takes a stranger's message")
		}
	}
	if len(h.take()) != 0 {
		t.Error("a stranger's message is in the box")
	}
	e := checkpoint.Evidence{}
	h.carryOut(checkpoint.Accuse{Evidence: e})
	keys := l.store.PrivateKeys(privEvidence)
	if len(keys) != 1 {
		t.Fatal("evidence is not kept")
	}
	if b, err := l.store.Private(keys[0]); err != nil || !bytes.Equal(b, e.Encode()) {
		t.Error("other evidence is kept: ", err)
	}
}

// A clerk whose store was rebuilt signs nothing until the heights that it may
// have signed at are over: for one of several, a checkpoint two minutes later
// than the rebuilding says so; a lone one asks a member, if there is one.
func TestRebuiltClerkWaits(t *testing.T) {
	w := newRealm(t)
	tip := func(founders ...string) checkpoint.Tip {
		world := statetest.New(t, statetest.Charter(t), founders...)
		begin, err := checkpoint.Begin(world.Genesis)
		if err != nil {
			t.Fatal(err)
		}
		n, err := begin.Propose(world.Founding(founders...), statetest.Start)
		if err != nil {
			t.Fatal(err)
		}
		if len(founders) > 1 {
			return n.Tip
		}
		world.Cover(n.Tip.Ref(), world.Founding(founders...)...)
		door := world.Invite(founders[0], "door", 1, statetest.Start+1000, statetest.How{})
		admit := world.Admit(founders[0], "dana", "door", door.ID(), statetest.How{After: []*protocol.Record{door}})
		if n, err = n.Tip.Propose([]*protocol.Record{door, admit}, statetest.Start); err != nil || n.Tip.State().Roll().Size() != 2 {
			t.Fatal(err, n.Tip.State().Roll().Size())
		}
		return n.Tip
	}
	several, lone := tip("alice", "bob"), tip("alice")
	ago := func(d time.Duration) string { return time.Unix(statetest.Start, 0).Add(-d).UTC().Format(time.RFC3339) }
	const over = maxAhead + maxBehind
	alone := w.ledger().tip // its only member
	for name, c := range map[string]struct {
		tip    checkpoint.Tip
		mark   string
		synced bool
		muted  bool
	}{
		"not rebuilt":            {several, "", false, false},
		"just rebuilt":           {several, ago(0), true, true},
		"two minutes ago":        {several, ago(over), true, true},
		"over":                   {several, ago(over + time.Second), false, false},
		"mark unreadable":        {several, "yesterday", true, true},
		"lone":                   {lone, ago(over + time.Hour), false, true},
		"lone, has asked":        {lone, ago(0), true, false},
		"alone in the metastate": {alone, ago(-time.Hour), false, false},
		"alone, mark unreadable": {alone, "yesterday", true, true},
	} {
		l := w.ledger()
		if c.mark != "" {
			if err := l.store.PutPrivate(privRebuilt, []byte(c.mark)); err != nil {
				t.Fatal(err)
			}
		}
		h, _ := w.driver(l, w.device)
		h.synced = func() bool { return c.synced }
		if got := h.muted(c.tip); got != c.muted {
			t.Errorf("%s: muted %t", name, got)
		}
		if _, err := l.store.Private(privRebuilt); errors.Is(err, store.ErrNotFound) == c.muted {
			t.Errorf("%s: the mark: %v", name, err)
		}
	}
	l := w.ledger()
	w.took(l, 1, w.proposal(l, "x"))
	if err := l.store.PutPrivate(privRebuilt, []byte("yesterday")); err != nil {
		t.Fatal(err)
	}
	h, sent := w.driver(l, w.device)
	h.turn()
	if *sent != 0 || l.tip.Ref().Height != 1 {
		t.Error("a muted clerk signs")
	}
}
