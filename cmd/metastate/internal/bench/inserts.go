package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

const (
	candidates = 32   // records that could come next, of either sort
	rounds     = 1024 // inserts of either sort, in a run
)

// inserts measures what one control record costs after histories of different
// lengths: an admission, which changes the roll, its devices and its invites,
// and carries the newcomer's inception and grant. One sort follows the latest
// records, the other only the genesis. "Advance" is State.Advance alone, "root"
// is State.Root after it, and "checkpoint" is all that a clerk computes to
// propose one: both, and the sets of covered records. Then it weighs the roll
// of the longest history.
func inserts(ctx context.Context, o Options, r *report) error {
	lengths := historyLengths(o.Records)
	subjects, err := growTo(ctx, o, lengths)
	if err != nil {
		return err
	}
	err = o.eachRun(ctx, func(int) error {
		runtime.GC() // to clear up after the making of histories is no part of an insert
		costs := make([]cost, len(subjects))
		for round := range rounds {
			for i, s := range subjects { // in turn, so that noise meets all lengths
				if err := s.insert(&costs[i], round); err != nil {
					return err
				}
			}
		}
		reportCosts(r, lengths, costs)
		return nil
	})
	if err != nil {
		return err
	}
	last := subjects[len(subjects)-1].tip.State().Roll()
	clear(subjects)
	weighRoll(r, last)
	return nil
}

// historyLengths are what inserts compares: up to the longest, rising, at
// least two.
func historyLengths(longest int) (list []int) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		if n < longest {
			list = append(list, n)
		}
	}
	if len(list) == 0 {
		list = append(list, max(longest/10, leastHistory))
	}
	return append(list, longest)
}

// reportCosts adds a run's figures, and the ratios of each length to the
// shortest.
func reportCosts(r *report, lengths []int, costs []cost) {
	for i, c := range costs {
		n := lengths[i]
		r.figure(fmt.Sprintf("advanceMicros%d", n), fmt.Sprintf("Advance by a record after the latest, %d records", n), "µs", median(c.tip))
		r.figure(fmt.Sprintf("ancientMicros%d", n), fmt.Sprintf("Advance by a record parented at genesis, %d records", n), "µs", median(c.ancient))
		r.figure(fmt.Sprintf("rootMicros%d", n), fmt.Sprintf("root after it, %d records", n), "µs", median(c.root))
		r.figure(fmt.Sprintf("checkpointMicros%d", n), fmt.Sprintf("checkpoint of it, %d records", n), "µs", median(c.checkpoint))
	}
	for i, c := range costs[1:] {
		base, of := costs[0], fmt.Sprintf("%d ÷ %d records", lengths[i+1], lengths[0])
		key := fmt.Sprint(lengths[i+1])
		r.ratio("advance"+key, "Advance, "+of, "≤ 1.5", median(c.tip)/median(base.tip))
		r.ratio("ancient"+key, "Advance, parented at genesis, "+of, "≤ 1.5", median(c.ancient)/median(base.ancient))
		r.ratio("root"+key, "root, "+of, "≤ 2.5", median(c.root)/median(base.root))
		r.ratio("checkpoint"+key, "checkpoint, "+of, "≤ 2.5", median(c.checkpoint)/median(base.checkpoint))
	}
}

// cost holds times in µs.
type cost struct{ tip, ancient, root, checkpoint []float64 }

// A subject is a metastate after some history, and records that could come
// next: as many that follow the latest as that follow the genesis.
type subject struct {
	tip         checkpoint.Tip
	at          int64
	latest, old []*protocol.Record
}

// insert inserts one record of each sort, always into the same state: states
// never change. Either sort comes first in every other round, as what comes
// first finds the processor's caches cold.
func (s subject) insert(c *cost, round int) error {
	latest, old := s.latest[round%candidates], s.old[(round+candidates/2)%candidates]
	if round%2 == 1 {
		if err := s.insertOld(c, old); err != nil {
			return err
		}
	}
	base := s.tip.State()
	start := time.Now()
	next, verdicts := base.Advance(state.Step{Records: []*protocol.Record{latest}, AsOf: s.at})
	advanced := time.Now()
	root := next.Root()
	rooted := time.Now()
	n, err := s.tip.Propose([]*protocol.Record{latest}, s.at)
	end := time.Now()
	switch {
	case err != nil:
		return err
	case len(verdicts) != 1 || !verdicts[0].Stands:
		return fmt.Errorf("an admission is void: %+v", verdicts)
	case n.Value.StateRoot != root || root == base.Root():
		return fmt.Errorf("the root after one record is not what the checkpoint says")
	}
	c.tip = append(c.tip, micros(advanced.Sub(start)))
	c.root = append(c.root, micros(rooted.Sub(advanced)))
	c.checkpoint = append(c.checkpoint, micros(end.Sub(rooted)))
	if round%2 == 0 {
		return s.insertOld(c, old)
	}
	return nil
}

func (s subject) insertOld(c *cost, r *protocol.Record) error {
	start := time.Now()
	_, verdicts := s.tip.State().Advance(state.Step{Records: []*protocol.Record{r}, AsOf: s.at})
	took := time.Since(start)
	if len(verdicts) != 1 || !verdicts[0].Stands {
		return fmt.Errorf("an admission parented at genesis is void: %+v", verdicts)
	}
	c.ancient = append(c.ancient, micros(took))
	return nil
}

// subject is the metastate as it stands, and further admissions by members who
// have written nothing yet.
func (g *growing) subject() (s subject, err error) {
	s = subject{tip: g.tip, at: g.at.Unix()}
	head := g.tip.Frontier()[:1] // as many parents as the genesis is
	quiet := g.members[len(g.members)/2:]
	for i := range candidates {
		p, err := g.apply(g.gate, "Newcomer")
		if err != nil {
			return s, err
		}
		body := roll.AdmitBody{Persona: p.persona, Invite: g.open}
		host := *quiet[i%len(quiet)]
		again := host
		latest, err := g.write(&host, protocol.Admit, body, head, p.inception, p.grant)
		if err != nil {
			return s, err
		}
		old, err := g.write(&again, protocol.Admit, body, []protocol.ID{g.metastate}, p.inception, p.grant)
		if err != nil {
			return s, err
		}
		s.latest, s.old = append(s.latest, latest), append(s.old, old)
	}
	_ = s.tip.State().Root() // what came before is paid for
	return s, nil
}
