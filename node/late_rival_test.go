package node

import (
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// A newcomer's key signs two rivals that follow the grant inside the admission.
// The node that hears of the second after the first is final refuses it, and one
// that heard before drops it then: or their sets would differ for good.
func TestLateRivalInsideAdmission(t *testing.T) {
	na, nb := mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}), mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	a := foundAs(t, na, "Free Coders", "Anna")
	b, _ := enterBy(t, nb, a, "Boris")
	await(t, a, "Boris on the roll", func() bool { return a.Snapshot().Final.Roll().Member(b.Persona()) != nil })
	m := a.Snapshot().Final.Roll().Member(b.Persona())
	key := nb.vault.memory.Entropy.Persona(a.id, b.daily.Index).SigningKey(0)
	grant := func() *protocol.Record {
		dev := identity.GenerateSigningKey()
		h := protocol.Header{
			Metastate: a.id, Kind: protocol.Grant, Persona: m.Persona, Key: key.Public(), Seq: m.Keys.Chain.Next, Prev: m.Keys.Chain.Head,
			Cosigners: []identity.PublicKey{dev.Public()}, Checkpoint: a.Snapshot().Ref, Time: time.Now().Unix(),
		}
		r, err := protocol.Sign(h, identity.Grant{Device: dev.Public(), Expires: time.Now().Unix() + 3600}, nil, key, dev)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	early, late := grant(), grant()
	if d, err := a.book().deliver([][]byte{early.Inner()}); err != nil || d.taken != 1 {
		t.Fatal(d, err)
	}
	await(t, a, "the first is final", func() bool { return a.Snapshot().Final.Roll().Member(m.Persona).Keys.Chain.Next == 3 })
	if d, err := a.book().deliver([][]byte{late.Inner()}); err != nil || len(d.refused) != 1 {
		t.Errorf("the second, heard of late: %+v, %v", d, err)
	}
	l := b.book() // as if it had heard before
	await(t, b, "the first is final", func() bool { return b.Snapshot().Final.Roll().Member(m.Persona).Keys.Chain.Next == 3 })
	l.mu.Lock()
	l.add(late, time.Now())
	l.lapse([]*protocol.Record{early}, false)
	held := l.holds(late)
	l.mu.Unlock()
	if held {
		t.Error("who held the second holds it still")
	}
	await(t, a, "nothing is left over", func() bool { return len(a.Snapshot().Open) == 0 })
}
