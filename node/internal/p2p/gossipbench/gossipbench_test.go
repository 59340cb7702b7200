package gossipbench

import (
	"context"
	"fmt"
	"testing"
)

func load(rate, from, to int) Load {
	l := Load{Rate: rate}
	for i := range to - from {
		l.Contents = append(l.Contents, fmt.Appendf(make([]byte, 290), "%010d", from+i))
	}
	return l
}

// Both sides measure what they were offered: at a rate that is no load nothing is
// lost, and the figures are of what happened.
func TestFigures(t *testing.T) {
	for name, measure := range map[string]func(context.Context, int, ...Load) ([]Figures, error){"ours": Ours, "defaults": Defaults} {
		t.Run(name, func(t *testing.T) {
			all, err := measure(t.Context(), 4, load(100, 0, 20), load(200, 20, 50))
			if err != nil || len(all) != 2 {
				t.Fatal(all, err)
			}
			for _, f := range all {
				if f.Lost != 0 || f.Missing != 0 || f.P50 <= 0 || f.P95 < f.P50 || f.Overhead < 1 || f.CPU < 0 {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}
