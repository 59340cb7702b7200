package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// A record that cites a checkpoint to come waits, for nobody can say yet whose it
// is. A clerk who proposes it covers nothing: else what anyone writes would be in
// everybody's history, by one clerk's word.
func TestNothingFromTheFutureIsCovered(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	stranger := identity.GenerateSigningKey()
	h := w.proposal(l, "x").Header()
	h.Key, h.Checkpoint = stranger.Public(), protocol.Ref{Height: l.tip.Ref().Height + 1, ID: protocol.ID{1}}
	junk, err := protocol.Sign(h, decision.ProposeBody{Title: "x", Method: "yes-no", Class: "ordinary", Voting: 1}, nil, stranger)
	if err != nil {
		t.Fatal(err)
	}
	if d := w.deliver(l, junk); d.waiting != 1 {
		t.Fatalf("a record from the future: %+v", d)
	}
	good := w.proposal(l, "y")
	w.deliver(l, good)
	n, ok, err := l.propose(protocol.ID{})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	lists, err := certificate.SplitChunks([]protocol.ID{junk.ID()})
	if err != nil {
		t.Fatal(err)
	}
	state, _ := l.tip.State().Advance(state.Step{Records: []*protocol.Record{junk}, AsOf: n.Value.AsOf})
	set := l.tip.Covered(protocol.ID{}).Add(junk.ID())
	v := n.Value
	root := state.Root()
	v.StateRoot = root
	v.Control.Digest, v.Control.Count = set.Root(), uint64(set.Len())
	v.Control.Chunks = []protocol.ID{protocol.Sum(lists[0])}
	v.Control.Frontier = []protocol.ID{junk.ID()}
	b, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.addChunk(lists[0]); err != nil {
		t.Fatal(err)
	}
	if ok, known := l.judge(b, false, time.Now()); ok || !known {
		t.Errorf("a stranger's record would be covered: ok %t, known %t", ok, known)
	}
}

// A member signs three rivals and shows each clerk two of them. Each refuses
// the third; still a clerk judges the other's value once it has what the value
// lists, and finds nothing omitted.
func TestRivalsShownApart(t *testing.T) {
	w := newRealm(t)
	one, two := w.ledger(), w.ledger()
	x, y, z := w.proposal(one, "x"), w.proposal(one, "y"), w.proposal(one, "z")
	w.deliver(one, x, y)
	if d := w.deliver(two, x, z, y); d.taken != 2 || len(d.refused) != 1 {
		t.Fatalf("a third rival: %+v", d)
	}
	n, ok, err := one.propose(protocol.ID{})
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, c := range n.Chunks {
		if err := two.addChunk(c); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Minute) // all was held long before the height began
	if _, known := two.judge(n.Encoded, true, later); known {
		t.Fatal("judges a value with a record it does not hold")
	}
	w.deliver(two, y)
	if ok, known := two.judge(n.Encoded, true, later); !ok || !known {
		t.Errorf("a value with other rivals: ok %t, known %t", ok, known)
	}
	// What is no rival is not taken for a clerk's word alone.
	stranger := identity.GenerateSigningKey()
	h := x.Header()
	h.Key = stranger.Public()
	forged, err := protocol.Sign(h, decision.ProposeBody{Title: "f", Method: "yes-no", Class: "ordinary", Voting: 1}, nil, stranger)
	if err != nil {
		t.Fatal(err)
	}
	two.needed[forged.ID()] = false
	if d := w.deliver(two, forged); len(d.refused) != 1 {
		t.Errorf("a stranger's record: %+v", d)
	}
	two.needed[forged.ID()] = true
	if d := w.deliver(two, forged); d.waiting != 1 {
		t.Errorf("a record that a quorum covers: %+v", d)
	}
}

// An omission is noticed, also when other records are forked.
func TestOmissionIsSeen(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	w.deliver(l, w.proposal(l, "x"))
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.omits(nil, time.Now().Add(time.Minute)) {
		t.Error("a value that leaves out what it could cover passes")
	}
}

// What waits leaves nothing behind when it goes, however often it comes.
func TestPoolForgets(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	r := w.proposal(l, "x")
	var p pool
	for range 1000 {
		p.add(r, &state.Missing{Records: []protocol.ID{random32(), random32()}}, w.device.Public())
		p.add(r, &state.Missing{Checkpoint: 7}, w.device.Public())
	}
	if len(p.waiters) != 0 || len(p.heights) != 1 || len(p.heights[7]) != 1 {
		t.Errorf("holds %d waiters, %d heights", len(p.waiters), len(p.heights))
	}
	if got := p.releaseHeight(6); len(got) != 0 {
		t.Error("released before its checkpoint")
	}
	if got := p.releaseHeight(7); len(got) != 1 || p.size != 0 || len(p.heights) != 0 || len(p.records) != 0 {
		t.Errorf("released %d, left %d bytes", len(got), p.size)
	}
}

// A full pool gives up what cites the latest checkpoints: a node that catches
// up needs the others first.
func TestPoolKeepsWhatIsNext(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	var p pool
	first := w.proposal(l, "first")
	p.add(first, &state.Missing{Checkpoint: 2}, w.device.Public())
	missing := make([]protocol.ID, 1<<14)
	for i := range missing {
		missing[i] = random32()
	}
	for i := range 20 { // each as dear as 4 MiB
		p.add(w.proposal(l, strings.Repeat("x", i+1)), &state.Missing{Checkpoint: uint64(3 + i), Records: missing}, w.device.Public())
	}
	for h := uint64(2); h < 15; h++ {
		if len(p.heights[h]) == 0 {
			t.Errorf("what cites checkpoint %d went before what cites later ones", h)
		}
	}
	if p.size > maxPending {
		t.Errorf("%d bytes wait", p.size)
	}
}

// Whatever number of peers a device claims to be, it has one place in the book;
// and claiming another's peer keeps nobody out, nor draws dials away.
func TestOneBindingOfEachDevice(t *testing.T) {
	na, nb := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}), mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	a := foundAs(t, na, "Free Coders", "Anna")
	b, _ := enterBy(t, nb, a, "Boris")
	sign := func(c *Community, peer string, issued int64, addrs ...string) []byte {
		wire, err := identity.SignBinding(identity.Binding{
			Metastate: c.daily.Metastate, Persona: c.daily.Persona, Device: c.key.Public(), PeerID: []byte(peer),
			Addrs: addrs, Issued: issued, Expires: issued + 3600,
		}, c.key)
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
	r := newReplica(a.book(), newKeyring(nil, time.Now(), random32()))
	now := time.Now().Unix()
	for i := range 20 {
		delete(r.paces, b.key.Public())
		if _, err := r.addBinding(sign(b, "peer"+strings.Repeat("x", i), now+int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.Bindings()); n > 2 || len(r.claims) > 2 {
		t.Errorf("%d bindings of two devices, %d peers", n, len(r.claims))
	}
	// Boris claims Anna's peer before she is heard of.
	if _, err := r.addBinding(sign(b, "anna", now+100, "/ip4/192.0.2.1/tcp/1")); err != nil {
		t.Fatal(err)
	}
	mine := sign(a, "anna", now+200, "/ip4/192.0.2.2/tcp/2")
	if err := r.CheckBinding("anna", mine); err != nil || !r.Known("anna") {
		t.Fatal("shut out by a claim: ", err)
	}
	if got := r.addrs("anna"); len(got) != 1 || got[0] != "/ip4/192.0.2.2/tcp/2" {
		t.Errorf("dials %v", got)
	}
}

// knock is a request to join, of whatever shape, served as the lobby does.
func knock(t *testing.T, c *Community, inception, grant *protocol.Record, b identity.Binding, device identity.SigningKey) ([]byte, error) {
	t.Helper()
	wire, err := identity.SignBinding(b, device)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := dagcbor.Marshal(joinRequest{Inception: inception.Inner(), Grant: grant.Inner(), Binding: wire})
	if err != nil {
		t.Fatal(err)
	}
	return c.serveJoin(t.Context(), "knocker", raw)
}

// Requests that are not what they should be are refused and leave no trace.
func TestHostileKnocks(t *testing.T) {
	n := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	c := foundAs(t, n, "Free Coders", "Anna")
	l := c.book()
	inner, err := c.store.Get(c.Persona())
	if err != nil {
		t.Fatal(err)
	}
	inception, err := protocol.Parse(inner)
	if err != nil {
		t.Fatal(err)
	}
	device := identity.GenerateSigningKey()
	now := time.Now()
	binding := identity.Binding{
		Metastate: c.daily.Metastate, Persona: c.daily.Persona, Device: device.Public(), PeerID: []byte("knocker"),
		Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(),
	}
	// A member's inception with a record that no device countersigned.
	other, err := c.act(protocol.Propose, decision.ProposeBody{Title: "x", Method: "yes-no", Class: "ordinary", Voting: 7 * 24 * 3600})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := knock(t, c, inception, other, binding, device); err == nil {
		t.Error("answers one who is not the member")
	}
	// A newcomer whose admission would be void.
	lk := invited(t, c)
	e := identity.GenerateEntropy()
	key := identity.InviteKey([linkSecretSize]byte(lk.Secret), c.id)
	b, err := born(&e, c.id, 0, "Boris", key, device, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	persona := e.Persona(c.id, 0).SigningKey(0)
	h := b.grant.Header()
	h.Seq = 7
	void, err := protocol.Sign(h, identity.Grant{Device: device.Public(), Expires: now.Unix() + 3600}, nil, persona, device)
	if err != nil {
		t.Fatal(err)
	}
	binding.Persona = identity.Digest(b.inception.ID())
	before := l.store.Len()
	if _, err := knock(t, c, b.inception, void, binding, device); err != nil {
		t.Error(err)
	}
	if l.store.Len() != before {
		t.Error("a stranger made this member sign an admission that is void")
	}
	binding.PeerID = []byte("another")
	if _, err := knock(t, c, b.inception, b.grant, binding, device); err == nil {
		t.Error("serves a copy of somebody else's request")
	}
}

// A node that stopped before it learned the roll still knows whom to dial.
func TestStoppedBeforeTheRoll(t *testing.T) {
	na := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	a := foundAs(t, na, "Free Coders", "Anna")
	genesis, err := a.store.Get(a.id)
	if err != nil {
		t.Fatal(err)
	}
	secret := a.replica.keys.newest().secret
	wire := a.replica.Binding()
	st, err := store.Open(store.Config{InMemory: true, Key: bytes.Repeat([]byte{1}, 32)})
	if err == nil {
		err = st.Commit(store.Batch{
			Items:   []store.Item{{ID: a.id, Inner: genesis}},
			Private: map[string][]byte{privEpoch: secret[:], bindingKey(a.key.Public()): wire},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	d := newDaily(a.id, "x", random32())
	d.Persona[0] = 1
	c := newCommunity(d, st, network{cfg: &Config{Listen: []string{"/ip4/127.0.0.1/tcp/0"}}}, slog.New(slog.DiscardHandler))
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	if !c.replica.befriended(a.member.ID()) {
		t.Fatal("does not know whom to dial")
	}
}

// A flood of messages loses no timer: it would never come again, and the clerk
// would wait for it for good.
func TestFloodedClerkKeepsTimers(t *testing.T) {
	k := &clerk{wake: make(chan struct{}, 1)}
	for range 2 * maxInbox {
		k.post(letter{in: checkpoint.Received{}})
	}
	k.post(letter{1, checkpoint.TimedOut{}})
	got := k.take()
	if len(got) != maxInbox+1 {
		t.Errorf("%d letters", len(got))
	}
	if _, ok := got[len(got)-1].in.(checkpoint.TimedOut); !ok {
		t.Error("the timer is lost")
	}
}
