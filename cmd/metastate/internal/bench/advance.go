package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Sizes that advance compares, in members. The largest is Options.Records.
const (
	smallRoll = 1000
	largeRoll = 100_000
)

const (
	hosts  = 64  // members who admit the others
	rounds = 200 // how often a run inserts each record
)

// advance measures what one control record costs in metastates of different
// sizes: an admission, which changes the roll, its devices and its invites. One
// follows the latest records, one follows only the genesis. "Advance" is
// State.Advance alone, "root" is State.Root after it, and "checkpoint" is all
// that a clerk computes to propose one: both, and the sets of covered records.
func advance(ctx context.Context, o Options, r *report) error {
	sizes := []int{min(smallRoll, o.Records/10), min(largeRoll, o.Records)}
	if o.Records > largeRoll {
		sizes = append(sizes, o.Records)
	}
	subjects, err := grow(ctx, o, sizes)
	if err != nil {
		return err
	}
	return o.eachRun(ctx, func(int) error {
		costs := make([]cost, len(subjects))
		for range rounds {
			for i, s := range subjects { // in turn, so that noise meets all sizes
				if err := s.insert(&costs[i]); err != nil {
					return err
				}
			}
		}
		for i, c := range costs {
			size := sizes[i]
			r.figure(fmt.Sprintf("advanceMicros%d", size), fmt.Sprintf("Advance by a record after the latest, %d members", size), "µs", median(c.tip))
			r.figure(fmt.Sprintf("ancientMicros%d", size), fmt.Sprintf("Advance by a record parented at genesis, %d members", size), "µs", median(c.ancient))
			r.figure(fmt.Sprintf("rootMicros%d", size), fmt.Sprintf("root after it, %d members", size), "µs", median(c.root))
			r.figure(fmt.Sprintf("checkpointMicros%d", size), fmt.Sprintf("checkpoint of it, %d members", size), "µs", median(c.checkpoint))
		}
		for i, c := range costs[1:] {
			base, of := costs[0], fmt.Sprintf("%d ÷ %d members", sizes[i+1], sizes[0])
			key := fmt.Sprint(sizes[i+1])
			r.ratio("advance"+key, "Advance, "+of, "≤ 1.5", median(c.tip)/median(base.tip))
			r.ratio("ancient"+key, "Advance, parented at genesis, "+of, "≤ 1.5", median(c.ancient)/median(base.ancient))
			r.ratio("root"+key, "root, "+of, "≤ 2.5", median(c.root)/median(base.root))
			r.ratio("checkpoint"+key, "checkpoint, "+of, "≤ 2.5", median(c.checkpoint)/median(base.checkpoint))
		}
		return nil
	})
}

// cost holds times in µs.
type cost struct{ tip, ancient, root, checkpoint []float64 }

// A subject is a metastate of some size, and two records that could come next.
type subject struct {
	tip         checkpoint.Tip
	at          int64
	latest, old *protocol.Record
}

// insert inserts each record once, into the same state every time: states
// never change.
func (s subject) insert(c *cost) error {
	base := s.tip.State()
	start := time.Now()
	next, verdicts := base.Advance(state.Step{Records: []*protocol.Record{s.latest}, AsOf: s.at})
	advanced := time.Now()
	root := next.Root()
	rooted := time.Now()
	_, ancient := base.Advance(state.Step{Records: []*protocol.Record{s.old}, AsOf: s.at})
	end := time.Now()
	n, err := s.tip.Propose([]*protocol.Record{s.latest}, s.at)
	proposed := time.Now()
	switch {
	case err != nil:
		return err
	case len(verdicts) != 1 || !verdicts[0].Stands || len(ancient) != 1 || !ancient[0].Stands:
		return fmt.Errorf("an admission is void: %+v, %+v", verdicts, ancient)
	case n.Value.StateRoot != root || root == base.Root():
		return fmt.Errorf("the root after one record is not what the checkpoint says")
	}
	c.tip = append(c.tip, micros(advanced.Sub(start)))
	c.root = append(c.root, micros(rooted.Sub(advanced)))
	c.ancient = append(c.ancient, micros(end.Sub(rooted)))
	c.checkpoint = append(c.checkpoint, micros(proposed.Sub(end)))
	return nil
}

// A growing metastate is a town with its latest checkpoint.
type growing struct {
	town
	tip checkpoint.Tip
}

// grow founds one metastate and keeps it as it is at each size, rising.
func grow(ctx context.Context, o Options, sizes []int) ([]subject, error) {
	g, spare, err := foundHere()
	if err != nil {
		return nil, err
	}
	var subjects []subject
	for _, size := range sizes {
		for len(g.members) < size {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			o.Progress(fmt.Sprintf("admitting members: %d of %d", len(g.members), size))
			if err := g.more(size - len(g.members)); err != nil {
				return nil, err
			}
		}
		s, err := g.subject(spare)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	return subjects, nil
}

// foundHere founds a metastate whose checkpoints nobody signs, with one invite
// to spare.
func foundHere() (g *growing, spare protocol.ID, err error) {
	c, err := townCharter()
	if err != nil {
		return nil, spare, err
	}
	g = &growing{town: town{at: time.Now(), gate: newKey()}}
	key := newKey()
	genesis, err := protocol.Sign(
		protocol.Header{Kind: protocol.Genesis, Key: key.Public(), Time: g.at.Unix()},
		state.GenesisBody{Name: "Bench", Charter: c}, nil, key)
	if err != nil {
		return nil, spare, err
	}
	g.metastate = genesis.ID()
	p, err := g.apply(key, "Founder", g.metastate)
	if err != nil {
		return nil, spare, err
	}
	g.founder = p.author
	if g.tip, err = checkpoint.Begin(genesis); err != nil {
		return nil, spare, err
	}
	if err := g.cover(genesis, p.inception, p.grant); err != nil {
		return nil, spare, err
	}
	invite, err := g.invite()
	if err != nil {
		return nil, spare, err
	}
	return g, invite.ID(), g.cover(invite)
}

// cover makes records final.
func (g *growing) cover(records ...*protocol.Record) error {
	n, err := g.tip.Propose(records, g.at.Unix())
	if err != nil {
		return err
	}
	for _, v := range n.Verdicts {
		if !v.Stands {
			return fmt.Errorf("record %s is void: %s", v.Record, v.Text)
		}
	}
	if len(n.Verdicts) != len(records) {
		return fmt.Errorf("%d records of %d were covered", len(n.Verdicts), len(records))
	}
	g.tip, g.ref = n.Tip, n.Tip.Ref()
	return nil
}

// more admits up to n further members, as many as fit one checkpoint. The
// founder admits the first, who then admit the others.
func (g *growing) more(n int) error {
	invite, err := g.invite()
	if err != nil {
		return err
	}
	if err := g.cover(invite); err != nil {
		return err
	}
	by, room := []*author{g.founder}, hosts
	if len(g.members) >= hosts {
		by, room = g.members[:hosts], checkpoint.MaxNewlyCovered
	}
	records, err := g.admit(min(n, room), invite.ID(), by)
	if err != nil {
		return err
	}
	return g.cover(records...)
}

// subject is the metastate as it stands, and one more admission by the member
// who came last and has written nothing yet.
func (g *growing) subject(invite protocol.ID) (s subject, err error) {
	p, err := g.apply(g.gate, "Newcomer")
	if err != nil {
		return s, err
	}
	body := roll.AdmitBody{Persona: p.persona, Invite: invite}
	host := *g.members[len(g.members)-1]
	again := host
	s = subject{tip: g.tip, at: g.at.Unix()}
	heads := g.tip.Frontier()
	if s.latest, err = g.write(&host, protocol.Admit, body, heads[:min(len(heads), protocol.MaxParents)], p.inception, p.grant); err != nil {
		return s, err
	}
	s.old, err = g.write(&again, protocol.Admit, body, []protocol.ID{g.metastate}, p.inception, p.grant)
	_ = s.tip.State().Root() // what came before is paid for
	return s, err
}
