package node_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// Two nodes in memory found, join, vote and count. With Dir in place of
// Ephemeral they would be there again after a restart.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg := node.Config{Ephemeral: true, Listen: []string{"/ip4/127.0.0.1/tcp/0"}}
	anna, err := node.Open(ctx, cfg)
	check(err)
	defer anna.Close()
	boris, err := node.Open(ctx, cfg)
	check(err)
	defer boris.Close()

	_, err = anna.Found(ctx, node.FoundRequest{Name: "Free Coders", As: "Anna"})
	check(err)
	a, err := anna.Community("") // the only one
	check(err)
	invite, err := a.CreateInvite(ctx, node.InviteRequest{})
	check(err)
	_, err = boris.Join(ctx, node.JoinRequest{Link: invite.Link, As: "Boris"})
	check(err)
	b, err := boris.Community("")
	check(err)
	await(ctx, b, func() bool { return b.Status().Standing == "member" })

	p, err := a.Propose(ctx, node.ProposeRequest{Title: "Meet on Fridays", ClosesIn: 2 * time.Second})
	check(err)
	vote := p.Proposal.String()
	for _, c := range []*node.Community{a, b} {
		await(ctx, c, func() bool { got, err := c.Proposal(vote); return err == nil && got.MayVote })
		_, err = c.Vote(ctx, vote, "yes")
		check(err)
	}
	for _, c := range []*node.Community{a, b} { // each counts for itself
		await(ctx, c, func() bool { got, err := c.Tally(vote); return err == nil && got.Final })
		got, err := c.Tally(vote)
		check(err)
		fmt.Println(got.Outcome, got.Votes["yes"], "of", got.Electorate)
	}
	fmt.Println("equal:", a.Status().Checkpoint == b.Status().Checkpoint)
	// Output:
	// passed 2 of 2
	// passed 2 of 2
	// equal: true
}

// await waits until ok holds, looked at after every change of what c shows.
func await(ctx context.Context, c *node.Community, ok func() bool) {
	for changed := c.Changed(); !ok(); changed = c.Changed() {
		select {
		case <-changed:
		case <-ctx.Done():
			log.Fatal(ctx.Err())
		}
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
