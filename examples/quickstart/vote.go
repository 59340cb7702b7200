package main

import (
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// voting is how long the ballot box stays open.
const voting = 5 * time.Second

// vote: three people vote; one of their nodes is switched off meanwhile.
func (s *story) vote(ctx context.Context, anna, boris, cveta *person) error {
	s.title("A vote, and a computer that goes off in the middle of it")
	ref, err := anna.in(s.coders).Propose(ctx, node.ProposeRequest{Title: "Shall we meet on Fridays?", ClosesIn: voting})
	if err != nil {
		return err
	}
	s.proposal = ref.Proposal
	s.say("Anna asks: \"Shall we meet on Fridays?\" (%s, open for %v)", short(s.proposal), voting)
	receipt, err := s.cast(ctx, boris, "yes")
	if err != nil {
		return err
	}
	if err := boris.switchOff(); err != nil {
		return err
	}
	s.say("Boris votes yes and keeps the receipt. Then his computer goes off.")
	if _, err := s.cast(ctx, anna, "yes"); err != nil {
		return err
	}
	if _, err := s.cast(ctx, cveta, "no"); err != nil {
		return err
	}
	s.say("Anna votes yes, Cveta no; as two clerks of three they go on without him.")
	if err := boris.switchOn(ctx); err != nil {
		return fmt.Errorf("taking up Boris's folder: %w", err)
	}
	s.say("Boris's computer is on again: passphrase, and it takes up both memberships.")
	for _, p := range []*person{anna, boris, cveta} {
		if err := s.counted(ctx, p); err != nil {
			return err
		}
	}
	s.say("The vote has closed. Each node counts for itself: yes 2, no 1, passed.")
	check, err := boris.in(s.coders).CheckReceipt(receipt)
	if err != nil {
		return err
	}
	if !check.Covered {
		return fmt.Errorf("the ballot of Boris's receipt is not covered")
	}
	s.say("Boris's receipt proves that his ballot is in, from checkpoint %d on.", check.Checkpoint.Height)
	return nil
}

// cast waits until the vote is open on a person's node, and votes there.
func (s *story) cast(ctx context.Context, p *person, choice string) (receipt string, err error) {
	c, ref := p.in(s.coders), s.proposal.String()
	open := func() bool { got, err := c.Proposal(ref); return err == nil && got.MayVote }
	if err := until(ctx, c, "the vote opens", open); err != nil {
		return "", fmt.Errorf("at %s's: %w", p.name, err)
	}
	r, err := c.Vote(ctx, ref, choice)
	if err != nil {
		return "", fmt.Errorf("%s voting: %w", p.name, err)
	}
	return r.Receipt, nil
}

// counted waits until a person's node has the final count, and checks it.
func (s *story) counted(ctx context.Context, p *person) error {
	c, ref := p.in(s.coders), s.proposal.String()
	if err := until(ctx, c, "the count is final", func() bool { got, err := c.Tally(ref); return err == nil && got.Final }); err != nil {
		return fmt.Errorf("at %s's: %w", p.name, err)
	}
	got, err := c.Tally(ref)
	if err != nil {
		return err
	}
	if got.Outcome != "passed" || got.Votes["yes"] != 2 || got.Votes["no"] != 1 || got.Electorate != 3 {
		return fmt.Errorf("%s's node counts otherwise: %+v", p.name, got)
	}
	return nil
}

// founderAway: a member admits a newcomer while the founder's node is off.
func (s *story) founderAway(ctx context.Context, anna, boris, dora *person) error {
	s.title("The founder is away, and a newcomer comes in")
	if err := anna.switchOff(); err != nil {
		return err
	}
	s.say("Anna's computer is off. Boris sends Dora an invite of his own.")
	if _, err := s.join(ctx, boris, dora); err != nil {
		return err
	}
	c := dora.in(s.coders)
	if err := s.counted(ctx, dora); err != nil {
		return err
	}
	s.say("Dora is a member, persona %s, admitted by Boris's invite.", short(c.Persona()))
	s.say("Her node fetched the whole history and verified it: it counts the vote alike.")
	if err := anna.switchOn(ctx); err != nil {
		return fmt.Errorf("taking up Anna's folder: %w", err)
	}
	a := anna.in(s.coders)
	onRoll := func() bool {
		roll, err := a.Roll(nil, false)
		return err == nil && len(roll.Members) == 4
	}
	if err := until(ctx, a, "Anna learns of Dora", onRoll); err != nil {
		return err
	}
	s.say("Anna comes back and finds Dora on the roll: 4 members.")
	return nil
}

// equal: all nodes come to the same state, to the byte.
func (s *story) equal(ctx context.Context, people []*person) error {
	s.title("Everyone has the same books")
	first := people[0].in(s.coders)
	for _, p := range people {
		c := p.in(s.coders)
		same := func() bool {
			mine, hers := c.Status(), first.Status()
			return mine.Provisional == 0 && hers.Provisional == 0 && mine.Checkpoint == hers.Checkpoint
		}
		if err := until(ctx, c, p.name+" has the same state as Anna", same); err != nil {
			return err
		}
		if err := s.counted(ctx, p); err != nil {
			return err
		}
	}
	for _, p := range people {
		at := p.in(s.coders).Status().Checkpoint
		s.say("%-6s checkpoint %d, state root %s…", p.name, at.Height, at.StateRoot[:16])
	}
	return nil
}
