package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// babble is a kind that no version knows: kept, passed on, without effect.
const babble protocol.Kind = "babble"

// chooseLiars picks a tenth of the members: the two clerks, and others who live
// anywhere. The clerks keep what some honest members write from being covered,
// as far as they can.
func (c *city) chooseLiars() {
	want := c.size.members / 10
	c.people[honestClerks].liar, c.people[honestClerks+1].liar = true, true
	for n := 2; n < want; {
		p := c.people[cityClerks+c.rng.IntN(len(c.people)-cityClerks)]
		if !p.liar && !c.begunLater(p.i) {
			p.liar = true
			n++
			c.liars = append(c.liars, p)
		}
	}
	hushed := map[protocol.ID]bool{}
	for len(hushed) < want {
		if p := c.somebody(-1); p.i >= citySeats {
			hushed[p.persona()] = true
		}
	}
	for _, n := range c.nodes[honestClerks:citySeats] {
		n.kept = map[protocol.ID][]byte{}
		n.drops = func(kind p2p.Kind, frames [][]byte) [][]byte {
			if kind == p2p.Records {
				return slices.DeleteFunc(slices.Clone(frames), func(f []byte) bool { return n.hushes(f, hushed) })
			}
			return frames
		}
	}
}

// hushes reports whether a record is by somebody whom this clerk keeps out. It
// lays it aside.
func (n *cityNode) hushes(frame []byte, hushed map[protocol.ID]bool) bool {
	inner, err := n.community().replica.unseal(protocol.ContentRecord, frame)
	if err != nil {
		return false
	}
	r, err := protocol.Parse(inner)
	if err != nil || !hushed[r.Header().Persona] {
		return false
	}
	n.kept[r.ID()] = inner
	return true
}

// yields takes in what was laid aside and another clerk's proposal lists: it
// can't vote for that otherwise.
func (n *cityNode) yields() {
	var list [][]byte
	l := n.community().ledger
	l.mu.Lock()
	for id := range l.needed {
		if inner := n.kept[id]; inner != nil {
			list = append(list, inner)
			delete(n.kept, id)
		}
	}
	l.mu.Unlock()
	if len(list) > 0 {
		_, err := l.deliver(list)
		if err != nil {
			n.t.Error(err)
		}
	}
}

// silent reports whether a dishonest clerk says nothing now: a third of the
// time, but not while the majority's side could not go on without it.
func (c *city) silent(from *home) bool {
	return !c.apart() && from.i >= honestClerks && (time.Since(c.began)/(10*time.Second))%3 == 2
}

// offer hands records to one honest node, whose ledger must make of them what
// is said: so many taken, refused, waiting.
func (c *city) offer(what string, to *cityNode, taken, refused, waiting int, recs ...*protocol.Record) {
	inners := make([][]byte, len(recs))
	for i, r := range recs {
		inners[i] = r.Inner()
	}
	d, err := to.community().ledger.deliver(inners)
	if err != nil || d.taken != taken || len(d.refused) != refused || d.waiting != waiting {
		c.t.Errorf("%v: %s: node %d takes %d, refuses %d and keeps %d waiting, wanted %d, %d and %d (%v)",
			c.clock(), what, to.i, d.taken, len(d.refused), d.waiting, taken, refused, waiting, err)
	}
	c.logs.lies[what]++
	c.logs.refused += len(d.refused)
}

// fares says what rule decides about a record once it is covered.
func (c *city) fares(rule protocol.Rule, r *protocol.Record) *protocol.Record {
	c.logs.fates[r.ID()] = rule
	return r
}

// liesAtFirst is what dishonest members do while the network is whole.
func (c *city) liesAtFirst() {
	c.lie(4*time.Second, c.liars[0], c.flood, 0)
	c.lie(6*time.Second, c.liars[1], c.garbage, 0)
	c.lie(8*time.Second, c.liars[2], c.ancient, 0)
	c.lie(10*time.Second, c.liars[3], c.gang, 0)
	c.lie(14*time.Second, c.liars[4], c.forgedAdmissions, 0)
	c.lie(16*time.Second, c.liars[5], c.sybil, 0)
}

// flood writes more than the quota on one checkpoint.
func (c *city) flood(p *citizen) {
	at := c.honest(p, 0)
	var list []*protocol.Record
	for range protocol.QuotaPerCheckpoint + 6 {
		list = append(list, p.forge(at, babble, protocol.ID{}, struct{}{}, nil))
	}
	// The first over the quota is refused, and the others wait for it.
	c.offer("flood", at, protocol.QuotaPerCheckpoint, 1, 5, list...)
}

// garbage sends what no honest node passes on: the sender is blamed, and
// nothing is kept.
func (c *city) garbage(p *citizen) {
	at := c.honest(p, 0)
	r := p.forge(at, babble, protocol.ID{}, struct{}{}, nil)
	p.seq, p.prev = 0, protocol.ID{}
	forged := slices.Clone(r.Inner())
	forged[len(forged)-1] ^= 1
	replica := at.community().replica
	before := at.c.store.Len()
	junk := make([]byte, 1+c.rng.IntN(900))
	for i := range junk {
		junk[i] = byte(c.rng.Uint32())
	}
	for _, x := range []struct { // in this order, so that a seed gives the same bytes
		what  string
		frame []byte
	}{
		{"no frame", junk},
		{"no record", replica.sealing().Seal(protocol.ContentRecord, junk)},
		{"a signature that does not hold", replica.sealing().Seal(protocol.ContentRecord, forged)},
		{"a record cut off", replica.sealing().Seal(protocol.ContentRecord, forged[:len(forged)/2])},
	} {
		if err := at.deliver(p2p.Records, [][]byte{x.frame}); !errors.Is(err, p2p.ErrPeer) {
			c.t.Errorf("%v: %s: %v", c.clock(), x.what, err)
		}
	}
	if at.c.store.Len() != before {
		c.t.Errorf("%v: garbage is stored", c.clock())
	}
	c.logs.lies["garbage"]++
}

// ancient follows the genesis and cites the oldest checkpoint at which the
// author was a member, at a time that never was; and one before that.
func (c *city) ancient(p *citizen) {
	at := c.honest(p, 0)
	l := at.community().ledger
	since := l.currentTip().State().Roll().Member(p.persona()).Spans[0].Height
	cite := func(height uint64) *protocol.Record {
		return p.forge(at, babble, protocol.ID{}, struct{}{}, func(h *protocol.Header) {
			l.mu.Lock()
			h.Checkpoint.Height = height
			h.Checkpoint.ID, _ = l.CheckpointID(height)
			l.mu.Unlock()
			h.Parents, h.Time = []protocol.ID{l.metastate}, 1
		})
	}
	r := cite(since)
	c.offer("ancient parents", at, 1, 0, 0, c.fares(state.RuleUnknown, r))
	p.seq, p.prev = 0, protocol.ID{} // as if the other were never written
	c.offer("before the author was admitted", at, 0, 1, 0, cite(since-1))
	p.seq, p.prev = 1, r.ID()
}

// gang has a liar suspend alone whom it must not, and expel them with all the
// other liars' help. Neither comes about: they are too few.
func (c *city) gang(p *citizen) {
	at, victim := c.honest(p, 0), c.lodger(-1)
	alone := p.forge(at, protocol.Suspend, protocol.ID{}, roll.RestrictBody{Persona: victim.persona(), Reason: "alone"}, nil)
	act := p.forge(at, protocol.Expel, protocol.ID{}, roll.RestrictBody{Persona: victim.persona(), Reason: "together"}, nil)
	list := []*protocol.Record{c.fares(roll.RuleMotion, alone), c.fares(roll.RuleMotion, act)}
	for _, o := range c.liars[4:] {
		list = append(list, o.forge(at, protocol.Endorse, protocol.ID{}, roll.EndorseBody{Act: act.ID()}, func(h *protocol.Header) {
			h.Parents = []protocol.ID{act.ID()}
		}))
	}
	c.offer("a gang expels", at, len(list), 0, 0, list...)
	c.logs.victims = append(c.logs.victims, victim.persona())
}

// forgedAdmissions bring people by an invite that is none, and by a key that is
// not the invite's.
func (c *city) forgedAdmissions(p *citizen) {
	at := c.honest(p, 0)
	for i, invite := range []protocol.ID{{1}, c.invite} {
		real := c.door
		c.door = identity.GenerateSigningKey()
		b, _ := c.newcomer(at.community().id)
		c.door = real
		body := roll.AdmitBody{Persona: b.inception.ID(), Invite: invite}
		r := p.forge(at, protocol.Admit, protocol.ID{}, body, nil, b.inception, b.grant)
		c.offer(fmt.Sprint("a forged admission ", i), at, 1, 0, 0, c.fares(roll.RulePower, r))
		c.logs.forged = append(c.logs.forged, b.inception.ID())
	}
}

// sybil admits somebody and has them act before that is final.
func (c *city) sybil(p *citizen) {
	at := c.honest(p, 0)
	b, daily := c.newcomer(at.community().id)
	r := p.forge(at, protocol.Admit, protocol.ID{}, roll.AdmitBody{Persona: b.inception.ID(), Invite: c.invite}, nil, b.inception, b.grant)
	c.offer("a sybil", at, 1, 0, 0, r)
	s := &citizen{cityNode: p.cityNode, daily: daily, liar: true}
	c.offer("a sybil acts at once", at, 0, 1, 0, s.forge(at, babble, protocol.ID{}, struct{}{}, nil))
}

// liesApart is what they do while the city is in two parts.
func (c *city) liesApart(open, closed *question) {
	vote := func(do func(*citizen, *question), q *question) func(*citizen) {
		return func(p *citizen) { do(p, q) }
	}
	for _, p := range c.liars[6:8] {
		c.lie(10*time.Second+c.upTo(20*time.Second), p, c.bothSides, 0, 1)
	}
	for _, p := range c.liars[8:10] {
		c.lie(10*time.Second+c.upTo(20*time.Second), p, c.rivals, 1)
	}
	c.lie(15*time.Second, c.liars[10], vote(c.voteApart, open), 0, 1)
	c.lie(16*time.Second, c.liars[11], vote(c.voteTwice, open), 0)
	c.lie(time.Until(closed.closes)+20*time.Second, c.liars[12], vote(c.voteLate, closed), 0, 1)
	c.after(25*time.Second, func() { c.suspendAlone() })
}

// bothSides says one thing to each side, at one place of a chain.
func (c *city) bothSides(p *citizen) {
	seq, prev := p.seq, p.prev
	near, far := c.honest(p, 0), c.honest(p, 1)
	question := decision.ProposeBody{Title: "Who is asked this?", Method: "yes-no", Class: "ordinary", Voting: 60}
	lost := c.fares(roll.RuleFork, p.forge(far, protocol.Propose, protocol.ID{}, question, nil)) // its place is final when it comes
	c.offer("equivocation on both sides", far, 1, 0, 0, lost)
	p.seq, p.prev = seq, prev
	c.offer("equivocation on both sides", near, 1, 0, 0, p.forge(near, babble, protocol.ID{}, map[string]string{"to": "them"}, nil))
	c.logs.bold = append(c.logs.bold, p.persona())
}

// rivals shows nodes of the side without checkpoints three records at one place
// of a chain, of which a node keeps two. Two of them come before the roll
// together.
func (c *city) rivals(p *citizen) {
	at := c.honest(p, 1)
	seq, prev := p.seq, p.prev
	var list []*protocol.Record
	for i := range 3 {
		p.seq, p.prev = seq, prev
		list = append(list, c.fares(roll.RuleFork, p.forge(at, babble, protocol.ID{}, map[string]int{"n": i}, nil)))
	}
	c.offer("three rivals", at, 2, 1, 0, list...)
	c.logs.forked = append(c.logs.forked, p.persona())
}

// voteApart casts two ballots with one number, one on each side: the one that
// is covered first counts.
func (c *city) voteApart(p *citizen, q *question) {
	near, far := c.honest(p, 0), c.honest(p, 1)
	c.offer("two ballots on two sides", near, 1, 0, 0, c.fares(decision.RuleBallot, p.forge(near, protocol.Ballot, q.id, ballot("yes"), nil)))
	c.offer("two ballots on two sides", far, 1, 0, 0, c.fares(decision.RuleSeq, p.forge(far, protocol.Ballot, q.id, ballot("no"), nil)))
	q.choice[p.persona()] = "yes"
}

// voteTwice casts two ballots with one number together: neither counts.
func (c *city) voteTwice(p *citizen, q *question) {
	at := c.honest(p, 0)
	c.offer("two ballots at once", at, 2, 0, 0,
		c.fares(decision.RuleSeq, p.forge(at, protocol.Ballot, q.id, ballot("yes"), nil)),
		c.fares(decision.RuleSeq, p.forge(at, protocol.Ballot, q.id, ballot("no"), nil)))
}

// voteLate votes as if the vote were open still, where it is known not to be,
// and where nobody can know.
func (c *city) voteLate(p *citizen, q *question) {
	before := func(h *protocol.Header) { h.Time = q.closes.Unix() - 30 }
	near, far := c.honest(p, 0), c.honest(p, 1)
	if !near.community().ledger.currentTip().State().Decisions().Poll(q.id).Phase.Closed() {
		c.lie(2*time.Second, p, func(p *citizen) { c.voteLate(p, q) }, 0, 1)
		return
	}
	late := p.forge(far, protocol.Ballot, q.id, ballot("no"), before)
	c.offer("a ballot after the close", near, 0, 1, 0, late)
	c.offer("a ballot that claims to be early", far, 1, 0, 0, late)
}

// suspendAlone has a dishonest clerk do to a member what the rules let it do,
// on either side another: of two records at one place of its chain the one that
// is final first stands.
func (c *city) suspendAlone() {
	for side, n := range []*cityNode{c.nodes[honestClerks], c.nodes[cityClerks]} {
		victim := c.lodger(side)
		for slices.Contains(c.logs.victims, victim.persona()) {
			victim = c.lodger(side)
		}
		r, err := n.community().act(protocol.Suspend, roll.RestrictBody{Persona: victim.persona(), Reason: "because I can"})
		if err != nil {
			c.t.Errorf("%v: a clerk suspends a member alone: %v", c.clock(), err)
			continue
		}
		n.spread(p2p.Records, r.Inner())
		if side == 0 {
			c.logs.suspended = append(c.logs.suspended, victim.persona())
			c.fares(roll.RuleSuspend, r)
		} else {
			c.logs.victims = append(c.logs.victims, victim.persona())
		}
		c.logs.lies["a clerk suspends alone"]++
	}
}

// staleCertificates has a dishonest clerk send around old certificates, and
// make up others: of its side's next checkpoint, signed by itself alone or with
// signatures of another, and of a branch that does not exist.
func (c *city) staleCertificates(from *cityNode) {
	side := from.side[from.i]
	if len(c.where(&citizen{}, side)) == 0 { // dishonest clerks alone have the latest
		c.after(500*time.Millisecond, func() { c.staleCertificates(from) })
		return
	}
	l := from.community().ledger
	tip := l.currentTip()
	for _, h := range []uint64{1, tip.Ref().Height / 2, tip.Ref().Height - 1} {
		from.announce(max(h, 1))
	}
	last, v, err := l.certificateAt(tip.Ref().Height)
	if err != nil {
		c.t.Fatal(err)
	}
	next, err := tip.Propose(nil, time.Now().Unix())
	if err != nil {
		c.t.Fatal(err)
	}
	v.Height, v.Prev = v.Height+1, protocol.ID{9}
	branch, err := v.Encode()
	if err != nil {
		c.t.Fatal(err)
	}
	says := protocol.Statement{Kind: protocol.AgreePrecommit, Height: v.Height, Value: protocol.Sum(next.Encoded), ValidRound: -1}
	own := certificate.Signature{
		Clerk: uint8(slices.IndexFunc(tip.Clerks(), func(k certificate.Clerk) bool { return k.Persona == from.community().Persona() })),
		Sig:   from.community().key.Sign(says.Bytes(l.metastate)),
	}
	for _, forged := range []certificate.Certificate{
		{Value: next.Encoded, Signatures: []certificate.Signature{own}},
		{Value: next.Encoded, Signatures: last.Signatures},
		{Value: branch, Signatures: last.Signatures},
	} {
		to := c.honest(&citizen{}, side)
		was := to.community().ledger.currentTip().Ref()
		err := to.deliver(p2p.Certificates, to.community().replica.seal(p2p.Certificates, part(partCertificate, forged.Encode())))
		if now := to.community().ledger.currentTip().Ref(); now != was || to.Snapshot().Trouble != nil {
			c.t.Errorf("%v: node %d follows a forged certificate: %+v, %v, %v", c.clock(), to.i, now, to.Snapshot().Trouble, err)
		}
	}
	c.logs.lies["stale and forged certificates"]++
}
