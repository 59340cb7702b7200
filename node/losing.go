package node

import (
	"cmp"
	"slices"
	"sync"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// A LosingMember is a member who lost most of what they voted on. Who always loses
// is soon gone: a community that sees it can decide by other methods, or part well.
type LosingMember struct {
	Persona protocol.ID `json:"persona"`
	Name    string      `json:"name"`
	Votes   uint64      `json:"votes"` // open votes of the last year in which they took a side
	Lost    uint64      `json:"lost"`  // of these
}

const (
	losingYear  = 365 * 24 * 60 * 60 // seconds
	losingVotes = 5                  // with fewer, nobody is said to be losing
)

// isLosing is 70 % of at least five.
func isLosing(l decision.Loss) bool { return l.Votes >= losingVotes && 10*l.Lost >= 7*l.Votes }

// losses remembers who was losing. It is counted anew when a vote has ended or a day
// gone by: each time every ballot of a year is looked at.
type losses struct {
	mu    sync.Mutex
	ended int
	day   int64
	list  []LosingMember
}

// losing are the members on the roll who lose, those who lost most first.
func (x *losses) losing(s *state.State) []LosingMember {
	ended, day := 0, s.AsOf()/86400
	for p := range s.Decisions().Polls() {
		if p.Result != nil {
			ended++
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if ended == x.ended && day == x.day {
		return x.list
	}
	x.ended, x.day, x.list = ended, day, nil
	for persona, l := range s.Decisions().Losses(s.AsOf() - losingYear) {
		if m := s.Roll().Member(persona); m != nil && belongs(m.Standing()) && isLosing(l) {
			x.list = append(x.list, LosingMember{Persona: persona, Name: m.Name, Votes: l.Votes, Lost: l.Lost})
		}
	}
	slices.SortFunc(x.list, func(a, b LosingMember) int {
		return cmp.Or(cmp.Compare(b.Lost, a.Lost), a.Persona.Compare(b.Persona))
	})
	return x.list
}
