package node

import (
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Without an invite nobody comes in unless the charter says so, and with one
// strangers can't spend all that the serving member's device may write.
func TestDoor(t *testing.T) {
	w := newRealm(t)
	l := w.ledger()
	if _, no := door(l.Snapshot(), nil); no == nil || !no.Refused {
		t.Error("admits without an invite where the charter asks for one")
	}
	c := &Community{id: l.metastate, desk: desk{ledger: l}, key: w.device, log: l.log}
	c.daily.Persona = identity.Digest(w.b.inception.ID())
	key := identity.InviteKey([linkSecretSize]byte{1}, l.metastate)
	if _, err := l.write(c.Persona(), w.device.Public(), protocol.Invite, protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		return protocol.Sign(h, roll.InviteBody{Key: key.Public(), Uses: 9, Expires: l.now().Unix() + 3600}, nil, w.device)
	}); err != nil {
		t.Fatal(err)
	}
	knock := func(index uint32) *joinAnswer {
		e := identity.GenerateEntropy()
		b, err := born(&e, l.metastate, index, "Eve", key, identity.GenerateSigningKey(), nil, l.now())
		if err != nil {
			t.Fatal(err)
		}
		return c.admit(l, []*protocol.Record{b.inception, b.grant})
	}
	if no := knock(1); no != nil {
		t.Errorf("refuses: %+v", no)
	}
	_, prev := l.end(c.Persona(), w.device.Public())
	for i := uint64(2); i < protocol.MaxAhead/2; i++ {
		r := w.follows(l, "x", i, prev, w.b.grant.ID())
		l.add(r, l.now())
		prev = r.ID()
	}
	if no := knock(2); no == nil || !strings.Contains(no.Reason, "as many as it can") {
		t.Errorf("strangers spend on: %+v", no)
	}
}

// A dead invite is refused at the door, with the reason in words.
func TestDoorTellsWhy(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	invite := func(req InviteRequest) (InviteLink, []identity.PublicKey) {
		t.Helper()
		inv, err := a.CreateInvite(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		l, err := parseLink(inv.Link)
		if err != nil {
			t.Fatal(err)
		}
		return inv, []identity.PublicKey{identity.InviteKey([linkSecretSize]byte(l.Secret), a.id).Public()}
	}
	short, expired := invite(InviteRequest{Expires: time.Second})
	ended, revoked := invite(InviteRequest{})
	if _, err := a.RevokeInvite(t.Context(), ended.Invite); err != nil {
		t.Fatal(err)
	}
	once, used := invite(InviteRequest{})
	n := onLoopback(t)
	m, err := n.Join(t.Context(), JoinRequest{Link: once.Link, As: "Boris"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, n.lookup(m.Metastate), "a member", isMember(n.lookup(m.Metastate)))
	soon(t, "the invite expires", func() bool { return time.Now().Unix() >= short.Expires.Unix() })
	for want, key := range map[string][]identity.PublicKey{"expired": expired, "revoked": revoked, "no uses left": used} {
		if _, no := door(a.Snapshot(), key); no == nil || !no.Refused || !strings.Contains(no.Reason, want) {
			t.Errorf("%s: %+v", want, no)
		}
	}
	if _, no := door(a.Snapshot(), []identity.PublicKey{{1}}); no == nil || no.Refused {
		t.Errorf("an invite that is not known here may be to others: %+v", no)
	}
	late := onLoopback(t)
	if _, err := late.Join(t.Context(), JoinRequest{Link: short.Link}); AsError(err).Exit != ExitRefused || !strings.Contains(err.Error(), "expired") {
		t.Errorf("joining by an invite that expired: %v", err)
	}
}
