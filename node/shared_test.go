package node

import (
	"slices"
	"testing"
	"time"
)

// mustFound founds a metastate on a presence; none is one of its own.
func mustFound(t testing.TB, n *Node, name, presence string) *Community {
	t.Helper()
	m, err := n.Found(t.Context(), FoundRequest{Name: name, As: "Anna", Presence: presence})
	if err != nil {
		t.Fatal(err)
	}
	return n.lookup(m.Metastate)
}

// mustJoin joins what from is, on a presence.
func mustJoin(t testing.TB, n *Node, from *Community, presence string) *Community {
	t.Helper()
	inv, err := from.CreateInvite(t.Context(), InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := n.Join(t.Context(), JoinRequest{Link: inv.Link, As: "Boris", Presence: presence})
	if err != nil {
		t.Fatal(err)
	}
	c := n.lookup(m.Metastate)
	await(t, c, "Boris is a member", func() bool { return c.Status().Standing == "member" })
	return c
}

// on lists a community's transport peers, member and lobby.
func (c *Community) on() [2]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return [2]string{c.member.ID(), c.lobby.ID()}
}

// Two metastates share a presence on two nodes: joined at one lobby, in touch
// over one host each, and still so after a restart. What one of them ends leaves
// the other.
func TestMetastatesOnOnePresence(t *testing.T) {
	cfg := folderConfig(newFolder(t))
	anna := mustOpen(t, cfg)
	boris := mustOpen(t, folderConfig(newFolder(t)))
	for _, bad := range []string{"a\nb", string(make([]byte, 100))} {
		if _, err := anna.Found(t.Context(), FoundRequest{Name: "X", Presence: bad}); err == nil {
			t.Errorf("a presence was named %q", bad)
		}
	}
	x, y := mustFound(t, anna, "Xylophones", "home"), mustFound(t, anna, "Yodellers", "home")
	z := mustFound(t, anna, "Zitherists", "")
	if x.on() != y.on() || x.on() == z.on() || x.key.Public() == y.key.Public() {
		t.Error("x and y have one presence and keys of their own, z another:", x.on(), y.on(), z.on())
	}
	if s := y.Status(); s.Presence != "home" || z.Status().Presence != "" {
		t.Errorf("the status says %q", s.Presence)
	}
	bx, by := mustJoin(t, boris, x, "trips"), mustJoin(t, boris, y, "trips")
	if bx.on() != by.on() {
		t.Error("Boris is there twice:", bx.on(), by.on())
	}
	said := func(at, seen *Community, title string) {
		t.Helper()
		p, err := at.Propose(t.Context(), ProposeRequest{Title: title, ClosesIn: 2 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		await(t, seen, title+" is seen", func() bool { _, err := seen.Proposal(p.Proposal.String()); return err == nil })
	}
	said(bx, x, "of Boris in x")
	said(y, by, "of Anna in y")

	before, addrs := x.on(), x.presence().Addrs()
	if err := anna.Close(); err != nil {
		t.Fatal(err)
	}
	anna = mustOpen(t, cfg)
	x, y = anna.lookup(x.id), anna.lookup(y.id)
	if x.on() != before || y.on() != before || !slices.Equal(x.presence().Addrs(), addrs) {
		t.Error("after a restart the presence is another:", x.on(), before, x.presence().Addrs(), addrs)
	}
	said(by, y, "after the restart")

	anna.unlist(x)
	if err := x.close(); err != nil {
		t.Fatal(err)
	}
	said(y, by, "without x")
	late := mustOpen(t, folderConfig(newFolder(t)))
	mustJoin(t, late, y, "")
	if n := len(anna.Listen()); n != 2 {
		t.Errorf("%d addresses to join at, want one each of the shared lobby and z's", n)
	}
}
