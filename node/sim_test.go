package node

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// A town is a metastate of many ledgers in one synctest bubble: real ledgers,
// replicas and clerks on stores in memory, and a network that loses, delays,
// reorders, repeats and cuts. Frames are the real ones; what libp2p would do,
// carry them, the town does.
type town struct {
	t     testing.TB
	ctx   context.Context
	stop  context.CancelFunc
	wg    sync.WaitGroup
	homes []*home
	panel int // so many homes hear what clerks agree about
	log   *slog.Logger
	carry func(from *home, kind p2p.Kind, frames [][]byte) // in place of the town's own network, if set

	invite protocol.ID         // that all joined by
	door   identity.SigningKey // its key
	drawer *vault.Contents     // whose personas they are; one is as good as many

	mu   sync.Mutex
	born uint32     // guarded by mu, like all below: personas so far
	rng  *rand.Rand // of the network and of what people do
	bad  bool       // the network misbehaves
	side []int      // of each home
}

// A home is one member's ledger.
type home struct {
	*town
	i     int
	daily vault.Daily
	ask   chan struct{}                     // capacity 1: a sync is wanted
	drops func(p2p.Kind, [][]byte) [][]byte // what is left of what comes, if set: it is dishonest

	mu    sync.Mutex
	c     *Community           // guarded by mu, like all below
	halt  func()               // ends the clerk
	heard map[protocol.ID]bool // messages
}

const (
	simSecret  = 7
	townClerks = 4
)

// newTown makes n members, of whom the first four are clerks and the last third
// starts with nothing but the genesis. It must run in a bubble.
func newTown(t testing.TB, n int, seed uint64) *town {
	w := emptyTown(t, n, seed)
	w.panel = townClerks
	founder := w.found()
	for i := 1; i < n; i++ {
		h := &home{town: w, i: i, ask: make(chan struct{}, 1), heard: map[protocol.ID]bool{}}
		h.daily = w.admit(founder)
		w.homes = append(w.homes, h)
	}
	var clerks []protocol.ID
	for _, h := range w.homes[1:townClerks] {
		clerks = append(clerks, protocol.ID(h.daily.Persona))
	}
	founder.finalise()
	if _, err := founder.c.Appoint(w.ctx, "clerk", clerks); err != nil {
		t.Fatal(err)
	}
	founder.finalise()
	past := founder.past()
	for _, h := range w.homes[1:] {
		h.open(w.storeOf(founder))
		if h.i < 2*n/3 {
			h.begins(founder, past)
		}
		if h.i < townClerks {
			if _, err := h.c.act(protocol.Serve, roll.ServeBody{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, h := range w.homes {
		h.begin()
		w.wg.Go(h.syncing)
	}
	return w
}

// emptyTown has room for n homes.
func emptyTown(t testing.TB, n int, seed uint64) *town {
	ctx, stop := context.WithCancel(context.Background())
	return &town{
		t: t, ctx: ctx, stop: stop, rng: rand.New(rand.NewPCG(seed, 0)), side: make([]int, n),
		log: slog.New(slog.DiscardHandler), drawer: &vault.Contents{Entropy: identity.GenerateEntropy()},
	}
}

// storeOf is a new store that holds nothing but the genesis.
func (w *town) storeOf(founder *home) *store.Store {
	st := w.newStore()
	genesis, err := founder.c.store.Get(founder.c.id)
	if err == nil {
		err = st.Commit(store.Batch{Items: []store.Item{{ID: founder.c.id, Inner: genesis}}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w *town) newStore() *store.Store {
	st, err := store.Open(store.Config{InMemory: true, Key: make([]byte, 32), Logger: w.log})
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// found makes the first home, with an invite for all others.
func (w *town) found() *home {
	c, err := charter.Template("union")
	if err != nil {
		w.t.Fatal(err)
	}
	now := time.Now()
	f, err := newFounding("Town", c, nil, now)
	if err != nil {
		w.t.Fatal(err)
	}
	ms := f.genesis.ID()
	d := newDaily(ms, "founder", random32())
	b, err := born(&w.drawer.Entropy, ms, 0, "", f.key, deviceKey(d), []protocol.ID{ms}, now)
	if err != nil {
		w.t.Fatal(err)
	}
	d.Persona = identity.Digest(b.inception.ID())
	batch, err := f.items(b, now)
	if err != nil {
		w.t.Fatal(err)
	}
	st := w.newStore()
	if err := st.Commit(batch); err != nil {
		w.t.Fatal(err)
	}
	h := &home{town: w, daily: d, ask: make(chan struct{}, 1), heard: map[protocol.ID]bool{}}
	w.homes = append(w.homes, h)
	h.open(st)
	w.door = identity.GenerateSigningKey()
	r, err := h.c.act(protocol.Invite, roll.InviteBody{Key: w.door.Public(), Uses: 1000, Expires: now.Add(24 * time.Hour).Unix()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.invite = r.ID()
	return h
}

// newcomer makes the records of somebody who has the invite.
func (w *town) newcomer(ms protocol.ID) (birth, vault.Daily) {
	w.mu.Lock()
	w.born++
	index := w.born
	w.mu.Unlock()
	d := newDaily(ms, "newcomer", random32())
	b, err := born(&w.drawer.Entropy, ms, index, "", w.door, deviceKey(d), nil, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	d.Persona = identity.Digest(b.inception.ID())
	return b, d
}

func (w *town) admit(by *home) vault.Daily {
	b, d := w.newcomer(by.c.id)
	body := roll.AdmitBody{Persona: b.inception.ID(), Invite: w.invite}
	if _, err := by.c.act(protocol.Admit, body, b.inception, b.grant); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// finalise makes a checkpoint of all there is, while one clerk is a quorum.
func (h *home) finalise() {
	h.t.Helper()
	next, ok, err := h.c.ledger.propose(protocol.ID{})
	if err != nil || !ok {
		h.t.Fatal("nothing to make final: ", err)
	}
	tip := h.c.ledger.currentTip()
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: h.c.id, Height: tip.Ref().Height + 1, Prev: tip.Ref().ID, Clerks: tip.Clerks(), Signer: h.c.key,
	}, next.Encoded)
	if err == nil {
		err = h.c.ledger.finalise(cert)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// open takes up what a store holds, as a node does that starts.
func (h *home) open(st *store.Store) {
	c := newCommunity(h.daily, st, network{cfg: &Config{}}, h.log)
	l, err := openLedger(c.id, c.key.Public(), st, h.log, c.changed)
	if err != nil {
		h.t.Fatal(err)
	}
	r := newReplica(l, newKeyring(nil, time.Now(), [32]byte{simSecret}))
	r.fetch = func() {
		select {
		case h.ask <- struct{}{}:
		default:
		}
	}
	k := &clerk{ledger: l, device: c.key, log: h.log, wake: make(chan struct{}, 1), announce: h.announce, ahead: r.fetch}
	k.send = func(parts [][]byte) { h.spread(p2p.Agreement, parts...) }
	k.synced = func() bool { return false }
	k.bring = func(e roll.EvidenceBody) { go c.bring(e) }
	r.clerk = k
	c.ledger, c.replica, c.clerk = l, r, k
	h.mu.Lock()
	h.c = c
	h.mu.Unlock()
}

// past is every record that a home holds.
func (h *home) past() []*protocol.Record {
	var inners [][]byte
	for e, err := range h.c.store.Log(0) {
		if err != nil {
			h.t.Fatal(err)
		}
		inner, err := h.c.store.Get(e.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		inners = append(inners, inner)
	}
	recs, errs := protocol.ParseBatch(nil, inners)
	if err := errors.Join(errs...); err != nil {
		h.t.Fatal(err)
	}
	return recs
}

// begins takes a home to where the founder is. Its records are verified once
// for all homes that begin so; those that begin with nothing verify their own.
func (h *home) begins(founder *home, past []*protocol.Record) {
	l := h.c.ledger
	var d delivery
	l.mu.Lock()
	err := l.take(past, &d)
	l.mu.Unlock()
	if err != nil || len(d.refused) > 0 {
		h.t.Fatal(err, d.refused)
	}
	h.pull(founder, 1) // the checkpoints
	if h.c.ledger.currentTip().Ref() != founder.c.ledger.currentTip().Ref() {
		h.t.Fatalf("home %d begins at height %d, the founder at %d", h.i, h.c.ledger.currentTip().Ref().Height, founder.c.ledger.currentTip().Ref().Height)
	}
}

func (h *home) begin() {
	ctx, cancel := context.WithCancel(h.ctx)
	done := make(chan struct{})
	k := h.community().clerk
	go func() { defer close(done); k.run(ctx) }()
	h.mu.Lock()
	h.halt = func() { cancel(); <-done }
	h.mu.Unlock()
}

// restart ends a home as by a crash and takes up what its store holds.
func (h *home) restart() {
	h.mu.Lock()
	halt, st := h.halt, h.c.store
	h.mu.Unlock()
	halt()
	h.open(st)
	h.begin()
}

func (h *home) community() *Community {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.c
}

func (w *town) close() {
	w.stop()
	w.wg.Wait()
	for _, h := range w.homes {
		if h.c == nil { // it was not to begin yet
			continue
		}
		h.halt()
		if err := h.c.store.Close(); err != nil {
			w.t.Error(err)
		}
	}
}
