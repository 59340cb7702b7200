package node

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// checkBallots finds out on all processors which of the secret ballots among records
// prove what they must, about a millisecond each, so that the state, which judges
// records one by one, finds it known. It looks only at those that the state will ask
// about: by members of the electorate, in votes that are open. Ballots by others, and
// those in places that are taken, cost no such check (SPEC §8.2 rule 2).
func checkBallots(s *state.State, recs []*protocol.Record) {
	jobs := unchecked(s, recs)
	if len(jobs) < 2 {
		return // nobody gains by it
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return
				}
				jobs[i].p.CheckBallot(jobs[i].r)
			}
		})
	}
	workers.Wait()
}

// checkAhead is checkBallots for the first of some steps, with those of the following
// ones: in history ballots come one by one.
func checkAhead(s *state.State, steps []storedStep) {
	if len(unchecked(s, steps[0].records)) == 0 {
		return
	}
	var recs []*protocol.Record
	for _, step := range steps {
		recs = append(recs, step.records...)
	}
	checkBallots(s, recs)
}

// A proving is a secret ballot whose proofs nobody has looked at yet.
type proving struct {
	p *decision.Poll
	r *protocol.Record
}

// unchecked are the secret ballots of members of the electorate, in votes that are
// open, that nobody has looked at.
func unchecked(s *state.State, recs []*protocol.Record) (list []proving) {
	for _, r := range recs {
		if r.Kind() != protocol.Ballot {
			continue
		}
		p := s.Decisions().Poll(r.Header().Subject)
		if p == nil || p.Phase != decision.Voting || p.Secret == nil || !mayVoteBy(s, p, r) {
			continue
		}
		if _, known := r.Recall(p.Secret.Election().ID()).(bool); !known {
			list = append(list, proving{p, r})
		}
	}
	return list
}

// mayVoteBy reports whether a ballot is by a member of the electorate, from a device
// of theirs.
func mayVoteBy(s *state.State, p *decision.Poll, r *protocol.Record) bool {
	d, m := s.Roll().Device(r.Header().Key), s.Roll().Member(r.Author())
	return d != nil && d.Persona == r.Author() && d.Speaks(s.AsOf(), r.ID()) && m != nil && m.VoiceAt(p.RecordDate)
}
