package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// The story's times.
const (
	partsAt = 60 * time.Second
	healsAt = 4 * time.Minute
	quietAt = 5 * time.Minute // nobody writes any more
	patient = 10 * time.Minute
)

// A vote is a question that the story asks.
type vote struct {
	title  string
	id     protocol.ID
	closes time.Duration // not before
}

// live tells the story: it returns when all is quiet and equal.
func (w *world) live() error {
	w.ask(2*time.Second, 0, "Shall we meet in spring?", 118*time.Second)
	w.ask(3*time.Second, 1, "Shall we print a paper?", quietAt-3*time.Second)
	w.after(int(partsAt/tick), w.part)
	w.ask(partsAt+10*time.Second, 2, "The majority asks", 3*time.Minute)
	w.ask(partsAt+12*time.Second, 3, "The minority asks", 2*time.Minute)
	w.after(int(healsAt/tick), w.heal)
	w.lies()
	if err := w.run(quietAt); err != nil {
		return err
	}
	for w.differ() != "" {
		if w.clock() > patient {
			return fmt.Errorf("after %v: %s", w.clock(), w.differ())
		}
		// Life goes on for as long as a clerk who signs twice has the office: it
		// shows when there is something to sign.
		if _, holds := w.lyingClerk(); holds && w.now%int(5*time.Second/tick) == 0 {
			by := w.people[w.rng.IntN(honestClerks)]
			by.spread(by.sign(protocol.Invite, roll.InviteBody{Key: w.key("later", w.now).Public(), Uses: 1, Expires: w.unix() + 3600}, nil))
		}
		if err := w.run(time.Second); err != nil {
			return err
		}
	}
	return nil
}

// lyingClerk is a clerk who lies and holds the office.
func (w *world) lyingClerk() (p *person, holds bool) {
	for _, p := range w.people[honestClerks:clerks] {
		if w.nodes[0].at.tip.State().Roll().Member(p.id).Holds(roll.Clerk) {
			return p, true
		}
	}
	return nil, false
}

// ask has a clerk of a side put a question at a time, which most people answer.
func (w *world) ask(at time.Duration, n int, title string, open time.Duration) {
	w.after(int(at/tick), func() {
		by := w.people[0]
		if n == 3 { // somebody on the other side
			by = w.people[3]
		}
		body := decision.ProposeBody{Title: title, Method: "yes-no", Class: "ordinary", Voting: int64(open / time.Second)}
		r := by.sign(protocol.Propose, body, nil)
		v := &vote{title, r.ID(), at + open}
		w.told.votes = append(w.told.votes, v)
		by.spread(r)
		for _, p := range w.people {
			if !p.liar && w.rng.IntN(100) < 60 {
				w.after(1+w.rng.IntN(int(min(open, 100*time.Second)/tick)), func() { w.vote(p, v) })
			}
		}
	})
}

// vote casts a ballot as soon as the vote is open at the person's node.
func (w *world) vote(p *person, v *vote) {
	poll := p.at.tip.State().Decisions().Poll(v.id)
	switch {
	case poll != nil && poll.Phase == decision.Voting:
		choice := []string{"yes", "yes", "no"}[w.rng.IntN(3)]
		r := p.ballot(v.id, 0, choice)
		p.voted[v.id] = choice
		w.told.ballots = append(w.told.ballots, cast{p, v, r.ID(), choice, w.clock(), p.side})
		p.spread(r)
	case poll == nil && w.clock() < quietAt-20*time.Second:
		w.after(40, func() { w.vote(p, v) })
	}
}

// part divides the network: 60 % with three honest clerks, 40 % with two. Each
// clerk who lies is on both sides.
func (w *world) part() {
	w.told.event(w, "the network falls apart")
	far := len(w.people)*2/5 - 2
	for _, i := range w.rng.Perm(len(w.people) - clerks)[:far] {
		w.nodes[clerks+i].side = 1
	}
	w.nodes[3].side, w.nodes[4].side = 1, 1
	for _, p := range w.people[honestClerks:clerks] {
		n := &node{world: w, i: len(w.nodes), side: 1, at: p.at, held: slices.Clone(p.held)}
		w.nodes = append(w.nodes, n)
		w.clerks = append(w.clerks, w.newClerk(p, n))
		for i := range w.history.records {
			if n.held.has(i) {
				n.clerk.notice(i)
			}
		}
	}
}

func (w *world) heal() {
	w.told.event(w, "the network is whole again")
	for _, n := range w.nodes {
		n.side = 0
	}
}

// honest are the nodes of those who follow the protocol.
func (w *world) honest() []*node {
	return slices.Concat(w.nodes[:honestClerks], w.nodes[clerks:len(w.people)])
}

// differ says in what the members' nodes are not equal yet.
func (w *world) differ() string {
	first := w.nodes[0]
	for _, v := range w.told.votes {
		if p := first.at.tip.State().Decisions().Poll(v.id); p == nil || !p.Phase.Closed() {
			return fmt.Sprintf("the vote on %q is open", v.title)
		}
	}
	for _, n := range w.honest() {
		if n.at != first.at {
			return fmt.Sprintf("node %d is at checkpoint %d, node 0 at %d", n.i, n.height(), first.height())
		}
	}
	if first.clerk.hasWork() {
		return "something could be made final"
	}
	if p, holds := w.lyingClerk(); holds {
		return fmt.Sprintf("clerk %d still holds the office", p.i)
	}
	return ""
}

// tellEnd checks and tells how it ended.
func (w *world) tellEnd(out io.Writer) error {
	first := w.nodes[0]
	final := first.at.tip.State()
	fmt.Fprintln(out, "\nHow it ended")
	for _, v := range w.told.votes {
		p := final.Decisions().Poll(v.id)
		lost, err := w.checkVote(v, p)
		if err != nil {
			return err
		}
		late := ""
		if lost > 0 {
			late = fmt.Sprintf("; %d were cut off from the clerks when it closed", lost)
		}
		fmt.Fprintf(out, "  %-26s %s, %d ballots of %d members%s\n", v.title, p.Result.Outcome, p.Ballots.Len(), p.Electorate, late)
	}
	for _, p := range w.people[:honestClerks] {
		if m := final.Roll().Member(p.id); !m.Holds(roll.Clerk) || m.Standing() != roll.Full {
			return fmt.Errorf("honest clerk %d is blamed: %s", p.i, m.Standing())
		}
	}
	fmt.Fprintf(out, "  Both clerks who signed twice have lost the office; %d clerks go on.\n", len(first.at.tip.Clerks()))
	records, err := w.audit()
	if err != nil {
		return err
	}
	root := final.Root()
	fmt.Fprintf(out, "  All %d nodes are at checkpoint %d with state root %x…\n", len(w.honest()), first.height(), root[:8])
	fmt.Fprintf(out, "  Who begins with bytes alone verifies %d records and %d certificates, and comes to the same root.\n", records, first.height())
	return nil
}

// checkVote compares a count with what honest voters cast, and returns how many
// of them were cut off when the vote closed.
func (w *world) checkVote(v *vote, p *decision.Poll) (lost int, err error) {
	for _, b := range w.told.ballots {
		if b.vote != v {
			continue
		}
		got, ok := p.Ballots.Get(b.by.id)
		switch {
		case ok && got.Ballot == b.id && string(got.Choice) == b.choice:
		case !ok && b.side == 1 && v.closes < healsAt || !ok && v.closes-b.at < 10*time.Second:
			lost++
		default:
			return lost, fmt.Errorf("%q: the ballot of member %d, cast after %v, is not counted", v.title, b.by.i, b.at)
		}
	}
	return lost, nil
}
