package node

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// mistyped is an invite's link with another secret than any invite has.
func mistyped(t *testing.T, text string) string {
	t.Helper()
	l, err := parseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	l.Secret[3] ^= 1
	return l.String()
}

// Who began to join by a link that nobody knows goes on with the right one, under
// the name last asked for, as a persona that the roll has once; and is a member
// after a restart.
func TestJoinAgainWithTheRightLink(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, as := range []string{"", "Nathan"} {
		t.Run("as "+as, func(t *testing.T) {
			if as != "" {
				if inv, err = a.CreateInvite(t.Context(), InviteRequest{}); err != nil {
					t.Fatal(err)
				}
			}
			dir := newFolder(t)
			n := mustOpen(t, folderConfig(dir))
			wrong, err := n.Join(t.Context(), JoinRequest{Link: mistyped(t, inv.Link), As: "Nate"})
			if err != nil {
				t.Fatal(err)
			}
			if s := n.lookup(a.id).Status(); s.Step != stepReached || s.Trouble == "" {
				t.Fatalf("by the wrong link: %+v", s)
			}
			if check := n.lookup(a.id).examineJoining(); check.Pass || check.Remedy != anotherInvite {
				t.Errorf("a member answered, and what helps is said to be: %+v", check)
			}
			right, err := n.Join(t.Context(), JoinRequest{Link: inv.Link, As: as})
			if err != nil {
				t.Fatal(err)
			}
			if right.Persona == wrong.Persona {
				t.Error("the persona is that of the application which nobody took")
			}
			await(t, n.lookup(a.id), "a member", isMember(n.lookup(a.id)))
			want := "Nate"
			if as != "" {
				want = as
			}
			if m := a.Snapshot().View.Roll().Member(right.Persona); m == nil || m.Name != want {
				t.Errorf("on the roll: %+v", m)
			}
			if a.Snapshot().View.Roll().Member(wrong.Persona) != nil {
				t.Error("the first application is on the roll, too")
			}
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			n = mustOpen(t, folderConfig(dir))
			if s := n.Status(); len(s) != 1 || s[0].Persona != right.Persona || s[0].Standing != "member" {
				t.Errorf("after a restart: %+v", s)
			}
		})
	}
}

// While the lobbies of one invite are silent, that of another is asked at once.
func TestJoinAgainElsewhere(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	asked, knocks := make(chan struct{}, 1), atomic.Int32{}
	var silent []bootstrap
	for range maxBootstraps {
		silent = append(silent, openDoor(t, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			if knocks.Add(1) == 1 {
				asked <- struct{}{}
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}))
	}
	for name, same := range map[string]bool{"another invite": false, "another lobby of the same invite": true} {
		t.Run(name, func(t *testing.T) {
			knocks.Store(0)
			first := invited(t, a)
			second := first
			if !same {
				second = invited(t, a)
			}
			first.Bootstraps = silent
			n := onLoopback(t)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-asked; cancel() }()
			before, err := n.Join(ctx, JoinRequest{Link: first.String(), As: "Hank"})
			if err != nil {
				t.Fatal(err)
			}
			m, err := n.Join(t.Context(), JoinRequest{Link: second.String(), As: "Hank"})
			if err != nil {
				t.Fatal(err)
			}
			if (m.Persona == before.Persona) != same {
				t.Error("an application is made anew for another invite, and for no other reason")
			}
			if n.lookup(a.id).Snapshot() == nil || knocks.Load() != 1 {
				t.Errorf("it knocked %d times at the silent lobby before the other let it in", knocks.Load())
			}
			await(t, n.lookup(a.id), "a member", isMember(n.lookup(a.id)))
		})
	}
}

// An application that a member took stays, whatever other invite comes: there
// would be two selves on the roll. The other's lobbies are asked, and its name is
// refused.
func TestJoinAgainOnceTaken(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	door := openDoor(t, func(context.Context, string, []byte) ([]byte, error) {
		return dagcbor.Marshal(joinAnswer{Taken: true, Reason: "taken"})
	})
	first := invited(t, a)
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first.Bootstraps = []bootstrap{door}
	n := onLoopback(t)
	before, err := n.Join(t.Context(), JoinRequest{Link: first.String(), As: "Nate"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Join(t.Context(), JoinRequest{Link: inv.Link, As: "Nathan"}); AsError(err).Exit != ExitRefused {
		t.Errorf("another name on the roll: %v", err)
	}
	m, err := n.Join(t.Context(), JoinRequest{Link: inv.Link})
	if err != nil {
		t.Fatal(err)
	}
	if m.Persona != before.Persona {
		t.Error("another persona")
	}
	await(t, n.lookup(a.id), "let in at the other's lobby", isMember(n.lookup(a.id)))
}

// Whichever of two applications the vault has the persona of goes on after a
// crash between its writing and the store's.
func TestCrashWhileJoiningAgain(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n := onLoopback(t)
	if _, err := n.Join(t.Context(), JoinRequest{Link: mistyped(t, inv.Link)}); err != nil {
		t.Fatal(err)
	}
	old, _ := n.lookup(a.id).pending()
	was := n.lookup(a.id).Persona()
	n2 := onLoopback(t)
	m, err := n2.Join(t.Context(), JoinRequest{Link: unreachable(t, inv.Link)})
	if err != nil {
		t.Fatal(err)
	}
	next, _ := n2.lookup(a.id).pending()
	old.Next = next.encode()
	if got := old.of(m.Persona); got.Link != next.Link {
		t.Error("the vault has the new persona, and the old application goes on")
	}
	if got := old.of(was); got.Link != old.Link || got.Next != nil {
		t.Error("the vault has the old persona, and another application goes on")
	}
}

// Who gives up joining has nothing of the metastate left, and may join again.
func TestGiveUpJoining(t *testing.T) {
	a := foundAs(t, onLoopback(t), "Free Coders", "Anna")
	inv, err := a.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	dir := newFolder(t)
	n := mustOpen(t, folderConfig(dir))
	if _, err := n.Join(t.Context(), JoinRequest{Link: mistyped(t, inv.Link), As: "Nate"}); err != nil {
		t.Fatal(err)
	}
	if err := n.GiveUp(t.Context(), "", GiveUpRequest{}); err != nil {
		t.Fatal(err)
	}
	if len(n.Communities()) != 0 || len(n.Listen()) == 0 {
		t.Errorf("%d metastates, listens at %q", len(n.Communities()), n.Listen())
	}
	if _, err := os.Stat(n.storeDir(a.id)); err == nil {
		t.Error("its store is still there")
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = mustOpen(t, folderConfig(dir))
	if len(n.Communities()) != 0 {
		t.Error("it is back after a restart")
	}
	c, _ := enterBy(t, n, a, "Nate")
	if err := n.GiveUp(t.Context(), "", GiveUpRequest{}); AsError(err).Exit != ExitRefused || n.lookup(a.id) != c {
		t.Errorf("a member gives up: %v", err)
	}
}

// A letter of an invite that was changed is told from an invite, wherever it is,
// in each form (SPEC §9.1).
func TestChangedLetter(t *testing.T) {
	b, err := bootstrapAt(p2p.Peer{ID: "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", Addrs: []string{"/ip4/192.0.2.1/tcp/4001"}})
	if err != nil {
		t.Fatal(err)
	}
	l := link{Version: 1, Metastate: protocol.ID{1}, Bootstraps: []bootstrap{b}, Secret: make([]byte, linkSecretSize), Expires: 1, Uses: 1}
	qr, err := ForQR(l.String())
	if err != nil {
		t.Fatal(err)
	}
	locked, _, err := LockLink(l.String())
	if err != nil {
		t.Fatal(err)
	}
	for text, read := range map[string]func(string) error{
		l.String(): func(s string) error { _, err := parseLink(s); return err },
		qr:         func(s string) error { _, err := parseLink(s); return err },
		locked:     func(s string) error { _, err := lockedBytes(s); return err },
	} {
		if err := read(text); err != nil {
			t.Fatal(err)
		}
		for i := len("metastate:j/1#"); i < len(text); i++ {
			other := byte('A')
			if text[i] == other {
				other = 'B'
			}
			if err := read(text[:i] + string(other) + text[i+1:]); AsError(err).Code != "bad-link" {
				t.Fatalf("with letter %d of %s changed: %v", i, text, err)
			}
		}
	}
}

// A hidden node that can't reach anybody says whether that is for want of Tor.
func TestUnreachedWithoutTor(t *testing.T) {
	c := &Community{net: network{cfg: &Config{Profile: ProfileHidden, Hidden: Hidden{SOCKS: "127.0.0.1:1"}}}}
	if trouble, remedy := c.unreached(t.Context()); !strings.Contains(trouble, "Tor does not answer") || !strings.Contains(remedy, "start Tor") {
		t.Errorf("%q, %q", trouble, remedy)
	}
}
