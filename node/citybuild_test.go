package node

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// A city is a metastate of more members than nodes, in which some are
// dishonest. It runs on the town's homes, but one event at a time, so that a
// seed tells almost the same story each time: only time passes elsewhere. A node is a
// ledger with a store, a replica, a clerk and a resident; others who live there
// write by its ledger with devices of their own.
//
// Two of the seven clerks are dishonest. When the city falls apart each of them
// goes on twice, once on either side, with one key and two stores that know
// nothing of each other: so each side has its promises, and the two contradict.
type city struct {
	*town
	size   citySize
	nodes  []*cityNode
	people []*citizen
	liars  []*citizen // of people, without the clerks
	events events
	asked  []*question
	deeds  []deed       // of honest people, acknowledged
	began  time.Time    // seven clerks sign
	parted time.Time    // the city fell into two parts
	far    map[int]bool // nodes on the side without a quorum then
	healed time.Time
	logs   cityLog
}

// citySize is how many nodes there are, the dishonest clerks' second ones not
// counted, and how many members in the end.
type citySize struct{ nodes, members int }

// Who lives where: first the honest clerks, then the dishonest, then their
// second nodes. The last two nodes begin with nothing, when the city is split.
const (
	honestClerks = 5
	cityClerks   = 7
	citySeats    = 9 // nodes that hear what clerks say
	lateNodes    = 2
)

// How the city's network is, and how often nodes exchange.
const (
	cityLoss    = 8 // of 100 messages
	citySlowest = 400 * time.Millisecond
	cityGather  = 200 * time.Millisecond // records taken in together
	citySync    = 6 * time.Second
	cityBeat    = 20 * time.Millisecond // how late a clerk's timer may be looked at
)

// A cityNode is a node of the city. The city's one goroutine owns it.
type cityNode struct {
	*home
	driver *heightDriver // of a clerk
	look   time.Time     // when the driver wants to look again
	down   bool
	mail   [][]byte  // records to be taken in together
	synced time.Time // the last exchange that it asked for
	seen   watched
	kept   map[protocol.ID][]byte // what a dishonest clerk keeps out
}

// A citizen is a member, honest or not, and where they live.
type citizen struct {
	*cityNode
	daily vault.Daily
	liar  bool
	gone  bool        // left
	seq   uint64      // of the next control record, if a liar
	prev  protocol.ID // the last one
}

type event struct {
	at time.Time
	do func()
}

// events are what is to happen, by time, and in the order asked for if equal.
type events []event

func (q *events) add(e event) {
	i, _ := slices.BinarySearchFunc(*q, e, func(a, b event) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1
	})
	*q = slices.Insert(*q, i, e)
}

// newCity founds a city and brings it to seven clerks. It must run in a bubble.
func newCity(t *testing.T, size citySize, seed uint64) *city {
	c := &city{town: emptyTown(t, size.nodes+2, seed), size: size, began: time.Now()}
	c.logs.lies, c.logs.missed, c.logs.fates = map[string]int{}, map[missed]int{}, map[protocol.ID]protocol.Rule{}
	c.panel, c.town.carry = citySeats, c.carryFrames
	c.rng = rand.New(rand.NewPCG(seed, 60))
	c.far = map[int]bool{}
	founder := c.found()
	founder.halt = func() {}
	var dailies []vault.Daily
	for len(dailies) < c.size.members*9/10-1 { // a tenth comes later
		if len(dailies)%50 == 49 { // under the quota of one device and checkpoint
			founder.finalise()
		}
		dailies = append(dailies, c.admit(founder))
	}
	founder.finalise()
	residents := c.seatClerks(founder, dailies)
	past := founder.past()
	for i, d := range residents {
		h := founder
		if i > 0 {
			h = &home{town: c.town, i: i, daily: d, ask: make(chan struct{}, 1), heard: map[protocol.ID]bool{}, halt: func() {}}
			c.homes = append(c.homes, h)
		}
		n := &cityNode{home: h, down: c.begunLater(i)}
		c.nodes = append(c.nodes, n)
		if !n.down && i > 0 {
			n.start()
			n.begins(founder, past)
		}
		if i != cityClerks && i != cityClerks+1 {
			c.people = append(c.people, &citizen{cityNode: n, daily: d})
		}
	}
	founderNode := c.nodes[0]
	founderNode.home.open(founder.c.store)
	founderNode.drive()
	for i, d := range dailies[c.size.nodes-1:] {
		c.people = append(c.people, &citizen{cityNode: c.lodging(i), daily: d})
	}
	for _, n := range c.nodes[1:cityClerks] {
		if _, err := n.c.act(protocol.Serve, roll.ServeBody{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.nodes {
		c.after(c.upTo(citySync), func() { c.syncing(n) })
	}
	c.chooseLiars()
	return c
}

// begunLater reports whether a node does not exist at first.
func (c *city) begunLater(i int) bool {
	return i == cityClerks || i == cityClerks+1 || i >= c.size.nodes+2-lateNodes
}

// lodging is an honest node that is there from the beginning.
func (c *city) lodging(n int) *cityNode {
	from, to := citySeats, c.size.nodes+2-lateNodes
	return c.nodes[from+n%(to-from)]
}

// seatClerks appoints six of the newcomers and says who lives at each node. Of
// the honest and the dishonest clerks the latter follow each other when clerks
// take turns to propose.
func (c *city) seatClerks(founder *home, dailies []vault.Daily) []vault.Daily {
	seats := append([]vault.Daily{founder.daily}, dailies[:cityClerks-1]...)
	var ids []protocol.ID
	for _, d := range seats[1:] {
		ids = append(ids, protocol.ID(d.Persona))
	}
	if _, err := founder.c.Appoint(c.ctx, "clerk", ids); err != nil {
		c.t.Fatal(err)
	}
	founder.finalise()
	slices.SortFunc(seats, func(a, b vault.Daily) int { return bytes.Compare(a.Persona[:], b.Persona[:]) })
	at := slices.IndexFunc(seats, func(d vault.Daily) bool { return d.Persona == founder.daily.Persona })
	seats = append(slices.Clone(seats[at:]), seats[:at]...)
	residents := append(slices.Clone(seats), seats[honestClerks:]...)
	return append(residents, dailies[cityClerks-1:c.size.nodes-1]...)
}

// start has a node begin with the genesis alone.
func (n *cityNode) start() {
	n.open(n.storeOf(n.homes[0]))
	n.drive()
	n.down = false
}

// drive gives a node that has just opened its clerk.
func (n *cityNode) drive() {
	n.c.clerk.bring = n.c.bring
	if n.i >= honestClerks && n.i < citySeats { // who lies accuses nobody
		n.c.clerk.bring = func(roll.EvidenceBody) {}
	}
	n.driver = &heightDriver{clerk: n.c.clerk, ctx: n.ctx, tries: n.rng.Uint64() >> 1}
	n.look, n.seen = time.Time{}, watched{}
}

// crash ends a node and begins it again from what its store holds.
func (c *city) crash(n *cityNode, away time.Duration) {
	if n.down {
		return
	}
	n.down, n.mail = true, nil
	n.driver.stop()
	c.logs.crashes++
	c.after(away, func() {
		n.open(n.c.store)
		n.drive()
		n.down = false
	})
}

func (c *city) after(d time.Duration, do func()) { c.events.add(event{time.Now().Add(d), do}) }

// upTo is a random time.
func (c *city) upTo(d time.Duration) time.Duration { return time.Duration(c.rng.Int64N(int64(d))) }

// run lets time pass: what falls due is done, one thing after the other, and
// each clerk looks at what came.
func (c *city) run(d time.Duration) {
	until := time.Now().Add(d)
	for {
		next := time.Now().Add(cityBeat)
		if len(c.events) > 0 && c.events[0].at.Before(next) {
			next = c.events[0].at
		}
		time.Sleep(time.Until(next))
		synctest.Wait() // what timers do at this moment is done
		for len(c.events) > 0 && !c.events[0].at.After(time.Now()) {
			e := c.events[0]
			c.events = c.events[1:]
			e.do()
		}
		c.turn()
		if c.t.Failed() {
			c.t.FailNow()
		}
		if !time.Now().Before(until) {
			return
		}
	}
}

// turn has each node do what it was woken for.
func (c *city) turn() {
	now := time.Now()
	for _, n := range c.nodes {
		if n.down {
			continue
		}
		if n.i < citySeats {
			woken := false
			select {
			case <-n.driver.wake:
				woken = true
			default:
			}
			if woken || !now.Before(n.look) {
				n.look = now.Add(n.driver.turn())
			}
			n.yields()
			c.watch(n)
		}
		c.renew(n)
		if now.Sub(n.synced) < time.Second {
			continue
		}
		select {
		case <-n.ask:
			n.synced = now
			c.after(c.upTo(citySlowest), func() { c.exchange(n) })
		default:
		}
	}
}

// carryFrames sends frames to every node, as the network is.
func (c *city) carryFrames(from *home, kind p2p.Kind, frames [][]byte) {
	if c.nodes[from.i].down || kind == p2p.Agreement && c.silent(from) {
		return
	}
	for _, to := range c.nodes {
		twins := to.daily.Persona == from.daily.Persona // of which one must not learn what the other said
		if to.home == from || kind == p2p.Agreement && (to.i >= c.panel || twins) || c.rng.IntN(100) < cityLoss {
			continue
		}
		c.after(20*time.Millisecond+c.upTo(citySlowest), func() {
			if to.down || !from.reaches(to.home) {
				return
			}
			if kind != p2p.Records {
				c.takeIn(to, from, kind, frames)
				return
			}
			if to.mail = append(to.mail, frames...); len(to.mail) == len(frames) {
				c.after(cityGather, func() {
					mail := to.mail
					to.mail = nil
					if !to.down {
						c.takeIn(to, from, kind, mail)
					}
				})
			}
		})
	}
}

// takeIn delivers what an honest node passed on. Nobody is blamed for that.
func (c *city) takeIn(to *cityNode, from *home, kind p2p.Kind, frames [][]byte) {
	if err := to.deliver(kind, frames); err != nil && to.Snapshot().Trouble == nil {
		c.t.Errorf("%v: node %d, of what node %d passes on: %v", c.clock(), to.i, from.i, err)
	}
}

func (n *cityNode) Snapshot() *Snapshot { return n.community().Snapshot() }

// syncing exchanges with somebody now and then.
func (c *city) syncing(n *cityNode) {
	c.after(citySync/2+c.upTo(citySync), func() { c.syncing(n) })
	c.exchange(n)
}

// exchange is a session of sync with a random node that can be reached.
func (c *city) exchange(n *cityNode) {
	if n.down {
		return
	}
	for range 4 {
		with := c.nodes[c.rng.IntN(len(c.nodes))]
		if with != n && !with.down && n.reaches(with.home) {
			n.pull(with.home, 1)
			with.pull(n.home, 1)
			return
		}
	}
}
