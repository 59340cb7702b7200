package node

import (
	"errors"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A deed is an act of an honest member, acknowledged: it must not be lost.
type deed struct {
	by   *citizen
	kind protocol.Kind
	id   protocol.ID
	poll *question // of a ballot
	at   time.Time
	late bool // on the side that hears nothing of the clerks
}

// A question is put to the vote, and the choices that honest members were told
// are stored.
type question struct {
	title  string
	id     protocol.ID
	closes time.Time // not before
	votes  map[protocol.ID]deed
	choice map[protocol.ID]string
}

// community is the metastate as a citizen has it at their node.
func (p *citizen) community() *Community {
	at := p.cityNode.community()
	if p.daily.Persona == p.home.daily.Persona {
		return at
	}
	c := newCommunity(p.daily, at.store, network{cfg: &Config{}}, p.log)
	c.ledger, c.replica = at.ledger, at.replica
	return c
}

func (p *citizen) persona() protocol.ID { return protocol.ID(p.daily.Persona) }

// able reports whether a citizen can do anything now.
func (p *citizen) able() bool { return !p.down && !p.gone }

// cutOff reports whether a node is on the side without a quorum.
func (n *cityNode) cutOff() bool { return n.side[n.i] == 1 }

// done keeps what a citizen did for the reckoning, and spreads it.
func (c *city) done(p *citizen, kind protocol.Kind, id protocol.ID, q *question) deed {
	d := deed{by: p, kind: kind, id: id, poll: q, at: time.Now(), late: p.cutOff()}
	c.deeds = append(c.deeds, d)
	inner, err := p.community().store.Get(id)
	if err != nil {
		c.t.Fatalf("acknowledged but not held: %v", err)
	}
	p.spread(p2p.Records, inner)
	return d
}

// renew has a node sign its own records anew that can't become final any more:
// those that rest on what a liar told one side only (SPEC §4.1). What they say
// is what was said before, and must not be lost.
func (c *city) renew(n *cityNode) {
	l := n.community().ledger
	l.mu.Lock()
	lapsed := slices.Clone(l.lapsed)
	l.mu.Unlock()
	if len(lapsed) == 0 || n.i >= honestClerks && n.i < citySeats {
		return
	}
	for _, r := range l.renewed(n.c.key) {
		n.spread(p2p.Records, r.Inner())
	}
	for _, r := range lapsed {
		what, _ := l.lapseOf(r.ID())
		if what.Again.IsZero() {
			c.t.Errorf("%v: a %s of node %d is not signed anew: %q", c.clock(), r.Kind(), n.i, what.Why)
		}
		for i := range c.deeds {
			if c.deeds[i].id == r.ID() {
				c.deeds[i].id = what.Again
			}
		}
		for _, q := range c.asked {
			if q.id == r.ID() {
				q.id = what.Again
			}
		}
		c.logs.renewed++
	}
}

// refused reports whether the rules refuse an act. Nothing else may.
func (c *city) refused(p *citizen, err error) bool {
	if said, ok := errors.AsType[*Error](err); err != nil && (!ok || said.Exit != ExitRefused && said.Exit != ExitNotFound) {
		c.t.Errorf("%v: an honest act at node %d: %v", c.clock(), p.i, err)
	}
	return err != nil
}

// ask has an honest citizen put a question to the vote.
func (c *city) ask(p *citizen, title string, open time.Duration) *question {
	made, err := p.community().Propose(c.ctx, ProposeRequest{Title: title, ClosesIn: open})
	if err != nil {
		c.t.Fatal(err)
	}
	q := &question{
		title: title, id: made.Proposal, closes: time.Now().Add(open),
		votes: map[protocol.ID]deed{}, choice: map[protocol.ID]string{},
	}
	c.asked = append(c.asked, q)
	c.done(p, protocol.Propose, q.id, nil)
	return q
}

// canvass has about so many in a hundred honest citizens vote within a time,
// and one in ten of them think better of it.
func (c *city) canvass(q *question, percent int, within time.Duration) {
	for _, p := range c.people {
		if p.liar || c.rng.IntN(100) >= percent {
			continue
		}
		c.after(c.upTo(within), func() { c.vote(p, q, 100) })
		if c.rng.IntN(10) == 0 {
			c.after(within+c.upTo(within), func() { c.vote(p, q, 1) })
		}
	}
}

// vote tries to vote until it can be done, for a while.
func (c *city) vote(p *citizen, q *question, tries int) {
	if !p.able() || !p.sees(q) {
		if tries > 1 && !p.gone {
			c.after(4*time.Second, func() { c.vote(p, q, tries-1) })
		}
		return
	}
	choice := []string{"yes", "no", "abstain"}[c.rng.IntN(3)]
	v, err := p.community().Vote(c.ctx, q.id.String(), choice)
	if c.refused(p, err) {
		return
	}
	id, err := protocol.ParseID(v.Receipt)
	if err != nil {
		c.t.Fatal(err)
	}
	q.votes[p.persona()], q.choice[p.persona()] = c.done(p, protocol.Ballot, id, q), choice
}

// sees reports whether a vote is open, as far as the citizen's node knows.
func (p *citizen) sees(q *question) bool {
	poll := p.cityNode.community().ledger.currentTip().State().Decisions().Poll(q.id)
	return poll != nil && poll.Phase == decision.Voting
}

// admits has a member let a newcomer in, who lives at the member's node.
func (c *city) admits(by *citizen) {
	if !by.able() {
		c.after(4*time.Second, func() { c.admits(by) })
		return
	}
	b, daily := c.newcomer(by.community().id)
	body := roll.AdmitBody{Persona: b.inception.ID(), Invite: c.invite}
	r, err := by.community().act(protocol.Admit, body, b.inception, b.grant)
	if c.refused(by, err) {
		return
	}
	c.done(by, protocol.Admit, r.ID(), nil)
	c.people = append(c.people, &citizen{cityNode: by.cityNode, daily: daily})
	c.logs.joined = append(c.logs.joined, b.inception.ID())
}

// leaves ends a membership.
func (c *city) leaves(p *citizen) {
	if !p.able() {
		return
	}
	if r, err := p.community().Leave(c.ctx); !c.refused(p, err) {
		p.gone = true
		c.done(p, protocol.Leave, r.Record, nil)
		c.logs.left = append(c.logs.left, p.persona())
	}
}

// life is what goes on for a while besides what is told: newcomers, some who
// leave, and nodes that stop and begin again.
func (c *city) life(newcomers, leavers int, within time.Duration) {
	for range newcomers {
		c.after(c.upTo(within), func() { c.admits(c.resident(-1)) })
	}
	for range leavers {
		c.after(c.upTo(within), func() {
			p := c.resident(-1)
			for p.i < citySeats { // clerks stay
				p = c.resident(-1)
			}
			c.leaves(p)
		})
	}
	for range c.size.nodes / 5 {
		c.after(c.upTo(within), func() {
			n := c.nodes[c.rng.IntN(len(c.nodes))]
			away := c.upTo(25 * time.Second)
			if n.i < citySeats { // the majority's side needs all its clerks
				away = c.upTo(2 * time.Second)
			}
			c.crash(n, away)
		})
	}
}

// somebody is a random honest member who can act, on a side, or on any.
func (c *city) somebody(side int) *citizen {
	for {
		p := c.people[c.rng.IntN(len(c.people))]
		m := p.entry()
		if !p.liar && p.able() && (side < 0 || p.side[p.i] == side) && m != nil && m.Rank() > roll.RankNone {
			return p
		}
	}
}

// resident is somebody to whom the node belongs: it signs their records anew if
// it must.
func (c *city) resident(side int) *citizen {
	for {
		if p := c.somebody(side); p.daily.Persona == p.home.daily.Persona {
			return p
		}
	}
}

// lodger is somebody who lives at another's node, and stays.
func (c *city) lodger(side int) *citizen {
	for {
		if p := c.somebody(side); p.daily.Persona != p.home.daily.Persona {
			return p
		}
	}
}

// where are the honest nodes on a side that are up to date, as far as the side
// can know, and hold what a liar wrote before.
func (c *city) where(p *citizen, side int) (list []*cityNode) {
	best := c.heights()[side]
	for _, n := range c.nodes {
		if n.down || n.side[n.i] != side || n.i >= honestClerks && n.i < citySeats {
			continue
		}
		l := n.community().ledger
		l.mu.Lock()
		_, ok := l.Header(p.prev)
		if l.tip.Ref().Height == best && (ok || p.prev.IsZero()) {
			list = append(list, n)
		}
		l.mu.Unlock()
	}
	return list
}

// honest is a random one of them.
func (c *city) honest(p *citizen, side int) *cityNode {
	list := c.where(p, side)
	if len(list) == 0 {
		c.t.Fatalf("%v: no honest node of side %d is up to date and holds what the liar wrote before", c.clock(), side)
	}
	return list[c.rng.IntN(len(list))]
}

// lie has a liar do something after a while, once some honest node on each of
// the sides is up to date and holds what the liar wrote before: what few nodes
// hold yet can be where a checkpoint comes late.
func (c *city) lie(d time.Duration, p *citizen, do func(*citizen), sides ...int) {
	asked := time.Now()
	var try func()
	try = func() {
		for _, side := range sides {
			if len(c.where(p, side)) > 0 {
				continue
			}
			if time.Since(asked) > d+time.Minute {
				c.t.Fatalf("%v: for a minute no honest node of side %d was up to date and held what the liar wrote before", c.clock(), side)
			}
			c.after(500*time.Millisecond, try)
			return
		}
		do(p)
	}
	c.after(d, try)
}

// entry is the citizen's entry in the final roll, nil if there is none.
func (p *citizen) entry() *roll.Member {
	if p.down {
		return nil
	}
	return p.cityNode.community().ledger.currentTip().State().Roll().Member(p.persona())
}

// forge signs what a liar likes, as a node's ledger makes it likely: alter
// changes the header first. It is the next of the liar's chain, unless alter
// says otherwise.
func (p *citizen) forge(at *cityNode, kind protocol.Kind, subject protocol.ID, body any, alter func(*protocol.Header), carried ...*protocol.Record) *protocol.Record {
	tip := at.community().ledger.currentTip()
	key := deviceKey(p.daily)
	h := protocol.Header{
		Metastate: tip.State().Metastate(), Kind: kind, Persona: p.persona(), Key: key.Public(),
		Checkpoint: tip.Ref(), Subject: subject, Time: time.Now().Unix(),
	}
	if subject.IsZero() {
		front := tip.Frontier()
		h.Parents, h.Seq, h.Prev = front[:min(len(front), protocol.MaxParents)], p.seq, p.prev
	}
	if alter != nil {
		alter(&h)
	}
	r, err := protocol.Sign(h, body, carried, key)
	if err != nil {
		p.t.Fatal(err)
	}
	if subject.IsZero() {
		p.seq, p.prev = h.Seq+1, r.ID()
	}
	return r
}

// ballot is a body.
func ballot(choice string) decision.BallotBody { return decision.BallotBody{Choice: choice} }
