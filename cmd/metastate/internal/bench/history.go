package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// What a history is made of: one record in so many. The rest are ballots.
const (
	perAdmission = 10
	perProposal  = 200 // a checkpoint closes no more than 64 polls
	perMotion    = 200 // members ask to suspend somebody; as many endorse an earlier one
)

const (
	leastHistory = 20                      // records; two members
	mostHosts    = 64                      // members who admit the others
	minMotions   = 100                     // members before there are motions: two are no majority of them
	season       = 6 * time.Hour           // from a checkpoint to the next, as a rule
	votingTime   = int64(3 * 24 * 60 * 60) // seconds that a poll is open
)

// A growing metastate is a town with its latest checkpoint.
type growing struct {
	town
	tip     checkpoint.Tip
	covered int // records

	founding identity.Signer
	keep     keeper // nil: nothing is kept

	open  protocol.ID // an invite that is final and hardly used
	polls []protocol.ID
	voted int           // so many members may vote in each of these polls
	acts  []protocol.ID // motions that are final and wait
	turns int           // members who proposed or moved something
	pace  time.Duration // from a checkpoint to the next
}

// A keeper is shown each checkpoint as it is made: what it follows and what it
// covers. The first is signed by the founding key.
type keeper func(founding identity.Signer, before checkpoint.Tip, next checkpoint.Next, records []*protocol.Record) error

// growTo founds one metastate and keeps it as it is after each length of
// history, rising. All records are signed and covered by checkpoints.
func growTo(ctx context.Context, o Options, lengths []int) ([]subject, error) {
	g, err := foundHere()
	if err != nil {
		return nil, err
	}
	var subjects []subject
	for _, length := range lengths {
		for g.covered < length {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			o.Progress(fmt.Sprintf("making a history: %d of %d records", g.covered, length))
			if err := g.grow(stride(length, g.covered)); err != nil {
				return nil, err
			}
		}
		if err := g.settle(); err != nil {
			return nil, err
		}
		s, err := g.subject()
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, s)
	}
	return subjects, nil
}

// stride is how many of n records the next checkpoint of a history covers.
func stride(n, covered int) int {
	return min(n-covered, max(covered/4, leastHistory), certificate.MaxNewlyCovered)
}

// foundHere founds a metastate whose checkpoints nobody signs, with an invite.
func foundHere() (*growing, error) {
	return foundBy(newKey(), time.Now(), func(*growing) error { return nil }, nil)
}

// foundBy founds a metastate at some time by somebody with a device. begin is
// called before its first checkpoint is made.
func foundBy(device identity.SigningKey, at time.Time, begin func(*growing) error, keep keeper) (*growing, error) {
	c, err := townCharter()
	if err != nil {
		return nil, err
	}
	g := &growing{town: town{at: at, gate: newKey()}, keep: keep, pace: season}
	key := newKey()
	g.founding = key
	genesis, err := protocol.Sign(
		protocol.Header{Kind: protocol.Genesis, Key: key.Public(), Time: g.at.Unix()},
		state.GenesisBody{Name: "Bench", Charter: c}, nil, key)
	if err != nil {
		return nil, err
	}
	g.metastate = genesis.ID()
	p, err := g.applyBy(device, key, "Founder", g.metastate)
	if err != nil {
		return nil, err
	}
	g.founder = p.author
	if err := begin(g); err != nil {
		return nil, err
	}
	if g.tip, err = checkpoint.Begin(genesis); err != nil {
		return nil, err
	}
	if err := g.cover(genesis, p.inception, p.grant); err != nil {
		return nil, err
	}
	invite, err := g.invite()
	if err != nil {
		return nil, err
	}
	g.open = invite.ID()
	return g, g.cover(invite)
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
	if g.keep != nil {
		if err := g.keep(g.founding, g.tip, n, records); err != nil {
			return err
		}
	}
	g.tip, g.ref = n.Tip, n.Tip.Ref()
	g.covered += len(records)
	return nil
}

// settle makes checkpoints until nothing is due: a checkpoint closes only so
// many polls.
func (g *growing) settle() error {
	for {
		at, ok := g.tip.State().NextDeadline()
		if !ok || at > g.at.Unix() {
			return nil
		}
		if err := g.cover(); err != nil {
			return err
		}
	}
}

// grow makes the records of a season, at most n, and covers them by one
// checkpoint.
func (g *growing) grow(n int) error {
	g.at = g.at.Add(g.pace)
	polls, voters := g.polls, g.voted
	records, err := g.propose(max(1, n/perProposal))
	if err != nil {
		return err
	}
	moves, err := g.move(n / perMotion)
	if err != nil {
		return err
	}
	records = append(records, moves...)
	welcome := min((g.covered+n)/perAdmission-len(g.members), n-len(records)-1)
	if welcome > 0 {
		admissions, err := g.welcome(welcome)
		if err != nil {
			return err
		}
		records = append(records, admissions...)
	}
	ballots, err := g.elect(polls, voters, n-len(records))
	if err != nil {
		return err
	}
	g.voted = len(g.members)
	return g.cover(append(records, ballots...)...)
}

// welcome admits n further members, and makes the invite for the next: only
// what is final opens a door.
func (g *growing) welcome(n int) ([]*protocol.Record, error) {
	hosts := g.members[:min(mostHosts, len(g.members)/2)]
	if len(hosts) == 0 {
		hosts = []*author{g.founder}
	}
	admissions, err := g.admit(n, g.open, hosts)
	if err != nil {
		return nil, err
	}
	invite, err := g.invite()
	if err != nil {
		return nil, err
	}
	g.open = invite.ID()
	return append(admissions, invite), nil
}

// propose makes n proposals, which are the polls of the next season.
func (g *growing) propose(n int) (records []*protocol.Record, err error) {
	g.polls = nil
	for range n {
		body := question(g.turns)
		body.Voting = votingTime
		r, err := g.act(protocol.Propose, body)
		if err != nil {
			return nil, err
		}
		g.polls = append(g.polls, r.ID())
		records = append(records, r)
	}
	return records, nil
}

// move makes n motions to suspend somebody, and endorses as many of the season
// before. A member alone suspends nobody, nor do two of so many.
func (g *growing) move(n int) (records []*protocol.Record, err error) {
	if g.voted < minMotions {
		return nil, nil
	}
	earlier := g.acts[:min(n, len(g.acts))]
	g.acts = nil
	for range n {
		about := g.members[(g.turns*7919+1)%g.voted]
		r, err := g.act(protocol.Suspend, roll.RestrictBody{Persona: about.persona, Reason: "harm"})
		if err != nil {
			return nil, err
		}
		g.acts = append(g.acts, r.ID())
		records = append(records, r)
	}
	for _, act := range earlier {
		r, err := g.act(protocol.Endorse, roll.EndorseBody{Act: act})
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// act makes a control record of the member whose turn it is. Those who came
// last keep silent: they are wanted for what is measured.
func (g *growing) act(kind protocol.Kind, body any) (*protocol.Record, error) {
	by := g.founder
	if active := g.members[:min(g.voted, len(g.members)/2)]; len(active) > 0 {
		by = active[g.turns%len(active)]
	}
	g.turns++
	var parents []protocol.ID
	if by.prev.IsZero() {
		parents = []protocol.ID{g.metastate}
	}
	return g.write(by, kind, body, parents)
}

// elect makes up to n ballots in polls in which so many members may vote, each
// with one ballot in each poll.
func (g *growing) elect(polls []protocol.ID, voters, n int) ([]*protocol.Record, error) {
	n = min(n, len(polls)*voters)
	if n <= 0 {
		return nil, nil
	}
	each := (n + len(polls) - 1) / len(polls)
	records := make([]*protocol.Record, n)
	return records, inParallel(n, func(i int) (err error) {
		poll := i / each
		voter := (g.turns + poll*7919 + i%each) % voters
		records[i], err = g.vote(g.members[voter], polls[poll], 0, i)
		return err
	})
}
