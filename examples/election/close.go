package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// closing has the network fall apart before the deadline, and come together after
// it.
func (t *story) closing() error {
	t.part()
	near, far, err := t.votesApart()
	if err != nil {
		return err
	}
	if err := t.pass(time.Hour); err != nil {
		return err
	}
	if err := t.agree(sideline); !errors.Is(err, errNoQuorum) {
		return fmt.Errorf("one clerk alone made something final: %w", err)
	}
	t.say("The network falls apart: %d clerks on one side, 1 on the other. %d ballots reach the one side, %d the other.", clerkCount-1, len(near), len(far))
	deadline, _ := t.clerks[0].at.tip.State().NextDeadline()
	if err := t.pass(time.Duration(deadline-t.now) * time.Second); err != nil {
		return err
	}
	p := t.state()
	if p.Phase != decision.Closed || t.stateAt(t.clerks[clerkCount-1]).Phase != decision.Voting {
		return fmt.Errorf("after the deadline the vote is in %s", p.Phase)
	}
	t.say("The deadline passes. A checkpoint of %d clerks closes the vote with %d ballots, and seals that set.", clerkCount-1, p.Ballots.Len())
	if err := t.otherClosing(); err != nil {
		return err
	}
	lateNear, lateFar, err := t.votesLate()
	if err != nil {
		return err
	}
	if err := t.heal(); err != nil {
		return err
	}
	refused, err := t.refuseAll(slices.Concat(near, far, lateNear, lateFar))
	if err != nil {
		return err
	}
	if refused != len(far)+len(lateNear)+len(lateFar) {
		return fmt.Errorf("%d ballots are refused", refused)
	}
	t.say("The network is whole again. Every node refuses the %d ballots that the closing does not cover, and %d that were late, by the same rule: %s.",
		len(far), len(lateNear)+len(lateFar), decision.RuleNotOpen)
	return t.sealed()
}

// otherClosing is what the clerk on the other side would close, if one alone could:
// it holds other ballots.
func (t *story) otherClosing() error {
	if err := t.agree(sideline); !errors.Is(err, errNoQuorum) {
		return fmt.Errorf("one clerk alone closes the vote: %w", err)
	}
	cut := t.clerks[clerkCount-1]
	next, _ := cut.at.tip.State().Advance(state.Step{Records: cut.open, AsOf: t.now})
	t.other = next.Decisions().Poll(t.poll)
	if t.other.Phase != decision.Closed || t.other.Sealed().Set == t.state().Sealed().Set {
		return errors.New("both sides hold the same ballots")
	}
	t.say("The clerk on the other side holds %d ballots, and can close nothing alone.", t.other.Ballots.Len())
	return nil
}

// part puts the last clerk and a seventh of the voters on the other side.
func (t *story) part() {
	t.clerks[clerkCount-1].person.side = sideline
	for i, p := range t.people[clerkCount+trusteeCount:] {
		if i%7 == 0 {
			p.side = sideline
		}
	}
}

// votesApart has people vote on both sides, and some vote again for another list.
func (t *story) votesApart() (near, far []*protocol.Record, err error) {
	var list []intent
	for i := range t.people {
		switch {
		case turn(i) == parted:
			list = append(list, intent{i, t.choice[i], 0})
		case i%50 == 1:
			list = append(list, intent{i, (t.choice[i] + 1) % len(votes2024), 1})
		}
	}
	ballots, err := t.cast(list)
	if err != nil {
		return nil, nil, err
	}
	prove(t.state(), ballots)
	for i, r := range ballots {
		p := t.people[list[i].person]
		if p.side == sideline {
			far = append(far, r)
			continue
		}
		near = append(near, r)
		t.expected[p.id] = r.ID()
	}
	return near, far, errors.Join(t.send(0, near...), t.send(sideline, far...))
}

// votesLate has people vote after the deadline. Where the vote has closed they are
// told at once; on the other side nobody knows yet.
func (t *story) votesLate() (near, far []*protocol.Record, err error) {
	var list []intent
	for i := range t.people {
		if turn(i) == late {
			list = append(list, intent{i, t.choice[i], 0})
		}
	}
	ballots, err := t.cast(list)
	if err != nil {
		return nil, nil, err
	}
	for i, r := range ballots {
		t.records[r.ID()] = r
		if t.people[list[i].person].side == sideline {
			far = append(far, r)
		} else {
			near = append(near, r)
		}
	}
	return near, far, t.send(sideline, far...)
}

// heal has the clerk who was cut off catch up with what the others certified.
func (t *story) heal() error {
	cut := t.clerks[clerkCount-1]
	for _, f := range t.chain[cut.height():] {
		if _, err := f.cert.Verify(t.genesis.ID(), cut.at.tip.Signers()); err != nil {
			return err
		}
		cut.adopt(f)
	}
	for _, p := range t.people {
		p.side = 0
	}
	if got, want := cut.at.tip.Ref(), t.clerks[0].at.tip.Ref(); got != want {
		return fmt.Errorf("after the partition clerks are at %d and %d", got.Height, want.Height)
	}
	return nil
}

// refuseAll shows ballots to nodes of both sides. Those that the closing covers are
// held there, all others are refused, and void for whoever would cover them.
func (t *story) refuseAll(ballots []*protocol.Record) (refused int, err error) {
	var out []*protocol.Record
	covered := map[protocol.ID]bool{}
	for _, v := range t.state().Ballots.All() {
		covered[v.Ballot] = true
	}
	for _, r := range ballots {
		if covered[r.ID()] {
			continue
		}
		out = append(out, r)
		for _, c := range []*clerk{t.clerks[0], t.clerks[clerkCount-1]} {
			if err := c.at.tip.State().Receive(r, c); !errors.Is(err, state.ErrRefused) {
				return 0, fmt.Errorf("a ballot that came too late is taken: %v", err)
			}
		}
	}
	at := t.clerks[0].at.tip.State()
	_, verdicts := at.Advance(state.Step{Records: out, AsOf: t.now})
	for _, v := range verdicts {
		if v.Stands || v.Rule != decision.RuleNotOpen {
			return 0, fmt.Errorf("a ballot that came too late: %s", v.Rule)
		}
		refused++
	}
	return refused, nil
}

// sealed compares the sealed set with the ballots that were cast in time where the
// clerks were.
func (t *story) sealed() error {
	p := t.state()
	if p.Ballots.Len() != len(t.expected) || p.Secret.Sum().Ballots() != uint64(len(t.expected)) {
		return fmt.Errorf("%d ballots are sealed, %d were cast", p.Ballots.Len(), len(t.expected))
	}
	for voter, id := range t.expected {
		if v, ok := p.Ballots.Get(voter); !ok || v.Ballot != id {
			return fmt.Errorf("the ballot of %s that counts is not the last that reached the clerks", voter)
		}
	}
	return nil
}

// opening has trustees acknowledge the closing and open the sum, with two away and
// one who lies.
func (t *story) opening() error {
	var away, there []*trustee
	for _, x := range t.trustees {
		if x.away {
			away = append(away, x)
		} else {
			there = append(there, x)
		}
	}
	t.say("%s and %s are away, from now to the end.", title(away[0].name()), away[1].name())
	for i, x := range there {
		if i == len(there)-1 { // one acknowledgement is missing
			if _, err := there[0].opens(t.state(), t.committee()); !errors.Is(err, errTooEarly) {
				return fmt.Errorf("a trustee opens with %d acknowledgements: %w", i, err)
			}
		}
		r, err := x.acknowledges(t.state())
		if err != nil {
			return err
		}
		if err := errors.Join(t.send(0, r), t.pass(time.Minute)); err != nil {
			return err
		}
	}
	t.say("%d trustees acknowledge this closing, and so can never open another; with one fewer nobody would open.", len(t.state().Secret.Acks))
	if _, err := there[0].acknowledges(t.other); !errors.Is(err, errOtherSet) {
		return fmt.Errorf("a trustee acknowledges two sets: %w", err)
	}
	slices.SortStableFunc(there, func(a, b *trustee) int { return -order(a.lies) + order(b.lies) })
	given := 0
	for _, x := range there {
		if t.state().Result != nil {
			break
		}
		if given >= t.committee().Kind().K() {
			return errors.New("enough shares open nothing")
		}
		r, err := x.opens(t.state(), t.committee())
		if err != nil {
			return err
		}
		if err := errors.Join(t.send(0, r), t.pass(time.Minute)); err != nil {
			return err
		}
		if !x.lies {
			given++
		}
	}
	return t.tellOpening(given)
}

func order(first bool) int {
	if first {
		return 1
	}
	return 0
}

// tellOpening names who lied, as the state does.
func (t *story) tellOpening(given int) error {
	p, c := t.state(), t.committee()
	if p.Result == nil || given != c.Kind().K() {
		return fmt.Errorf("%d good shares, and the vote is in %s", given, p.Phase)
	}
	var liars []string
	for _, id := range p.Secret.Wrong {
		liars = append(liars, t.trustees[c.Number(t.records[id].Author())-1].name())
	}
	for _, x := range t.trustees {
		if x.lies != slices.Contains(liars, x.name()) {
			return fmt.Errorf("those who lied: %q", liars)
		}
	}
	t.say("Dishonest: %s. The share of the key that it gave is not what its key makes of the sum (%s), and opens nothing.", strings.Join(liars, ", "), decision.RuleBadShare)
	t.say("The shares of %d others opened the sum. No single ballot was opened, and none can be without %d trustees.", given, c.Kind().K())
	t.result = p.Result
	return nil
}

// seats compares the result with the count of what people voted in the open, and
// counts the votes of 2024 by the same method.
func (t *story) seats() error {
	p := t.state()
	sums := make([]uint64, len(p.Options))
	for _, id := range t.expected {
		sums[t.says[id]]++
	}
	plain, err := inTheOpen(p, sums)
	if err != nil {
		return err
	}
	past, err := inTheOpen(p, votes2024)
	if err != nil {
		return err
	}
	t.say("%-8s %7s %7s   %s", "", "votes", "seats", "seats of 2024")
	var all uint64
	for i, o := range p.Options {
		votes, got := t.result.Votes[i], t.result.Seats[i]
		if votes != plain.Votes[i] || got != plain.Seats[i] {
			return fmt.Errorf("%s has %d votes and %d seats, in the open %d and %d", o, votes.N, got.N, plain.Votes[i].N, plain.Seats[i].N)
		}
		if past.Seats[i].N != seats2024[i] {
			return fmt.Errorf("of 2024 %s has %d seats, and had %d", o, past.Seats[i].N, seats2024[i])
		}
		t.say("%-8s %7d %7d   %d", o, votes.N, got.N, seats2024[i])
		all += got.N
	}
	if all != seats {
		return fmt.Errorf("%d seats are filled", all)
	}
	t.say("%d seats. The sums are equal to a count of the same ballots in the open.", all)
	return nil
}

// inTheOpen counts votes of which somebody knows what they say.
func inTheOpen(p *decision.Poll, votes []uint64) (count.Result, error) {
	m, err := decision.MethodByName(method)
	if err != nil {
		return count.Result{}, err
	}
	q := count.Question{Options: p.Options, Seats: seats, Params: threshold, Electorate: p.Electorate, Order: count.AsListed(len(p.Options))}
	var ballots []count.Ballot
	for i, n := range votes {
		marks := make(count.Marks, len(votes))
		marks[i] = 1
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
		q.Cast += n
	}
	return count.Count(m, q, ballots)
}
