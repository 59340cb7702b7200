package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// babble is a kind that this version does not know: kept, without effect.
const babble protocol.Kind = "babble"

// lies has each member who lies do one thing, at a time of their own.
func (w *world) lies() {
	for n, p := range w.liars {
		at := 15*time.Second + time.Duration(w.rng.Int64N(int64(quietAt-50*time.Second)))
		if n%10 == 0 { // needs two sides
			at = partsAt + 10*time.Second + time.Duration(w.rng.Int64N(int64(healsAt-partsAt-20*time.Second)))
		}
		if n%10 == 3 { // needs a closed vote
			at = healsAt + time.Duration(w.rng.Int64N(int64(30*time.Second)))
		}
		w.after(int(at/tick), func() { w.lie(p, n) })
	}
}

func (w *world) lie(p *person, n int) {
	other := w.people[w.rng.IntN(honestClerks)]
	switch n % 10 {
	case 0:
		far := w.nodes[clerks+w.rng.IntN(len(w.people)-clerks)]
		for far.side == p.side {
			far = w.nodes[clerks+w.rng.IntN(len(w.people)-clerks)]
		}
		w.tell("tells each side something else", p.node, p.sign(babble, map[string]string{"to": "you"}, nil))
		w.tell("tells each side something else", far, p.again(map[string]string{"to": "them"}))
	case 1:
		w.tell("signs two things at one place", p.node, p.sign(babble, map[string]int{"n": 1}, nil))
		w.tell("signs two things at one place", p.node, p.again(map[string]int{"n": 2}))
	case 2:
		if v := w.openVote(p); v != nil {
			w.tell("casts two ballots of one number", p.node, p.ballot(v.id, 0, "yes"))
			w.tell("casts two ballots of one number", p.node, p.ballot(v.id, 0, "no"))
		}
	case 3:
		w.tell("votes after the close", p.node, p.ballot(w.told.votes[0].id, 0, "no"))
	case 4:
		w.tell("signs as of before they were a member", p.node, p.sign(babble, struct{}{}, nil, func(h *protocol.Header) {
			h.Checkpoint.Height, h.Checkpoint.ID = 1, p.at.ids[0]
			h.Time = 1
		}))
	case 5:
		w.tell("suspends a clerk alone", p.node, p.sign(protocol.Suspend, roll.RestrictBody{Persona: other.id, Reason: "because"}, nil))
	case 6:
		b := w.born(len(w.people)+n, w.key("no invite", n), nil)
		body := roll.AdmitBody{Persona: b.id, Invite: p.anInvite()}
		w.tell("admits by a key that is no invite's", p.node, p.sign(protocol.Admit, body, []*protocol.Record{b.inception, b.grant}))
	case 7:
		w.tell("signs in another's name", p.node, p.sign(protocol.Leave, roll.LeaveBody{}, nil, func(h *protocol.Header) { h.Persona = other.id }))
	case 8:
		if v := w.openVote(p); v != nil {
			w.tell("votes for what is not offered", p.node, p.ballot(v.id, 0, "perhaps"))
		}
	case 9:
		w.garbage(p)
		for n := 0; n < protocol.QuotaPerCheckpoint+4 && !w.told.flooded; n++ {
			w.tell("writes more than the quota", p.node, p.sign(babble, struct{}{}, nil))
		}
		w.told.flooded = true // one is enough to look at
	}
}

// again signs another thing in the place of the person's last record.
func (p *person) again(body any) *protocol.Record {
	return p.sign(babble, body, nil, func(h *protocol.Header) {
		h.Seq--
		h.Prev = protocol.ID{}
	})
}

func (p *person) anInvite() (id protocol.ID) {
	for id := range p.at.tip.State().Roll().Invites() {
		return id
	}
	return id
}

// openVote is a vote that is open where a person lives, nil if there is none.
func (w *world) openVote(p *person) *vote {
	for _, v := range w.told.votes {
		if poll := p.at.tip.State().Decisions().Poll(v.id); poll != nil && poll.Phase == decision.Voting {
			return v
		}
	}
	return nil
}

// tell spreads a lie from a node.
func (w *world) tell(what string, at *node, r *protocol.Record) {
	w.told.lies = append(w.told.lies, lie{what, w.know(r), w.clock(), at.side})
	at.spread(r)
}

// garbage sends a record with a bit of its signature changed. What nobody can
// parse is no record, and goes no further.
func (w *world) garbage(p *person) {
	seq, prev := p.seq, p.prev
	b := slices.Clone(p.sign(babble, struct{}{}, nil).Inner())
	p.seq, p.prev = seq, prev
	b[len(b)-1-w.rng.IntN(64)] ^= 1 << w.rng.IntN(8)
	if _, err := protocol.Parse(b); err == nil {
		w.fail("a record with another signature is taken")
	}
	w.told.lies = append(w.told.lies, lie{"changes a bit of a signature", -1, w.clock(), p.side})
}

// tellLies says what became of each kind of lie.
func (w *world) tellLies(out io.Writer) {
	verdicts := map[protocol.ID]protocol.Verdict{}
	for id := (protocol.ID{}); w.history.after[id] != nil; id = w.history.after[id].tip.Ref().ID {
		for _, v := range w.history.after[id].verdicts {
			verdicts[v.Record] = v
		}
	}
	type fate struct{ what, became string }
	count := map[fate]int{}
	for _, l := range w.told.lies {
		f := fate{l.what, "dropped: its signature does not hold"}
		if l.record >= 0 {
			v, covered := verdicts[w.history.records[l.record].ID()]
			why, refused := w.told.refused[l.record]
			switch {
			case covered && v.Stands:
				f.became = fmt.Sprintf("%s: %s", v.Rule, v.Text)
			case covered:
				f.became = fmt.Sprintf("void, %s: %s", v.Rule, v.Text)
			case refused:
				f.became = "refused: " + why
			default:
				f.became = "waits for what nobody has"
			}
		}
		count[f]++
	}
	fmt.Fprintln(out, "\nWhat members who lie did, and what became of it")
	for _, f := range slices.SortedFunc(maps.Keys(count), func(a, b fate) int {
		return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.became, b.became))
	}) {
		fmt.Fprintf(out, "  %4d × %-36s %s\n", count[f], f.what, f.became)
	}
	fmt.Fprintf(out, "  %4d × %-36s refused by the other clerks\n", len(w.told.omissions), "a clerk leaves out what some wrote")
	fmt.Fprintf(out, "  %4d × %-36s %s\n", len(w.told.accused), "a clerk signs two different things", "clerk/double: proof before the members, the office is lost")
}
