package main

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// How clerks pace checkpoints (SPEC §7.3, §7.4).
const (
	spacing  = 10 // ticks from one checkpoint to the next
	resend   = 10
	omission = 20  // a record held for so long must not be left out
	clocks   = 60  // seconds that a proposal's time may be off
	delay    = 4   // ticks that a message of the agreement takes at most
	lost     = 10  // of 100 such messages
	victims  = 100 // of 1000 voters, whom a lying clerk leaves out
)

// A clerk drives the agreement machine of the height after its node's latest.
// A clerk who lies has two, with one key, on nodes that know nothing of each
// other: each keeps its promises, and together they break them.
type clerk struct {
	*node
	who     *person
	machine *checkpoint.Machine
	height  uint64
	began   int // ticks
	sent    int
	life    int         // counts machines: timers of earlier ones are void
	open    map[int]int // records not covered, and since when they are held
	asked   []checkpoint.Judge
	need    *checkpoint.NeedValue
}

func (c *clerk) notice(i int) {
	if !c.at.tip.Covers(c.history.records[i]) {
		c.open[i] = c.now
	}
}

// moved leaves the height that is over.
func (c *clerk) moved() {
	for i := range c.open {
		r := c.history.records[i]
		p := c.at.tip.State().Decisions().Poll(r.Header().Subject)
		if c.at.tip.Covers(r) || p != nil && p.Phase.Closed() {
			delete(c.open, i)
		}
	}
	c.life++
	c.machine, c.asked, c.need = nil, nil, nil
	c.height, c.began = c.at.tip.Ref().Height+1, c.now
}

func (c *clerk) seated() bool {
	return slices.ContainsFunc(c.at.tip.Clerks(), func(k certificate.Clerk) bool { return k.Key == c.who.device.Public() })
}

// turn does what there is to do in a tick.
func (c *clerk) turn() {
	if !c.seated() {
		return
	}
	if c.machine == nil && c.now-c.began >= spacing && c.hasWork() {
		c.begin()
	}
	c.answer()
	if c.machine != nil && c.now-c.sent >= resend {
		c.broadcast(c.machine.Messages()...)
	}
}

func (c *clerk) hasWork() bool {
	if at, ok := c.at.tip.State().NextDeadline(); ok && at <= c.unix() {
		return true
	}
	for i := range c.open {
		if c.at.tip.Ripe(c.history.records[i], nil) {
			return true
		}
	}
	return false
}

func (c *clerk) begin() {
	m, err := checkpoint.New(checkpoint.Config{
		Metastate: c.history.genesis.ID(), Height: c.height, Prev: c.ref(), Clerks: c.at.tip.Clerks(), Signer: c.who.device,
	})
	if err != nil {
		c.fail("a clerk can't begin: %v", err)
		return
	}
	c.machine = m
	c.step(checkpoint.Start{})
}

// step feeds the machine and carries out what it asks. Nothing is made durable:
// these clerks never crash.
func (c *clerk) step(in checkpoint.Input) {
	if c.machine == nil {
		return
	}
	outputs, _ := c.machine.Step(in)
	life := c.life
	for _, out := range outputs {
		if c.life != life {
			return
		}
		switch out := out.(type) {
		case checkpoint.Broadcast:
			c.broadcast(out.Message)
		case checkpoint.NeedValue:
			c.need = &out
		case checkpoint.Judge:
			c.asked = append(c.asked, out)
		case checkpoint.Schedule:
			c.after(int(out.After/tick), func() {
				if c.life == life {
					c.step(checkpoint.TimedOut{Step: out.Step, Round: out.Round})
				}
			})
		case checkpoint.Decided:
			c.decided(out.Certificate)
		case checkpoint.Refused:
			c.fail("a quorum made final what clerk %d found invalid", c.i)
		case checkpoint.Accuse:
			c.accuse(out.Evidence)
		}
	}
}

func (c *clerk) decided(cert certificate.Certificate) {
	f := c.compute(c.at, cert.Value)
	if _, err := cert.Verify(c.history.genesis.ID(), c.at.tip.Signers()); err != nil || f == nil {
		c.fail("a clerk decided what does not hold: %v", err)
		return
	}
	f.cert = cert
	c.adopt(f)
	c.certified(f)
}

// accuse brings proof against another clerk before the members.
func (c *clerk) accuse(e checkpoint.Evidence) {
	body, ok := e.Body(c.at.tip.Clerks())
	if !ok || c.who.liar || c.told.accused[body.Key] {
		return
	}
	c.told.accused[body.Key] = true
	c.told.event(c.world, "a clerk signed two different things: proof is on its way")
	c.spread(c.who.sign(protocol.Evidence, body, nil))
}

// answer gives the machine the values and judgements that it asked for.
func (c *clerk) answer() {
	if c.need != nil && c.machine != nil {
		need := *c.need
		c.need = nil
		c.step(checkpoint.Propose{Round: need.Round, Value: c.propose()})
	}
	for progress := true; progress && c.machine != nil; {
		progress = false
		asked := c.asked
		c.asked = nil
		for _, q := range asked {
			ok, known := c.judge(q)
			if !known {
				c.asked = append(c.asked, q)
				continue
			}
			progress = true
			c.step(checkpoint.Judged{Value: q.ID, Fresh: q.Fresh, OK: ok})
		}
	}
}

// propose makes a value of what is held; a clerk who lies leaves out what some
// people wrote.
func (c *clerk) propose() []byte {
	var recs []*protocol.Record
	for _, i := range sorted(c.open) {
		r := c.history.records[i]
		if c.who.liar && mix(c.seed, uint64(r.Header().Persona[0]), uint64(r.Header().Persona[1]))%1000 < victims {
			continue
		}
		recs = append(recs, r)
	}
	next, err := c.at.tip.Propose(recs, c.unix())
	if err != nil {
		c.fail("making a value: %v", err)
		return nil
	}
	for _, b := range next.Chunks {
		c.history.chunks[protocol.Sum(b)] = b
	}
	return next.Encoded
}

func sorted(m map[int]int) []int {
	list := make([]int, 0, len(m))
	for i := range m {
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}

// judge says whether a value follows, and if it is to be fresh, whether its time
// is right and it leaves nothing out. known is false until all that it covers is
// held: records are fetched from the clerk who proposes.
func (c *clerk) judge(q checkpoint.Judge) (ok, known bool) {
	v, err := certificate.ParseValue(q.Value)
	if err != nil {
		return false, true
	}
	covers, _, err := c.covered(v)
	if err != nil {
		return false, true
	}
	in := map[int]bool{}
	for _, i := range covers {
		in[i] = true
		if !c.held.has(i) {
			c.after(2*delay, func() { c.receive(i) })
			known = true
		}
	}
	if known {
		return false, false
	}
	if c.compute(c.at, q.Value) == nil {
		return false, true
	}
	if !q.Fresh {
		return true, true
	}
	if v.AsOf < c.unix()-clocks || v.AsOf > c.unix()+clocks {
		return false, true
	}
	if c.omits(in) {
		c.told.omissions[q.ID] = true
		return false, true
	}
	return true, true
}

// omits reports whether a value leaves out what was held for long enough. Of a
// fork of which it covers a part nothing counts.
func (c *clerk) omits(in map[int]bool) bool {
	ids := map[protocol.ID]bool{}
	for i := range in {
		ids[c.history.records[i].ID()] = true
	}
	for i, since := range c.open {
		r := c.history.records[i]
		rival := slices.ContainsFunc(c.history.rivals[placeOf(r.Header())], func(o int) bool { return in[o] })
		if since < c.began-omission && !in[i] && !rival && c.at.tip.Ripe(r, ids) {
			return true
		}
	}
	return false
}

// broadcast sends messages to all other clerks, but never to oneself on another
// node: one must not learn what the other said.
func (c *clerk) broadcast(msgs ...*checkpoint.Message) {
	c.sent = c.now
	for _, to := range c.clerks {
		if to == c || to.who == c.who || to.side != c.side {
			continue
		}
		for _, m := range msgs {
			if c.rng.IntN(100) < lost {
				continue
			}
			c.after(1+c.rng.IntN(delay), func() {
				if to.side == c.side {
					to.hear(c, m)
				}
			})
		}
	}
}

func (c *clerk) hear(from *clerk, m *checkpoint.Message) {
	switch h := m.Header().Height; {
	case h < c.height && h+8 > c.height && !from.who.liar:
		c.after(delay, func() { from.pull(c.node) })
	case h > c.height:
		c.after(delay, func() { c.pull(from.node) })
	case h == c.height && c.seated():
		if c.machine == nil {
			c.begin()
		}
		c.step(checkpoint.Received{Message: m})
	}
}
