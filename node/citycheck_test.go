package node

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// cityLog is what a city's end is measured by.
type cityLog struct {
	lies    map[string]int
	refused int
	crashes int
	renewed int // honest records signed anew

	joined    []protocol.ID                 // personas whom honest members let in
	left      []protocol.ID                 // who left
	forged    []protocol.ID                 // whom forged admissions name
	victims   []protocol.ID                 // of what must not come about
	suspended []protocol.ID                 // by a clerk alone
	bold      []protocol.ID                 // who said two things of which one was final
	forked    []protocol.ID                 // who said two things at once
	fates     map[protocol.ID]protocol.Rule // of liars' records
	missed    map[missed]int
}

// missed is an honest record that a checkpoint leaves out.
type missed struct {
	height uint64
	id     protocol.ID
}

// watched is what an honest clerk's node was like at the last look.
type watched struct {
	tip   checkpoint.Tip
	since time.Time
}

func (c *city) clock() time.Duration { return time.Since(c.began).Round(10 * time.Millisecond) }

// watch counts, at each checkpoint, which honest clerks held which honest
// records for long enough when it was begun, and see it left out. Three of a
// quorum of five are honest, and all three said that nothing was: so at most
// two can have known (SPEC §7.3 rule 3).
func (c *city) watch(n *cityNode) {
	l := n.community().ledger
	tip := l.currentTip()
	was := n.seen
	if was.tip.Ref() == tip.Ref() && !was.since.IsZero() {
		return
	}
	n.seen = watched{tip, time.Now()}
	if n.i >= honestClerks || was.since.IsZero() || tip.Ref().Height != was.tip.Ref().Height+1 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	covered := map[protocol.ID]bool{}
	for _, r := range l.open {
		for _, p := range r.Header().Parents {
			covered[p] = tip.Covered(protocol.ID{}).Has(p)
		}
		covered[r.Header().Prev] = tip.Covered(protocol.ID{}).Has(r.Header().Prev)
	}
	for id, r := range l.open {
		if r.at.Before(was.since.Add(-omission)) && c.isHonest(r.Header().Persona) && was.tip.Ripe(r.Record, covered) {
			at := missed{tip.Ref().Height, id}
			if c.logs.missed[at]++; c.logs.missed[at] > 2 {
				c.t.Errorf("%v: checkpoint %d leaves out %s, a %s that three honest clerks held", c.clock(), at.height, id, r.Kind())
			}
		}
	}
}

func (c *city) isHonest(persona protocol.ID) bool {
	i := slices.IndexFunc(c.people, func(p *citizen) bool { return p.persona() == persona })
	return i >= 0 && !c.people[i].liar
}

// bounded requires that what dishonest peers can have a node remember has a
// bound that holds.
func (c *city) bounded() {
	for _, n := range c.nodes {
		if n.community() == nil {
			continue
		}
		l := n.community().ledger
		l.mu.Lock()
		if l.pending.size > maxPending || len(l.needed) > maxNeeded || len(l.wanted) > maxWanted || l.chunks.size > maxChunks {
			c.t.Errorf("%v: node %d keeps %d bytes pending, %d needed, %d certificates, %d bytes of lists",
				c.clock(), n.i, l.pending.size, len(l.needed), len(l.wanted), l.chunks.size)
		}
		l.mu.Unlock()
	}
}

// honestHomes are the nodes that must be equal in the end.
func (c *city) honestHomes() (list []*home) {
	for _, n := range c.nodes {
		if n.i < honestClerks || n.i >= citySeats {
			list = append(list, n.home)
		}
	}
	return list
}

// settles lets time pass until all honest nodes are equal.
func (c *city) settles() time.Duration {
	began := time.Now()
	for {
		c.run(5 * time.Second)
		why := c.convictions()
		if why == "" {
			why = differ(c.honestHomes())
		}
		if why == "" {
			return time.Since(began)
		}
		if time.Since(began) > 20*time.Minute {
			c.t.Fatalf("%v: twenty minutes after the city healed: %s", c.clock(), why)
		}
	}
}

// convictions says what is missing until both clerks who signed twice have lost
// the office.
func (c *city) convictions() string {
	final := c.nodes[0].Snapshot().Final.Roll()
	for i, p := range c.people[:cityClerks] {
		m := final.Member(p.persona())
		if honest := i < honestClerks; honest != m.Holds("clerk") || honest != (m.Standing() == roll.Full) {
			return fmt.Sprintf("clerk %d, honest: %t, is %s and holds %v, because of %v", i, honest, m.Standing(), m.OfficeNames(), m.Because)
		}
	}
	return ""
}

// checkRoll compares who is what in the end with what was done.
func (c *city) checkRoll() {
	final := c.nodes[0].Snapshot().Final.Roll()
	want := map[protocol.ID]roll.Standing{}
	for _, p := range c.people {
		want[p.persona()] = roll.Full
	}
	for _, p := range c.people[honestClerks:cityClerks] {
		want[p.persona()] = roll.Suspended
	}
	for standing, list := range map[roll.Standing][]protocol.ID{
		roll.Full: c.logs.bold, roll.Suspended: slices.Concat(c.logs.suspended, c.logs.forked), roll.Left: c.logs.left,
	} {
		for _, id := range list {
			want[id] = standing
		}
	}
	for id, standing := range want {
		if m := final.Member(id); m == nil || m.Standing() != standing {
			c.t.Errorf("%s is %+v, not %s", id, m, standing)
		}
	}
	for _, id := range c.logs.forged {
		if final.Member(id) != nil {
			c.t.Errorf("a forged admission let %s in", id)
		}
	}
	if n := len(want) + 1; uint64(n) != onRoll(final) { // and a sybil, by an invite that was good
		c.t.Errorf("%d on the roll, wanted %d", onRoll(final), n)
	}
}

func onRoll(r roll.State) (n uint64) {
	for range r.Members() {
		n++
	}
	return n
}

// history replays a node's checkpoints and gathers the verdicts on all that
// they cover.
func (c *city) history(n *cityNode) map[protocol.ID]protocol.Verdict {
	l := n.community().ledger
	genesis, err := l.record(l.metastate)
	if err != nil {
		c.t.Fatal(err)
	}
	tip, err := checkpoint.Begin(genesis)
	if err != nil {
		c.t.Fatal(err)
	}
	all := map[protocol.ID]protocol.Verdict{}
	for h := uint64(1); h <= l.currentTip().Ref().Height; h++ {
		_, v, err := l.certificateAt(h)
		if err != nil {
			c.t.Fatal(err)
		}
		recs, err := l.storedCover(v)
		if err != nil {
			c.t.Fatal(err)
		}
		next, err := tip.Apply(v, recs)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, verdict := range next.Verdicts {
			all[verdict.Record] = verdict
		}
		tip = next.Tip
	}
	return all
}

// checkDeeds requires that nothing of an honest member was lost: each record
// stands, or is void by a rule that says why and blames nobody: because a clerk
// suspended its author, or because the author's later ballot came first.
func (c *city) checkDeeds() {
	verdicts := c.history(c.nodes[0])
	for _, d := range c.deeds {
		v, covered := verdicts[d.id]
		who := d.by.persona()
		switch {
		case covered && v.Stands:
		case covered && slices.Contains(c.logs.suspended, who) && (v.Rule == "cut" || v.Rule == "power"):
		case d.poll != nil && d.poll.votes[who].id != d.id: // the voter cast a later one
		case d.poll != nil && !covered && c.tooLate(d):
		default:
			c.t.Errorf("a %s of %v at node %d, an honest one, is covered: %t, %s: %s",
				d.kind, d.at.Sub(c.began), d.by.i, covered, v.Rule, v.Text)
		}
	}
	for id, rule := range c.logs.fates {
		if v, covered := verdicts[id]; covered && v.Rule != rule {
			c.t.Errorf("a liar's record is decided by %s, not %s: %s", v.Rule, rule, v.Text)
		} else if !covered && rule != roll.RuleFork { // of three rivals not all are
			c.t.Errorf("a liar's record that %s decides about is not covered", rule)
		}
	}
}

// tooLate reports whether a ballot may not have reached the clerks before the
// vote closed: its voter was cut off from them, or a moment later, or it was cast
// near the end.
func (c *city) tooLate(d deed) bool {
	before := c.parted.Sub(d.at)
	cutOff := d.late || c.far[d.by.i] && 0 <= before && before < 2*time.Second
	return cutOff && d.poll.closes.Before(c.healed) || d.poll.closes.Sub(d.at) < 20*time.Second
}

// checkCounts compares every count on every honest node with what the voters
// were told.
func (c *city) checkCounts() (counted int) {
	for _, q := range c.asked {
		p := c.nodes[0].Snapshot().Final.Decisions().Poll(q.id)
		if p == nil || p.Result == nil {
			c.t.Errorf("the vote on %q was not decided", q.title)
			continue
		}
		votes := map[string]uint64{}
		for voter, v := range p.Ballots.All() {
			who := protocol.ID(voter)
			cast, honest := q.votes[who]
			if want := q.choice[who]; want != string(v.Choice) && !(honest && c.tooLate(cast)) {
				c.t.Errorf("%q: %s is counted as %q, and voted %q", q.title, who, v.Choice, want)
			}
			votes[string(v.Choice)]++
			counted++
		}
		for who, choice := range q.choice {
			if v, ok := p.Ballots.Get(who); !ok && (q.votes[who].poll == nil || !c.tooLate(q.votes[who])) {
				c.t.Errorf("%q: %s voted %q and is not counted: %+v", q.title, who, choice, v)
			}
		}
		for _, h := range c.honestHomes() {
			got, err := h.community().Tally(q.id.String())
			if err != nil || got.Counted != uint64(p.Ballots.Len()) || !maps.Equal(positive(got.Votes), votes) {
				c.t.Errorf("%q: node %d counts %+v, %v; wanted %v", q.title, h.i, got, err, votes)
			}
		}
	}
	return counted
}

func positive(votes map[string]uint64) map[string]uint64 {
	votes = maps.Clone(votes)
	maps.DeleteFunc(votes, func(_ string, n uint64) bool { return n == 0 })
	return votes
}

func (l cityLog) String() string {
	var lies []string
	for _, what := range slices.Sorted(maps.Keys(l.lies)) {
		lies = append(lies, fmt.Sprintf("%s ×%d", what, l.lies[what]))
	}
	return fmt.Sprintf("%d joined, %d left, %d crashes, %d records signed anew; lies: %s", len(l.joined), len(l.left), l.crashes, l.renewed, strings.Join(lies, ", "))
}
