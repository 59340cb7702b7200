package node

import (
	"log/slog"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/store"
)

// A realm is a metastate without a network: its founder's keys, and ledgers
// that hold the founding.
type realm struct {
	t       *testing.T
	founded store.Batch
	f       founding
	b       birth
	persona identity.SigningKey
	device  identity.SigningKey
}

func newRealm(t *testing.T) *realm {
	t.Helper()
	c, err := charter.Template(charter.DefaultTemplate)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	f, err := newFounding("Free Coders", c, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	e := identity.GenerateEntropy()
	w := &realm{t: t, f: f, device: identity.GenerateSigningKey(), persona: e.Persona(f.genesis.ID(), 0).SigningKey(0)}
	if w.b, err = born(&e, f.genesis.ID(), 0, "Anna", f.key, w.device, []protocol.ID{f.genesis.ID()}, now); err != nil {
		t.Fatal(err)
	}
	if w.founded, err = f.items(w.b, now); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *realm) ledger() *ledger {
	w.t.Helper()
	key := random32()
	st, err := store.Open(store.Config{InMemory: true, Key: key[:]})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = st.Close() })
	if err := st.Commit(w.founded); err != nil {
		w.t.Fatal(err)
	}
	l, err := openLedger(w.f.genesis.ID(), w.device.Public(), st, slog.New(slog.DiscardHandler), func() {})
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// proposal is a control record of the founder's device at the start of its
// chain.
func (w *realm) proposal(l *ledger, title string) *protocol.Record {
	w.t.Helper()
	h := protocol.Header{
		Metastate: l.metastate, Kind: protocol.Propose, Persona: w.b.inception.ID(), Key: w.device.Public(),
		Checkpoint: l.tip.Ref(), Parents: []protocol.ID{w.b.grant.ID()}, Time: time.Now().Unix(),
	}
	r, err := protocol.Sign(h, decision.ProposeBody{Title: title, Method: "yes-no", Class: "ordinary", Voting: 7 * 24 * 3600}, nil, w.device)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *realm) deliver(l *ledger, list ...*protocol.Record) delivery {
	w.t.Helper()
	var inners [][]byte
	for _, r := range list {
		inners = append(inners, r.Inner())
	}
	d, err := l.deliver(inners)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}
