package node

import "github.com/metastate-p2p/metastate/protocol/decision/count"

// Round is one step of a count.
type Round struct {
	Text  string            `json:"text"`
	Lines []RoundLine       `json:"lines"` // how options stand after it
	Facts map[string]string `json:"facts"` // other figures by name, as the quota
}

// RoundLine is how an option stands. Figures are decimal, or fractions as "4/3".
type RoundLine struct {
	Option string `json:"option"`
	Value  string `json:"value"`
	State  string `json:"state"` // elected, hopeful, excluded, withdrawn, or empty
}

// RoundsOf is the rounds of a count as they are shown.
func RoundsOf(rounds []count.Round) []Round {
	out := make([]Round, 0, len(rounds))
	for _, r := range rounds {
		shown := Round{Text: r.Text, Lines: make([]RoundLine, 0, len(r.Lines)), Facts: map[string]string{}}
		for _, l := range r.Lines {
			shown.Lines = append(shown.Lines, RoundLine{Option: l.Name, Value: l.Value, State: l.State})
		}
		for _, f := range r.Facts {
			shown.Facts[f.Name] = f.Value
		}
		out = append(out, shown)
	}
	return out
}

// SeatsOf is the seats of each list, nil of a count without lists.
func SeatsOf(seats []count.Option) map[string]uint64 {
	if seats == nil {
		return nil
	}
	out := make(map[string]uint64, len(seats))
	for _, s := range seats {
		out[s.Name] = s.N
	}
	return out
}
