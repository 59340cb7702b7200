package node

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// onLoopback opens a node in memory.
func onLoopback(t *testing.T) *Node {
	t.Helper()
	return mustOpen(t, Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
}

// invited is the link of a new invite.
func invited(t *testing.T, by *Community) link {
	t.Helper()
	inv, err := by.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := parseLink(inv.Link)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// soon waits for a condition that nothing tells of.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(inVain); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("waited in vain: ", what)
		}
	}
}

// An invite names lobbies of three members, and any of them serves who knocks:
// here when whoever made the invite is gone.
func TestAnyMemberServesAJoin(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	nb := onLoopback(t)
	b, _ := enterBy(t, nb, a, "Boris")
	enterBy(t, onLoopback(t), a, "Cveta")
	enterBy(t, onLoopback(t), a, "Dora")
	soon(t, "three lobbies are known", func() bool { return len(b.bootstraps(b.Snapshot())) == maxBootstraps })
	inv, err := b.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := ReadLink(inv.Link)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	own := b.lobby.ID()
	b.mu.Unlock()
	named := map[string]bool{}
	for _, l := range info.Lobbies {
		named[l.Peer] = true
	}
	if len(named) != maxBootstraps || info.Lobbies[0].Peer != own {
		t.Errorf("the invite names %+v", info.Lobbies)
	}
	if err := nb.Close(); err != nil {
		t.Fatal(err)
	}
	n := onLoopback(t)
	scanned, err := ForQR(inv.Link)
	if err != nil {
		t.Fatal(err)
	}
	m, err := n.Join(t.Context(), JoinRequest{Link: scanned, As: "Emil"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, n.lookup(m.Metastate), "a member by others' lobbies", isMember(n.lookup(m.Metastate)))
}

// Who may admit nobody, or is not connected, is named in no invite.
func TestLobbiesOfWhoCanServe(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	nb := onLoopback(t)
	b, _ := enterBy(t, nb, a, "Boris")
	two := func() bool { return len(a.bootstraps(a.Snapshot())) == 2 }
	soon(t, "both lobbies are known", two)
	if _, err := a.Suspend(t.Context(), b.Persona(), "for the test"); err != nil {
		t.Fatal(err)
	}
	if got := a.bootstraps(a.Snapshot()); len(got) != 1 {
		t.Errorf("names the lobby of who is suspended: %d", len(got))
	}
	c := foundAs(t, onLoopback(t), "Other Coders", "Carl")
	nd := onLoopback(t)
	enterBy(t, nd, c, "Dora")
	soon(t, "both lobbies are known", func() bool { return len(c.bootstraps(c.Snapshot())) == 2 })
	if err := nd.Close(); err != nil {
		t.Fatal(err)
	}
	soon(t, "who went is named no more", func() bool { return len(c.bootstraps(c.Snapshot())) == 1 })
}

// One lobby that lies, that the invite is dead or with a welcome to something
// else, keeps nobody out whom an honest one lets in. The honest one has no
// decision until the liar was asked, so that it is the liar's word that counts.
func TestLiarAtOneOfTheDoors(t *testing.T) {
	other := foundAs(t, onLoopback(t), "Another", "Eve")
	genesis, err := other.store.Get(other.id)
	if err != nil {
		t.Fatal(err)
	}
	for name, lie := range map[string]joinAnswer{
		"the invite is dead":        {Reason: "the invite was revoked", Refused: true},
		"welcome to something else": {Standing: "member", Genesis: genesis, Epochs: [][]byte{make([]byte, 32)}},
	} {
		t.Run(name, func(t *testing.T) {
			a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
			var lied atomic.Bool
			liar := openDoor(t, func(context.Context, string, []byte) ([]byte, error) {
				lied.Store(true)
				return dagcbor.Marshal(lie)
			})
			n, m := joinsBehind(t, a, liar, &lied, 0)
			await(t, n.lookup(m.Metastate), "a member all the same", isMember(n.lookup(m.Metastate)))
		})
	}
}

// joinsBehind has somebody join a by an invite that names a liar's lobby and one
// that admits nobody before the liar has answered, nor the first times after.
func joinsBehind(t *testing.T, a *Community, liar bootstrap, lied *atomic.Bool, busy int32) (*Node, Membership) {
	t.Helper()
	var after atomic.Int32
	honest := openDoor(t, func(ctx context.Context, peerID string, raw []byte) ([]byte, error) {
		if !lied.Load() || after.Add(1) <= busy {
			return dagcbor.Marshal(joinAnswer{Reason: "does not know the invite yet"})
		}
		return a.serveJoin(ctx, peerID, raw)
	})
	l := invited(t, a)
	l.Bootstraps = []bootstrap{liar, honest}
	n := onLoopback(t)
	m, err := n.Join(t.Context(), JoinRequest{Link: l.String(), As: "Boris"})
	if err != nil {
		t.Fatal(err)
	}
	return n, m
}

func openDoor(t *testing.T, serve p2p.Serve) bootstrap {
	t.Helper()
	l, err := p2p.NewLobby(p2p.Config{Seed: random32(), Listen: []string{"/ip4/127.0.0.1/tcp/0"}}, serve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	b, err := bootstrapAt(p2p.Peer{ID: l.ID(), Addrs: l.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Who finds an invite learns from it no member, no transport peer of a member, no
// secret and no topic; and once it is used up, asking with it shows none either.
func TestLeakedInviteRevealsNobody(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	b, _ := enterBy(t, onLoopback(t), a, "Boris")
	soon(t, "both lobbies are known", func() bool { return len(a.bootstraps(a.Snapshot())) == 2 })
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(inv.Link[len(linkPrefix):])
	if err != nil {
		t.Fatal(err)
	}
	epoch := a.replica.keys.newest().secret
	mac := hmac.New(sha256.New, epoch[:])
	mac.Write([]byte("metastate/topic/v1"))
	topic := base32.StdEncoding.EncodeToString(mac.Sum(nil))[:26]
	secrets := map[string][]byte{"the epoch's secret": epoch[:], "a topic": []byte(topic)}
	for name, c := range map[string]*Community{"Anna": a, "Boris": b} {
		persona, device := c.Persona(), c.key.Public()
		secrets["the persona of "+name] = persona[:]
		secrets["the device of "+name] = device[:]
		id, _, err := p2p.Peer{ID: c.member.ID()}.Pack()
		if err != nil {
			t.Fatal(err)
		}
		secrets["the peer of "+name] = id
		secrets[name] = []byte(name)
	}
	for what, secret := range secrets {
		if bytes.Contains(raw, secret) {
			t.Errorf("the invite shows %s", what)
		}
	}
	n := onLoopback(t)
	m, err := n.Join(t.Context(), JoinRequest{Link: inv.Link, As: "Cveta"})
	if err != nil {
		t.Fatal(err)
	}
	await(t, n.lookup(m.Metastate), "a member", isMember(n.lookup(m.Metastate)))
	l, err := parseLink(inv.Link)
	if err != nil {
		t.Fatal(err)
	}
	e, device := identity.GenerateEntropy(), identity.GenerateSigningKey()
	late, err := born(&e, a.id, 0, "Mallory", identity.InviteKey([linkSecretSize]byte(l.Secret), a.id), device, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := knock(t, a, late.inception, late.grant, identity.Binding{
		Metastate: identity.Digest(a.id), Persona: identity.Digest(late.inception.ID()), Device: device.Public(), PeerID: []byte("knocker"),
		Issued: time.Now().Unix(), Expires: time.Now().Add(time.Hour).Unix(),
	}, device)
	if err != nil {
		t.Fatal(err)
	}
	var got joinAnswer
	if err := dagcbor.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if !got.Refused || got.Standing != "" || got.Genesis != nil || got.Epochs != nil || got.Bindings != nil {
		t.Errorf("who comes with a leaked invite that is used up is told %+v", got)
	}
	for what, secret := range secrets {
		if bytes.Contains(answer, secret) {
			t.Errorf("the answer shows %s", what)
		}
	}
}

// FuzzLink: whatever is taken for a link is one, and its text reads back as it.
func FuzzLink(f *testing.F) {
	b, err := bootstrapAt(p2p.Peer{ID: "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", Addrs: []string{"/ip4/192.0.2.1/tcp/4001"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(link{Version: 1, Metastate: protocol.ID{1}, Bootstraps: []bootstrap{b, b}, Secret: make([]byte, 16), Expires: 1, Uses: 1}.String())
	f.Add("join by " + link{Version: 1, Metastate: protocol.ID{1}, Bootstraps: []bootstrap{b}, Secret: []byte{}}.String() + " please")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLink(text)
		if err != nil {
			if AsError(err).Code != "bad-link" {
				t.Fatal(err)
			}
			return
		}
		if len(l.peers()) != len(l.Bootstraps) {
			t.Fatal("a lobby is lost")
		}
		narrow, err := ForQR(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []string{l.String(), narrow, "by " + narrow + " please"} {
			if again, err := parseLink(form); err != nil || again.String() != l.String() {
				t.Fatalf("%q reads back as %q, %v", form, again, err)
			}
		}
	})
}
