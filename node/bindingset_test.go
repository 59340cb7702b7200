package node

import (
	"errors"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/store"
)

// signsOf has a persona's key sign the next record of its chain.
func signsOf(t *testing.T, n *Node, c *Community, kind protocol.Kind, body any, cosigners ...identity.SigningKey) *protocol.Record {
	t.Helper()
	key := n.vault.memory.Entropy.Persona(c.id, c.daily.Index).SigningKey(0)
	signers := []identity.Signer{key}
	r, err := c.book().write(c.Persona(), key.Public(), kind, protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		for _, k := range cosigners {
			h.Cosigners, signers = append(h.Cosigners, k.Public()), append(signers, k)
		}
		return protocol.Sign(h, body, nil, signers...)
	})
	if err != nil {
		t.Fatal(err)
	}
	c.publish(p2p.Records, r.Inner())
	return r
}

// grantTo has a person give a device to the persona, and waits until it is final
// elsewhere.
func grantTo(t *testing.T, n *Node, c, seenBy *Community, device identity.SigningKey) {
	t.Helper()
	signsOf(t, n, c, protocol.Grant, identity.Grant{Device: device.Public(), Expires: time.Now().Unix() + 1e6}, device)
	await(t, seenBy, "the device is granted", func() bool { return seenBy.Snapshot().Final.Roll().Device(device.Public()) != nil })
}

func bindingOf(t *testing.T, c *Community, device identity.SigningKey, from time.Duration) []byte {
	t.Helper()
	at := time.Now().Add(from).Unix()
	wire, err := identity.SignBinding(identity.Binding{
		Metastate: c.daily.Metastate, Persona: c.daily.Persona, Device: device.Public(), PeerID: []byte("peer"), Issued: at, Expires: at + 1e6,
	}, device)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// A full set holds the same whatever came first: everybody's first device before
// anybody's second.
func TestFullBindings(t *testing.T) {
	na, nb, nc := onLoopback(t), onLoopback(t), onLoopback(t)
	a := foundAs(t, na, "Free Coders", "Anna")
	b, _ := enterBy(t, nb, a, "Boris")
	c, _ := enterBy(t, nc, a, "Cveta")
	second, third := identity.GenerateSigningKey(), identity.GenerateSigningKey()
	grantTo(t, nb, b, a, second)
	grantTo(t, nb, b, a, third)
	await(t, a, "Cveta on the roll", func() bool { return a.Snapshot().Final.Roll().Member(c.Persona()) != nil })
	for turn := range 3 {
		r := newReplica(a.book(), newKeyring(nil, time.Now(), random32()))
		clear(r.bindings)
		clear(r.claims)
		clear(r.doors)
		r.room = 3
		in := [][]byte{bindingOf(t, b, third, 0), bindingOf(t, b, second, 0), bindingOf(t, c, c.key, 0), bindingOf(t, b, b.key, 0), bindingOf(t, a, a.key, 0)}
		for i := range in {
			if _, err := r.addBinding(in[(i*2+turn)%len(in)]); err != nil {
				t.Fatal(err)
			}
		}
		for who, key := range map[string]identity.PublicKey{"Anna": a.key.Public(), "Boris": b.key.Public(), "Cveta": c.key.Public()} {
			if _, held := r.bindings[key]; !held || len(r.bindings) != 3 || len(r.claims["peer"]) != 3 {
				t.Errorf("turn %d: %s has no place among %d: %d claims", turn, who, len(r.bindings), len(r.claims["peer"]))
			}
		}
		if _, err := a.store.Private(bindingKey(second.Public())); !errors.Is(err, store.ErrNotFound) {
			t.Error("what has no place stays in the store: ", err)
		}
	}
}

// What expired, and what the roll does not list, goes when the roll changes, also
// out of the store; what is fresh waits there for its device to be listed.
func TestLapsedBindingsGo(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	stray, fresh := identity.GenerateSigningKey(), identity.GenerateSigningKey()
	put := func(device identity.SigningKey, from time.Duration) peerRecord {
		wire := bindingOf(t, a, device, from)
		b, err := identity.ParseBinding(wire)
		if err == nil {
			err = a.store.PutPrivate(bindingKey(device.Public()), wire)
		}
		if err != nil {
			t.Fatal(err)
		}
		return peerRecord{signed: wire, Binding: b}
	}
	stored := func(device identity.SigningKey) bool {
		_, err := a.store.Private(bindingKey(device.Public()))
		return err == nil
	}
	held := put(stray, -2*time.Hour)
	a.replica.mu.Lock()
	a.replica.hold(held)
	a.replica.mu.Unlock()
	enterBy(t, onLoopback(t), a, "Boris")
	soon(t, "a device that nobody granted is given up", func() bool {
		a.replica.mu.Lock()
		defer a.replica.mu.Unlock()
		_, there := a.replica.bindings[stray.Public()]
		return !there && !stored(stray)
	})
	put(stray, -2*strayLife)
	put(fresh, 0)
	r := newReplica(a.book(), newKeyring(nil, time.Now(), random32()))
	r.device = a.key.Public()
	r.loadBindings()
	if stored(stray) || !stored(fresh) || !stored(a.key) || len(r.bindings) != 2 {
		t.Errorf("stray %v, fresh %v, own %v, %d held", stored(stray), stored(fresh), stored(a.key), len(r.bindings))
	}
}

// A device that was revoked is spoken with no more: connections with it end, and
// what is written afterwards does not come to it, whoever dials.
func TestRevokedDeviceIsParted(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	nb := onLoopback(t)
	b, _ := enterBy(t, nb, a, "Boris")
	c, _ := enterBy(t, onLoopback(t), a, "Cveta")
	peer := b.member.ID()
	connected := func(of *Community, id string) bool {
		for _, p := range of.member.Peers() {
			if p.ID == id && p.Connected {
				return true
			}
		}
		return false
	}
	soon(t, "Boris is connected", func() bool { return connected(a, peer) && a.replica.Known(peer) })
	signsOf(t, nb, b, protocol.Revoke, roll.RevokeBody{Cut: roll.Place{Device: b.key.Public()}})
	revoked := func(of *Community) func() bool {
		return func() bool { return of.Snapshot().Final.Roll().Device(b.key.Public()).Marks().Revoked != 0 }
	}
	await(t, a, "the device is revoked", revoked(a))
	await(t, c, "the device is revoked", revoked(c))
	if _, err := a.CreateInvite(t.Context(), InviteRequest{}); err != nil { // another checkpoint
		t.Fatal(err)
	}
	soon(t, "it is known no more", func() bool { return !a.replica.Known(peer) && !c.replica.Known(peer) })
	soon(t, "it is parted from", func() bool { return !connected(a, peer) && !connected(c, peer) })
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "Cveta has what came after", func() bool {
		held, err := c.store.Has(inv.Invite)
		return err == nil && held
	})
	if err := b.member.AddPeer(p2p.Peer{ID: a.member.ID(), Addrs: a.member.Addrs(), Bootstrap: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Sync(t.Context()); err == nil && got.Received > 0 {
		t.Errorf("it is served: %+v", got)
	}
	if held, err := b.store.Has(inv.Invite); err != nil || held {
		t.Error("it got what came after: ", err)
	}
}
