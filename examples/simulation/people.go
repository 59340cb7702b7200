package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// A person is a member with a node.
type person struct {
	*node
	id     protocol.ID
	device identity.SigningKey
	liar   bool
	seq    uint64      // of the next control record
	prev   protocol.ID // the last one
	voted  map[protocol.ID]string
}

// Clerks: person 0 founds. Of the seven the last two lie.
const (
	clerks       = 7
	honestClerks = 5
	startOfTime  = 1_800_000_000
)

// key is the signing key of a label, the same for each seed.
func (w *world) key(label string, n int) identity.SigningKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "simulation/%d/%s/%d", w.seed, label, n))
	return identity.NewSigningKey(&seed)
}

// found makes the metastate and all its members, and seats seven clerks.
func found(s settings) (*world, error) {
	w := &world{
		rng: rand.New(rand.NewPCG(s.seed, 1000)), seed: s.seed, start: startOfTime, due: map[int][]func(){},
		history: history{
			number: map[protocol.ID]int{}, rivals: map[place][]int{}, chunks: map[protocol.ID][]byte{},
			computed: map[[2]protocol.ID]*final{}, after: map[protocol.ID]*final{},
		},
		told: newChronicle(),
	}
	c, err := charter.Template("union")
	if err != nil {
		return nil, err
	}
	key := w.key("founding", 0)
	h := protocol.Header{Kind: protocol.Genesis, Key: key.Public(), Time: w.start}
	body := state.GenesisBody{Name: "A thousand", Charter: c, Nonce: identity.Nonce{1}}
	if w.history.genesis, err = protocol.Sign(h, body, nil, key); err != nil {
		return nil, err
	}
	tip, err := checkpoint.Begin(w.history.genesis)
	if err != nil {
		return nil, err
	}
	w.nodes = append(w.nodes, &node{world: w, at: &final{tip: tip}})
	founder := w.born(0, key, []protocol.ID{w.history.genesis.ID()})
	w.people = append(w.people, founder.person)
	w.know(w.history.genesis)
	if err := w.cover(key, w.history.genesis, founder.inception, founder.grant); err != nil {
		return nil, err
	}
	return w, w.grow(s.members)
}

// grow has members bring in members, and the founder appoint clerks.
func (w *world) grow(members int) error {
	founder := w.people[0]
	invite := w.key("invite", 0)
	var open []*protocol.Record
	for n := 0; n*1000 < members; n++ {
		open = append(open, founder.sign(protocol.Invite, roll.InviteBody{Key: invite.Public(), Uses: 1000, Expires: w.start + 3600*24*30}, nil))
	}
	if err := w.cover(founder.device, open...); err != nil {
		return err
	}
	for len(w.people) < members {
		var wave []*protocol.Record
		for _, by := range w.people { // each under the quota of one device and checkpoint
			for n := 0; n < 30 && len(w.people) < members; n++ {
				i := len(w.people)
				w.nodes = append(w.nodes, &node{world: w, i: i})
				b := w.born(i, invite, nil)
				admit := roll.AdmitBody{Persona: b.id, Invite: open[i*len(open)/members].ID()}
				wave = append(wave, by.sign(protocol.Admit, admit, []*protocol.Record{b.inception, b.grant}))
				w.people = append(w.people, b.person)
			}
		}
		if err := w.cover(founder.device, wave...); err != nil {
			return err
		}
	}
	var ids []protocol.ID
	for _, p := range w.people[1:clerks] {
		ids = append(ids, p.id)
	}
	sortIDs(ids)
	if err := w.cover(founder.device, founder.sign(protocol.Appoint, roll.AppointBody{Office: roll.Clerk, Personas: ids}, nil)); err != nil {
		return err
	}
	var serve []*protocol.Record
	for _, p := range w.people[:clerks] {
		serve = append(serve, p.sign(protocol.Serve, roll.ServeBody{}, nil))
	}
	if err := w.cover(founder.device, serve...); err != nil {
		return err
	}
	for i, p := range w.people[:clerks] {
		p.liar = i >= honestClerks
		w.clerks = append(w.clerks, w.newClerk(p, p.node))
	}
	for len(w.liars) < members/10 {
		if p := w.people[clerks+w.rng.IntN(members-clerks)]; !p.liar {
			p.liar = true
			w.liars = append(w.liars, p)
		}
	}
	return nil
}

func (w *world) newClerk(p *person, n *node) *clerk {
	c := &clerk{node: n, who: p, open: map[int]int{}}
	n.clerk = c
	c.moved()
	return c
}

// cover makes a checkpoint of records that everybody holds, signed by the only
// clerk.
func (w *world) cover(key identity.SigningKey, recs ...*protocol.Record) error {
	at := w.nodes[0].at
	next, err := at.tip.Propose(recs, w.start)
	if err != nil {
		return err
	}
	for _, r := range recs {
		w.know(r)
	}
	for _, b := range next.Chunks {
		w.history.chunks[protocol.Sum(b)] = b
	}
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: w.history.genesis.ID(), Height: at.tip.Ref().Height + 1, Prev: at.tip.Ref().ID, Clerks: at.tip.Clerks(), Signer: key,
	}, next.Encoded)
	if err != nil {
		return err
	}
	f := w.compute(at, next.Encoded)
	if f == nil || len(f.covers) != len(recs) {
		return fmt.Errorf("the founding does not follow at height %d", at.tip.Ref().Height+1)
	}
	f.cert = cert
	w.history.after[f.ids0()] = f
	for _, n := range w.nodes {
		n.at = f
		for i := range w.history.records {
			n.held.add(i)
		}
	}
	return nil
}

// A birth is a person with their first records.
type birth struct {
	*person
	inception, grant *protocol.Record
}

// born makes a person whom a founding key or an invite's brings.
func (w *world) born(i int, door identity.SigningKey, parents []protocol.ID) birth {
	key, next, device := w.key("persona", i), w.key("next", i), w.key("device", i)
	h := protocol.Header{
		Metastate: w.history.genesis.ID(), Kind: protocol.Inception, Key: key.Public(), Time: w.start,
		Cosigners: []identity.PublicKey{door.Public()}, Parents: parents,
	}
	inception := must(protocol.Sign(h, identity.Inception{Next: identity.Commit(next.Public())}, nil, key, door))
	h.Kind, h.Persona, h.Seq, h.Prev = protocol.Grant, inception.ID(), 1, inception.ID()
	h.Cosigners = []identity.PublicKey{device.Public()}
	if len(parents) > 0 {
		h.Parents = []protocol.ID{inception.ID()}
	}
	grant := must(protocol.Sign(h, identity.Grant{Device: device.Public(), Expires: w.start + identity.DefaultGrantLife}, nil, key, device))
	p := &person{node: w.nodes[i%len(w.nodes)], id: inception.ID(), device: device, voted: map[protocol.ID]string{}}
	return birth{p, inception, grant}
}

// must is a record that can be made: what it is made of is the simulation's own.
func must(r *protocol.Record, err error) *protocol.Record {
	if err != nil {
		panic(err)
	}
	return r
}

// sign makes the next control record of a person's device, as their node has
// the community.
func (p *person) sign(kind protocol.Kind, body any, carried []*protocol.Record, alter ...func(*protocol.Header)) *protocol.Record {
	h := p.header(kind)
	front := p.at.tip.Frontier()
	h.Parents, h.Seq, h.Prev = front[:min(len(front), protocol.MaxParents)], p.seq, p.prev
	for _, a := range alter {
		a(&h)
	}
	r := must(protocol.Sign(h, body, carried, p.device))
	p.seq, p.prev = h.Seq+1, r.ID()
	return r
}

// ballot makes a ballot.
func (p *person) ballot(poll protocol.ID, seq uint64, choice string) *protocol.Record {
	h := p.header(protocol.Ballot)
	h.Subject, h.Seq = poll, seq
	return must(protocol.Sign(h, decision.BallotBody{Choice: choice}, nil, p.device))
}

func (p *person) header(kind protocol.Kind) protocol.Header {
	return protocol.Header{
		Metastate: p.history.genesis.ID(), Kind: kind, Persona: p.id, Key: p.device.Public(),
		Checkpoint: p.at.tip.Ref(), Time: p.unix(),
	}
}
