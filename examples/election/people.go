package main

import (
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Who holds which office: person 0 founds and is a clerk.
const (
	clerkCount   = 4 // one may be cut off
	trusteeCount = 7 // two may be away or lie, and three open
)

// A person is a voter with a device.
type person struct {
	*world
	id     protocol.ID
	device identity.SigningKey
	side   int         // of the network, once it falls apart
	seq    uint64      // of the next control record
	prev   protocol.ID // the last one
}

// newWorld makes the metastate and all its voters, and seats clerks and trustees.
func newWorld(s settings) (*world, error) {
	w := &world{
		seed: s.seed, now: startOfTime, records: map[protocol.ID]*protocol.Record{}, chunks: map[protocol.ID][]byte{},
		made: map[[2]protocol.ID]*final{},
	}
	c, err := charter.Template("union")
	if err != nil {
		return nil, err
	}
	key := w.key("founding", 0)
	h := protocol.Header{Kind: protocol.Genesis, Key: key.Public(), Time: w.now}
	if w.genesis, err = protocol.Sign(h, state.GenesisBody{Name: "In exile", Charter: c, Nonce: identity.Nonce{1}}, nil, key); err != nil {
		return nil, err
	}
	tip, err := checkpoint.Begin(w.genesis)
	if err != nil {
		return nil, err
	}
	w.people = []*person{{world: w}}
	w.clerks = []*clerk{{person: w.people[0], at: &final{tip: tip}, held: map[protocol.ID]bool{}}}
	founding, err := w.born(0, key, []protocol.ID{w.genesis.ID()})
	if err != nil {
		return nil, err
	}
	if err := w.cover(key, append([]*protocol.Record{w.genesis}, founding...)...); err != nil {
		return nil, err
	}
	if err := w.grow(s.voters); err != nil {
		return nil, err
	}
	return w, w.appoint()
}

// grow has members bring in members.
func (w *world) grow(voters int) error {
	founder := w.people[0]
	invite := w.key("invite", 0)
	var open []*protocol.Record
	for n := 0; n*1000 < voters; n++ {
		r, err := founder.sign(protocol.Invite, roll.InviteBody{Key: invite.Public(), Uses: 1000, Expires: w.now + 3600*24*30})
		if err != nil {
			return err
		}
		open = append(open, r)
	}
	if err := w.cover(founder.device, open...); err != nil {
		return err
	}
	for len(w.people) < voters {
		var wave []*protocol.Record
		for _, by := range slices.Clone(w.people) { // each under the quota of one device and checkpoint
			for n := 0; n < 30 && len(w.people) < voters; n++ {
				i := len(w.people)
				w.people = append(w.people, &person{world: w})
				carried, err := w.born(i, invite, nil)
				if err != nil {
					return err
				}
				body := roll.AdmitBody{Persona: w.people[i].id, Invite: open[i*len(open)/voters].ID()}
				r, err := by.sign(protocol.Admit, body, carried...)
				if err != nil {
					return err
				}
				wave = append(wave, r)
			}
		}
		if err := w.cover(founder.device, wave...); err != nil {
			return err
		}
	}
	return nil
}

// appoint gives seven people the office of trustee and three that of clerk, which
// the founder has. The founder alone may do so until there are other clerks.
func (w *world) appoint() error {
	founder := w.people[0]
	for _, x := range []struct {
		office string
		people []*person
	}{{charter.OfficeTrustee, w.trustees()}, {roll.Clerk, w.people[1:clerkCount]}} {
		var ids []protocol.ID
		for _, p := range x.people {
			ids = append(ids, p.id)
		}
		slices.SortFunc(ids, protocol.ID.Compare)
		r, err := founder.sign(protocol.Appoint, roll.AppointBody{Office: x.office, Personas: ids})
		if err != nil {
			return err
		}
		if err := w.cover(founder.device, r); err != nil {
			return err
		}
	}
	var serve []*protocol.Record
	for _, p := range w.people[:clerkCount] {
		r, err := p.sign(protocol.Serve, roll.ServeBody{})
		if err != nil {
			return err
		}
		serve = append(serve, r)
	}
	if err := w.cover(founder.device, serve...); err != nil {
		return err
	}
	first := w.clerks[0]
	for _, p := range w.people[1:clerkCount] {
		c := &clerk{person: p, at: first.at, held: map[protocol.ID]bool{}}
		for id := range first.held {
			c.held[id] = true
		}
		w.clerks = append(w.clerks, c)
	}
	return nil
}

func (w *world) trustees() []*person { return w.people[clerkCount : clerkCount+trusteeCount] }

// cover makes a checkpoint of records as long as the founder is the only clerk.
func (w *world) cover(key identity.SigningKey, recs ...*protocol.Record) error {
	c := w.clerks[0]
	for _, r := range recs {
		w.records[r.ID()] = r
	}
	next, err := c.at.tip.Propose(recs, w.now)
	if err != nil {
		return err
	}
	for _, b := range next.Chunks {
		w.chunks[protocol.Sum(b)] = b
	}
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: w.genesis.ID(), Height: c.height() + 1, Prev: c.at.tip.Ref().ID, Clerks: c.at.tip.Clerks(), Signer: key,
	}, next.Encoded)
	if err != nil {
		return err
	}
	f := w.compute(c.at, next.Encoded)
	if f == nil || len(f.covers) != len(recs) {
		return fmt.Errorf("the founding does not follow at height %d", c.height()+1)
	}
	for id, v := range f.verdict {
		if !v.Stands {
			return fmt.Errorf("a record of the founding is void: %s: %s", id, v.Text)
		}
	}
	if err := w.certified(f, cert); err != nil {
		return err
	}
	c.adopt(f)
	return nil
}

// born makes a person's keys and first records, whom a founding key or an
// invite's brings.
func (w *world) born(i int, door identity.SigningKey, parents []protocol.ID) ([]*protocol.Record, error) {
	key, next, device := w.key("persona", i), w.key("next", i), w.key("device", i)
	h := protocol.Header{
		Metastate: w.genesis.ID(), Kind: protocol.Inception, Key: key.Public(), Time: w.now,
		Cosigners: []identity.PublicKey{door.Public()}, Parents: parents,
	}
	inception, err := protocol.Sign(h, identity.Inception{Next: identity.Commit(next.Public()), Name: fmt.Sprintf("Voter %d", i+1)}, nil, key, door)
	if err != nil {
		return nil, err
	}
	h.Kind, h.Persona, h.Seq, h.Prev = protocol.Grant, inception.ID(), 1, inception.ID()
	h.Cosigners = []identity.PublicKey{device.Public()}
	if len(parents) > 0 {
		h.Parents = []protocol.ID{inception.ID()}
	}
	grant, err := protocol.Sign(h, identity.Grant{Device: device.Public(), Expires: w.now + identity.DefaultGrantLife}, nil, key, device)
	w.people[i].id, w.people[i].device = inception.ID(), device
	return []*protocol.Record{inception, grant}, err
}

// sees is the clerk whose view a person has.
func (p *person) sees() *clerk {
	for _, c := range p.clerks {
		if c.side == p.side {
			return c
		}
	}
	return p.clerks[0]
}

// sign makes the next control record of a person's device.
func (p *person) sign(kind protocol.Kind, body any, carried ...*protocol.Record) (*protocol.Record, error) {
	h := p.header(kind)
	front := p.sees().at.tip.Frontier()
	h.Parents, h.Seq, h.Prev = front[:min(len(front), protocol.MaxParents)], p.seq, p.prev
	r, err := protocol.Sign(h, body, carried, p.device)
	if err == nil {
		p.seq, p.prev = h.Seq+1, r.ID()
	}
	return r, err
}

// ballot makes a secret ballot for one option.
func (p *person) ballot(poll *decision.Poll, number, option int, seq uint64) (*protocol.Record, error) {
	h := p.header(protocol.Ballot)
	h.Subject, h.Seq = poll.Proposal, seq
	marks := make([]uint8, len(poll.Options))
	marks[option] = 1
	seed := p.chance(fmt.Sprintf("ballot %d", seq), number)
	body, _, err := poll.Secret.Election().Encrypt(secret.Voter{ID: p.id, Seq: seq}, marks, &seed)
	if err != nil {
		return nil, err
	}
	return protocol.Sign(h, decision.BallotBody{Ballot: body}, nil, p.device)
}

func (p *person) header(kind protocol.Kind) protocol.Header {
	return protocol.Header{
		Metastate: p.genesis.ID(), Kind: kind, Persona: p.id, Key: p.device.Public(),
		Checkpoint: p.sees().at.tip.Ref(), Time: p.now,
	}
}
