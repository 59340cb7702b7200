package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol"
)

var loopback = []string{"/ip4/127.0.0.1/tcp/0"}

func open(t *testing.T) *node.Node {
	t.Helper()
	n, err := node.Open(t.Context(), node.Config{Ephemeral: true, Listen: loopback})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// until waits for a condition on a community, checked at every change.
func until(t *testing.T, c *node.Community, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		changed := c.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s; status %+v", what, c.Status())
		}
	}
}

func found(t *testing.T, n *node.Node, name string) *node.Community {
	t.Helper()
	m, err := n.Found(t.Context(), node.FoundRequest{Name: name, As: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.Community(m.Metastate.String())
	if err != nil {
		t.Fatal(err)
	}
	if m.Standing != "member" {
		t.Fatalf("the founder's standing is %q", m.Standing)
	}
	return c
}

func TestOneNodeToAFinalVote(t *testing.T) {
	n := open(t)
	c := found(t, n, "Free Coders")
	p, err := c.Propose(t.Context(), node.ProposeRequest{Title: "Meet on Fridays", ClosesIn: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ref := p.Proposal.String()
	phase := func(want string) func() bool {
		return func() bool {
			got, err := c.Proposal(ref)
			return err == nil && got.Phase == want
		}
	}
	until(t, c, "the vote opens", phase("voting"))
	r, err := c.Vote(t.Context(), ref, "yes")
	if err != nil {
		t.Fatal(err)
	}
	until(t, c, "the vote is final", func() bool { got, _ := c.Tally(ref); return got.Final })
	tally, err := c.Tally(ref)
	if err != nil {
		t.Fatal(err)
	}
	if tally.Outcome != "passed" || tally.Votes["yes"] != 1 || tally.Counted != 1 || tally.Electorate != 1 || tally.Checkpoint == nil {
		t.Errorf("tally %+v", tally)
	}
	check, err := c.CheckReceipt(r.Receipt)
	if err != nil || !check.Covered {
		t.Errorf("receipt %+v, %v", check, err)
	}
	if why, err := c.RollWhy(c.Persona()); err != nil || why.Verdict != "member" || len(why.Because) == 0 {
		t.Errorf("why %+v, %v", why, err)
	}
}

// join brings a node into a metastate by an invite made at from.
func join(t *testing.T, n *node.Node, from *node.Community, name string) *node.Community {
	t.Helper()
	inv, err := from.CreateInvite(t.Context(), node.InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := n.Join(t.Context(), node.JoinRequest{Link: inv.Link, As: name})
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.Community(m.Metastate.String())
	if err != nil {
		t.Fatal(err)
	}
	until(t, c, name+" is a member", func() bool { return c.Status().Standing == "member" })
	return c
}

// agree waits until all communities have the same state root at the same
// height and nothing left to make final.
func agree(t *testing.T, all ...*node.Community) {
	t.Helper()
	for _, c := range all {
		until(t, c, "all are equal", func() bool {
			a, b := c.Status(), all[0].Status()
			return a.Provisional == 0 && a.Checkpoint == b.Checkpoint && a.Checkpoint.StateRoot != ""
		})
	}
}

func TestThreeNodesToAFinalVote(t *testing.T) {
	a := found(t, open(t), "Free Coders")
	b := join(t, open(t), a, "Boris")
	c := join(t, open(t), b, "Cveta") // by a second member's own invite
	p, err := a.Propose(t.Context(), node.ProposeRequest{Title: "Meet on Fridays", ClosesIn: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ref := p.Proposal.String()
	for choice, m := range map[string]*node.Community{"yes": a, "YES ": b, "no": c} {
		until(t, m, "the vote opens", func() bool { got, err := m.Proposal(ref); return err == nil && got.Phase == "voting" })
		if _, err := m.Vote(t.Context(), ref, choice); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []*node.Community{a, b, c} {
		until(t, m, "the vote is final", func() bool { got, err := m.Tally(ref); return err == nil && got.Final })
		tally, _ := m.Tally(ref)
		if tally.Outcome != "passed" || tally.Votes["yes"] != 2 || tally.Votes["no"] != 1 || tally.Electorate != 3 {
			t.Errorf("tally %+v", tally)
		}
	}
	agree(t, a, b, c)
}

func TestThreeClerks(t *testing.T) {
	na, nb, nc := open(t), open(t), open(t)
	a := found(t, na, "Free Coders")
	b, c := join(t, nb, a, "Boris"), join(t, nc, a, "Cveta")
	r, err := a.Appoint(t.Context(), "clerk", []protocol.ID{b.Persona(), c.Persona()})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("appointed by", r.Record)
	for _, m := range []*node.Community{a, b, c} {
		until(t, m, "three clerks", func() bool { return m.Status().Clerks.Count == 3 })
	}
	for _, m := range []*node.Community{b, c} { // or the two could not find each other without the first
		until(t, m, "both others connected", func() bool { return m.Status().Peers == 2 })
	}
	if err := na.Close(); err != nil { // two of three are a quorum
		t.Fatal(err)
	}
	p, err := b.Propose(t.Context(), node.ProposeRequest{Title: "Meet on Fridays", ClosesIn: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*node.Community{b, c} {
		until(t, m, "the vote is final", func() bool { got, err := m.Tally(p.Proposal.String()); return err == nil && got.Final })
	}
	agree(t, b, c)
}

func TestDeadInviteGivesWay(t *testing.T) {
	a := found(t, open(t), "Free Coders")
	inv, err := a.CreateInvite(t.Context(), node.InviteRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.RevokeInvite(t.Context(), inv.Invite); err != nil {
		t.Fatal(err)
	}
	b := open(t)
	_, err = b.Join(t.Context(), node.JoinRequest{Link: inv.Link})
	if e := node.AsError(err); err == nil || e.Exit != node.ExitRefused || !strings.Contains(e.Message, "revoked") {
		t.Fatalf("joining by a revoked invite: %v", err)
	}
	c := join(t, b, a, "Boris") // by a fresh one
	if len(b.Communities()) != 1 || c.Status().Standing != "member" {
		t.Errorf("%d communities, standing %s", len(b.Communities()), c.Status().Standing)
	}
}
