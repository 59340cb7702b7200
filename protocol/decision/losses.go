package decision

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// A Loss is how a member's votes ended.
type Loss struct {
	Votes uint64 // that the member took a side in
	Lost  uint64 // of these, that ended on another
}

// Losses are how open votes ended for each member who took a side in any whose
// deadline was at since or later. A ballot loses if it says no to what passed, or
// yes to what did not, or if none of the options that it prefers to all others won.
// Of secret votes nobody knows; rehearsals don't matter, nor polls of whose ballots
// only the root is known.
func (s State) Losses(since int64) map[protocol.ID]Loss {
	out := map[protocol.ID]Loss{}
	for p := range s.Polls() {
		if p.Result == nil || p.IsSecret() || p.Body.Rehearsal || !p.HasBallots() || p.Opened+p.Body.Voting < since {
			continue
		}
		form, err := p.Form()
		if err != nil {
			continue
		}
		known := map[count.Choice]side{}
		for voter, v := range p.Ballots.All() {
			on, ok := known[v.Choice]
			if !ok {
				on = p.side(form, v.Choice)
				known[v.Choice] = on
			}
			l := out[voter]
			switch on {
			case won:
				l.Votes++
			case lost:
				l.Votes++
				l.Lost++
			default:
				continue
			}
			out[voter] = l
		}
	}
	return out
}

// A side is whether a ballot is on the one that a vote ended on.
type side int

const (
	neither side = iota // it takes none
	won
	lost
)

func (p *Poll) side(form count.Form, choice count.Choice) side {
	passed := p.Result.Outcome != count.Rejected
	is := func(ended bool) side {
		if ended {
			return won
		}
		return lost
	}
	switch p.Body.Method {
	case "yes-no":
		if choice == "abstain" {
			return neither
		}
		return is((choice == "yes") == passed)
	case "consent":
		switch choice {
		case "consent":
			return is(passed)
		case "object":
			return is(!passed)
		}
		return neither
	}
	if len(p.Result.Winners) == 0 && len(p.Result.Seats) == 0 { // nothing won
		return neither
	}
	marks, err := form.Parse(p.Options, string(choice))
	if err != nil {
		return neither
	}
	best := preferred(form, marks)
	if len(best) == 0 || len(best) == len(p.Options) {
		return neither
	}
	return is(slices.ContainsFunc(best, func(i int) bool { return p.takes(p.Options[i]) }))
}

// takes reports whether an option won, or as a list has a seat.
func (p *Poll) takes(option string) bool {
	for _, s := range p.Result.Seats {
		if s.Name == option {
			return s.N > 0
		}
	}
	return slices.Contains(p.Result.Winners, option)
}

// preferred are the options that a ballot puts before all others: of a ranking the
// first, else those with the highest mark.
func preferred(form count.Form, marks count.Marks) (best []int) {
	_, ranked := form.(count.Ranking)
	for i, m := range marks {
		if m == 0 {
			continue
		}
		switch {
		case len(best) == 0 || ranked && m < marks[best[0]] || !ranked && m > marks[best[0]]:
			best = []int{i}
		case m == marks[best[0]]:
			best = append(best, i)
		}
	}
	return best
}
