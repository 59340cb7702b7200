package main

import (
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// voting is how long the ballot box stays open.
const voting = 5 * time.Second

// vote: three people vote; one of their nodes is killed meanwhile.
func (s *story) vote(ctx context.Context, anna, boris, cveta *person) error {
	s.title("A vote, and a computer that dies in the middle of it")
	ref, err := anna.in(s.coders).Propose(ctx, node.ProposeRequest{Title: "Shall we meet on Fridays?", ClosesIn: voting})
	if err != nil {
		return err
	}
	s.proposal = ref.Proposal.String()
	s.say("Anna asks: \"Shall we meet on Fridays?\" (%s, open for %v)", short(ref.Proposal), voting)
	receipt, err := s.cast(ctx, boris, "yes")
	if err != nil {
		return err
	}
	left, err := boris.status(ctx, s.coders)
	if err != nil {
		return err
	}
	if err := boris.kill(); err != nil {
		return err
	}
	s.say("Boris votes yes and keeps the receipt. That moment his node is killed (SIGKILL): nothing")
	s.say("is finished, nobody is told. It was at checkpoint %d.", left.Checkpoint.Height)
	if err := s.goOn(ctx, anna, cveta); err != nil {
		return err
	}
	if err := s.comeBack(ctx, boris, anna, left.Checkpoint.Height); err != nil {
		return err
	}
	for _, p := range []*person{anna, boris, cveta} {
		if err := s.counted(ctx, p); err != nil {
			return err
		}
	}
	s.say("The vote has closed. Each node counts for itself: yes 2, no 1, passed.")
	check, err := boris.in(s.coders).CheckReceipt(ctx, receipt)
	if err != nil {
		return err
	}
	if !check.Covered {
		return fmt.Errorf("the ballot of Boris's receipt is not covered")
	}
	s.say("Boris's receipt proves that his ballot is in, from checkpoint %d on.", check.Checkpoint.Height)
	return nil
}

// goOn: the other two vote, and their ballots are final without Boris.
func (s *story) goOn(ctx context.Context, anna, cveta *person) error {
	if _, err := s.cast(ctx, anna, "yes"); err != nil {
		return err
	}
	if _, err := s.cast(ctx, cveta, "no"); err != nil {
		return err
	}
	var last uint64
	for _, p := range []*person{anna, cveta} {
		mine := func() (node.VoteReceipt, error) { return p.in(s.coders).Receipt(ctx, s.proposal) }
		r, err := until(ctx, p, "a ballot that is final", mine, func(r node.VoteReceipt) bool { return r.Covered })
		if err != nil {
			return err
		}
		last = max(last, r.Checkpoint.Height)
	}
	s.say("Anna votes yes, Cveta no. Two clerks of three make it final without him, in checkpoint %d.", last)
	return nil
}

// comeBack: the killed node is started on what its folder holds, and catches up.
func (s *story) comeBack(ctx context.Context, boris, anna *person, left uint64) error {
	if err := boris.switchOn(ctx); err != nil {
		return fmt.Errorf("taking up Boris's folder: %w", err)
	}
	all, err := boris.api.Status(ctx, "")
	if err != nil {
		return err
	}
	if len(all.Metastates) != 2 {
		return fmt.Errorf("the node of Boris takes up %d memberships, not 2", len(all.Metastates))
	}
	s.say("Boris starts it again: passphrase, and it takes up both memberships.")
	others, err := anna.status(ctx, s.coders)
	if err != nil {
		return err
	}
	if others.Checkpoint.Height <= left {
		return fmt.Errorf("nothing happened while Boris was away: still at checkpoint %d", left)
	}
	caughtUp := func(st node.Status) bool { return st.Checkpoint.Height >= others.Checkpoint.Height }
	if _, err := boris.untilStatus(ctx, s.coders, "what was missed", caughtUp); err != nil {
		return err
	}
	s.say("It fetches what it missed, verifies it, and is where the others are.")
	return nil
}

// cast waits until the vote is open on a person's node, and votes there.
func (s *story) cast(ctx context.Context, p *person, choice string) (receipt string, err error) {
	ask := func() (node.Proposal, error) { return p.in(s.coders).Proposal(ctx, s.proposal) }
	if _, err := until(ctx, p, "an open vote", ask, func(got node.Proposal) bool { return got.MayVote }); err != nil {
		return "", err
	}
	r, err := p.in(s.coders).Vote(ctx, s.proposal, choice)
	if err != nil {
		return "", fmt.Errorf("%s voting: %w", p.name, err)
	}
	return r.Receipt, nil
}

// counted waits until a person's node has the final count, and checks it.
func (s *story) counted(ctx context.Context, p *person) error {
	ask := func() (node.Tally, error) { return p.in(s.coders).Tally(ctx, s.proposal) }
	got, err := until(ctx, p, "the final count", ask, func(got node.Tally) bool { return got.Final })
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
	j, err := s.join(ctx, boris, dora)
	if err != nil {
		return err
	}
	if err := s.counted(ctx, dora); err != nil {
		return err
	}
	s.say("Dora is a member, persona %s, admitted by Boris's invite.", short(j.guest))
	s.say("Her node fetched the whole history and verified it: it counts the vote alike.")
	if err := anna.switchOn(ctx); err != nil {
		return fmt.Errorf("taking up Anna's folder: %w", err)
	}
	roll := func() (node.RollList, error) { return anna.in(s.coders).Roll(ctx, nil, false) }
	four := func(r node.RollList) bool { return len(r.Members) == 4 }
	if _, err := until(ctx, anna, "Dora on the roll", roll, four); err != nil {
		return err
	}
	s.say("Anna comes back and finds Dora on the roll: 4 members.")
	return nil
}

// equal: all nodes come to the same state, to the byte.
func (s *story) equal(ctx context.Context, people []*person) error {
	s.title("Everyone has the same books")
	at := make([]node.CheckpointRef, len(people))
	_, err := until(ctx, people[0], "the same books at all", func() (same bool, err error) {
		same = true
		for i, p := range people {
			st, err := p.status(ctx, s.coders)
			if err != nil {
				return false, err
			}
			at[i] = st.Checkpoint
			same = same && st.Provisional == 0 && at[i] == at[0]
		}
		return same, nil
	}, func(same bool) bool { return same })
	if err != nil {
		return err
	}
	for i, p := range people {
		if err := s.counted(ctx, p); err != nil {
			return err
		}
		s.say("%-6s checkpoint %d, state root %s…", p.name, at[i].Height, at[i].StateRoot[:16])
	}
	return nil
}
