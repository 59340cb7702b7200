package audit_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// Should what recomputes the history make a mistake, the audit's own way through
// the vote finds it out, at the step that it is in.
func TestOwnWay(t *testing.T) {
	town, id, _ := secretVote(t)
	file := town.bundle()
	steps := map[string]string{
		"another electorate":                  audit.Roll,
		"another roll":                        audit.Roll,
		"the trustees say nothing":            audit.Keys,
		"a deal is not heard":                 audit.Keys,
		"an announcement is not heard":        audit.Keys,
		"a ballot does not count":             audit.Ballots,
		"a ballot counts twice":               audit.Ballots,
		"an earlier ballot counts":            audit.Ballots,
		"a ballot without a proof counts":     audit.Ballots,
		"a ballot counts that came late":      audit.Ballots,
		"a ballot counts of nobody":           audit.Ballots,
		"no closing":                          audit.Seal,
		"the closing counts more":             audit.Seal,
		"too few acknowledge":                 audit.Shares,
		"a share is taken that does not hold": audit.Shares,
		"a share is refused that holds":       audit.Shares,
		"another result":                      audit.Result,
	}
	if all := slices.Sorted(slices.Values(audit.Doctors())); !slices.Equal(all, slices.Sorted(maps.Keys(steps))) {
		t.Fatal("not all mistakes are tried: ", all)
	}
	for what, step := range steps {
		src, err := bundle.NewReader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		r, err := audit.RunDoctored(src, audit.Config{Proposal: id}, what)
		if err != nil {
			t.Fatal(what, err)
		}
		if f := r.Fault(); f == nil || f.Name != step || f.Record.IsZero() {
			t.Errorf("%s: %+v, not %s", what, f, step)
		}
	}
}
