package node

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// SPEC §9.3: of the epochs held the newest is spoken under, the one before is
// heard for a day, and both are what a newcomer gets. A restart changes nothing.
func TestEpochsOverlap(t *testing.T) {
	st, err := store.Open(store.Config{InMemory: true, Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := openKeyring(st); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	first := [32]byte{1}
	if err := st.PutPrivate(privEpoch, first[:]); err != nil {
		t.Fatal(err)
	}
	k, err := openKeyring(st)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(k.inForce(now)); n != 1 || k.newest().secret != first {
		t.Fatalf("%d epochs in force at first", n)
	}
	for _, again := range []bool{false, true} {
		if fresh, err := k.adopt([32]byte{2}, now); err != nil || fresh == again {
			t.Fatal(fresh, err)
		}
	}
	if fresh, err := k.adopt(first, now); err != nil || fresh || k.newest().secret != [32]byte{2} {
		t.Error("an epoch that is over comes back", err)
	}
	reread, err := openKeyring(st)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*keyring{k, reread} {
		last := now.Add(epochOverlap - time.Second)
		if k.newest().secret != [32]byte{2} || len(k.all()) != 2 {
			t.Error("the newest is not the one adopted last")
		}
		if f := k.inForce(last); len(f) != 2 || f[1].secret != first {
			t.Error("the one before is not heard during the overlap")
		}
		if f := k.inForce(last.Add(time.Second)); len(f) != 1 || f[0].secret != [32]byte{2} {
			t.Error("the one before is heard after the overlap")
		}
	}
	for i := range 2 * maxKeptEpochs {
		if _, err := k.adopt([32]byte{3, byte(i)}, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(k.all()); n != maxKeptEpochs {
		t.Errorf("%d epochs are kept", n)
	}
	if err := st.PutPrivate(privEpoch, make([]byte, 33)); err != nil {
		t.Fatal(err)
	}
	if _, err := openKeyring(st); err == nil {
		t.Error("damaged secrets are taken")
	}
}

// Liars who welcome a newcomer give it ever new secrets that lead to nobody, or to
// themselves alone. That keeps none out that comes later, and puts none out under
// which members were met since.
func TestLiarsFillNoKeyring(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	fill := func(k *keyring, of byte, take func(secret [32]byte, now time.Time) error) {
		for i := range byte(2 * maxKeptEpochs) {
			now = now.Add(time.Second)
			if err := take([32]byte{of, i}, now); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(k.all()); n != maxKeptEpochs {
			t.Fatalf("%d epochs are kept", n)
		}
	}
	holds := func(k *keyring, secret [32]byte) bool { return k.find(secret).secret == secret }
	for name, take := range map[string]func(k *keyring) func([32]byte, time.Time) error{
		"kept": func(k *keyring) func([32]byte, time.Time) error { return k.keep },
		"adopted": func(k *keyring) func([32]byte, time.Time) error {
			return func(secret [32]byte, now time.Time) error { _, err := k.adopt(secret, now); return err }
		},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := store.Open(store.Config{InMemory: true, Key: make([]byte, 32)})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			first, honest, late := [32]byte{1}, [32]byte{2}, [32]byte{3}
			k := newKeyring(st, now, first)
			if err := errors.Join(k.keep(honest, now), k.proves(honest, now)); err != nil {
				t.Fatal(err)
			}
			fill(k, 4, take(k))
			if k, err = openKeyring(st); err != nil || !holds(k, honest) {
				t.Fatal("an epoch that led to members was put out:", err)
			}
			fill(k, 5, take(k))
			if !holds(k, honest) {
				t.Error("after a restart an epoch that led to members was put out")
			}
			for _, e := range k.all() { // the liars show that they hold their own
				now = now.Add(time.Second)
				if err := k.proves(e.secret, now); err != nil {
					t.Fatal(err)
				}
			}
			if err := k.keep(late, now); err != nil || !holds(k, late) {
				t.Error("a full ring keeps an epoch out:", err)
			}
		})
	}
}

// Whom a session is with has shown to hold its epoch.
func TestSessionsProveEpochs(t *testing.T) {
	st, err := store.Open(store.Config{InMemory: true, Key: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	k := newKeyring(st, time.Now(), [32]byte{2}, [32]byte{1})
	r := &replica{keys: k}
	r.Under([32]byte{1})
	if k.find([32]byte{1}).proven.IsZero() || !k.newest().proven.IsZero() {
		t.Error("a session proves another epoch than its own, or none")
	}
}

func TestJoinEpochs(t *testing.T) {
	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	for name, bad := range map[string][][]byte{
		"none": nil, "three": {a, b, bytes.Repeat([]byte{3}, 32)}, "short": {a[:31]}, "one twice": {a, a},
	} {
		if _, err := parseJoinEpochs(bad, time.Now()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if got, err := parseJoinEpochs([][]byte{a, b}, time.Unix(7, 0)); err != nil || len(got) != 72 || !bytes.Equal(got[32:64], b) || got[71] != 2*7 {
		t.Errorf("%x, %v", got, err)
	}
}

// In a session everything is under the epoch that both have in common, and
// nothing else is opened; outside of any, under those in force.
func TestUnderAnEpoch(t *testing.T) {
	old, next, other := protocol.NewEpoch([32]byte{1}, true), protocol.NewEpoch([32]byte{2}, true), protocol.NewEpoch([32]byte{3}, true)
	r := &replica{keys: newKeyring(nil, time.Now(), [32]byte{2}, [32]byte{1})}
	session := r.Under([32]byte{1})
	content := []byte("content")
	opens := func(r *replica, e *protocol.Epoch) bool {
		_, err := r.unseal(protocol.ContentRecord, e.Seal(protocol.ContentRecord, content))
		return err == nil && r.Check(p2p.Records, e.Seal(protocol.ContentRecord, content)) == p2p.Accept
	}
	if !opens(r, old) || !opens(r, next) || opens(r, other) {
		t.Error("outside of a session: not the epochs in force, or others")
	}
	if !opens(session, old) || opens(session, next) {
		t.Error("in a session: not the epoch in common, or another")
	}
	if f := session.seal(p2p.Records, content)[0]; !bytes.Equal(f, old.Seal(protocol.ContentRecord, content)) {
		t.Error("sealed under another epoch than the session's")
	}
	if f := r.seal(p2p.Records, content)[0]; !bytes.Equal(f, next.Seal(protocol.ContentRecord, content)) {
		t.Error("not sealed under the newest epoch")
	}
	foreign := other.Seal(protocol.ContentRecord, content)
	if _, err := session.Deliver(t.Context(), "", p2p.Records, [][]byte{foreign}); !errors.Is(err, p2p.ErrPeer) {
		t.Error("a frame of another epoch in a session:", err)
	}
}

// Three nodes, of which two go on under a new epoch: all remain equal, since
// sessions are under what both hold; who is admitted then gets both.
func TestEpochChanges(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	later, err := a.CreateInvite(t.Context(), InviteRequest{}) // of no lobby but Anna's: Cveta's would give one epoch
	if err != nil {
		t.Fatal(err)
	}
	b, _ := enterBy(t, onLoopback(t), a, "Boris")
	c, _ := enterBy(t, onLoopback(t), a, "Cveta")
	next := random32()
	for _, m := range []*Community{a, b} {
		if err := m.adoptEpoch(next); err != nil {
			t.Fatal(err)
		}
	}
	n := onLoopback(t)
	m, err := n.Join(t.Context(), JoinRequest{Link: later.Link, As: "Dimitar"}) // Cveta hears of it by sync alone
	if err != nil {
		t.Fatal(err)
	}
	d := n.lookup(m.Metastate)
	await(t, d, "Dimitar is a member", isMember(d))
	if held := d.replica.keys.inForce(time.Now()); len(held) != 2 || held[0].secret != next {
		t.Errorf("the newcomer holds %d epochs", len(held))
	}
	inv, err := c.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*Community{"Anna": a, "Boris": b, "Cveta": c, "Dimitar": d} {
		soon(t, name+" has what all wrote", func() bool {
			if _, err := m.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			held, err := m.store.Has(inv.Invite)
			return err == nil && held && m.Snapshot().View.Roll().Member(d.Persona()) != nil
		})
	}
}

// Whose device signed two records at one place is not heard any more, unless the
// peer proved to be somebody else's.
func TestShunned(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	b, _ := enterBy(t, onLoopback(t), a, "Boris")
	peer := b.member.ID()
	soon(t, "Boris's peer is known", func() bool { return a.replica.Known(peer) })
	if a.replica.Shunned(peer) {
		t.Fatal("shunned for nothing")
	}
	var twin *protocol.Record
	one, err := b.ledger.write(b.Persona(), b.key.Public(), protocol.Invite, protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		body := roll.InviteBody{Key: identity.GenerateSigningKey().Public(), Uses: 1, Expires: h.Time + 1000}
		var err error
		if twin, err = protocol.Sign(h, body, nil, b.key); err != nil {
			return nil, err
		}
		body.Expires++
		return protocol.Sign(h, body, nil, b.key)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.ledger.deliver([][]byte{one.Inner(), twin.Inner()}); err != nil {
		t.Fatal(err)
	}
	soon(t, "Boris is shunned", func() bool { return a.replica.Shunned(peer) })
	if !a.replica.Known(peer) {
		t.Error("nobody syncs with Boris any more")
	}
	r := a.replica
	r.mu.Lock()
	r.claims[peer][a.key.Public()] = true
	own := r.bindings[a.key.Public()]
	own.proven = true
	r.bindings[a.key.Public()] = own
	r.mu.Unlock()
	proven := r.bindings[b.key.Public()].proven
	if r.Shunned(peer) {
		t.Errorf("a peer that is somebody else's is shunned (Boris proven: %v)", proven)
	}
}
