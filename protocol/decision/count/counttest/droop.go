package counttest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/blt"
)

// Election reads a BLT file of the shared elections.
func Election(t testing.TB, path string) *blt.Election {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e, err := blt.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A Stage is a round of a reference count by the droop package, its actions in
// order. The first stage is what comes before round 1.
type Stage []Action

// An Action is what one stage did, and how all stood after it.
type Action struct {
	What  string            // as "Transfer defeated"
	Who   string            // of whom; empty: of nobody
	Lines []count.Line      // votes and states, without options that were withdrawn
	Facts map[string]string // as "Quota"
}

// Done is the action by which a stage's votes are compared: the last that tells
// them and is not about what is left over at the end.
func (s Stage) Done() (done Action) {
	for _, a := range s {
		if len(a.Lines) > 0 && !strings.Contains(a.What, "remaining") && a.What != "Count Complete" {
			done = a
		}
	}
	return done
}

var (
	lineOfVotes = regexp.MustCompile(`^\t(Elected|Pending|Hopeful|Defeated): +(.*) \(([-0-9._]+)\)$`)
	lineOfFact  = regexp.MustCompile(`^\t([A-Z][a-z]+(?: votes)?): ([-0-9.]+)$`)
	stateOf     = map[string]string{
		"Elected": count.StateElected, "Pending": count.StateElected, "Hopeful": count.StateHopeful, "Defeated": count.StateExcluded,
	}
)

// Reference reads a report of the droop package (public at jklundell/droop) on
// options of these names.
func Reference(t testing.TB, path string, options []string) []Stage {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "Action: Begin Count\n")
	if !ok {
		t.Fatalf("%s is no report", filepath.Base(path))
	}
	stages := []Stage{{Action{What: "Begin Count", Facts: map[string]string{}}}}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		last := &stages[len(stages)-1]
		if strings.HasPrefix(line, "Round ") {
			stages = append(stages, nil)
			continue
		}
		if what, ok := strings.CutPrefix(line, "Action: "); ok {
			what, who, _ := strings.Cut(what, ": ")
			if strings.HasPrefix(what, "Elect") {
				who = named(t, who, options)[0]
			}
			*last = append(*last, Action{What: what, Who: who, Facts: map[string]string{}})
			continue
		}
		if len(*last) == 0 {
			continue // what else the stage tells
		}
		a := &(*last)[len(*last)-1]
		if m := lineOfVotes.FindStringSubmatch(line); m != nil {
			for _, name := range named(t, m[2], options) {
				a.Lines = append(a.Lines, count.Line{Name: name, Value: m[3], State: stateOf[m[1]]})
			}
		} else if m := lineOfFact.FindStringSubmatch(line); m != nil {
			a.Facts[m[1]] = m[2]
		}
	}
	return stages
}

// named splits a list of options' names, which may have commas themselves, and
// of which the reference has written any white space as one.
func named(t testing.TB, list string, options []string) (names []string) {
	t.Helper()
	list = strings.ReplaceAll(strings.Join(strings.Fields(list), " "), " ,", ",")
	for list != "" {
		longest := ""
		for _, o := range options {
			short := strings.Join(strings.Fields(o), " ")
			if len(o) > len(longest) && (list == short || strings.HasPrefix(list, short+", ")) {
				longest = o
			}
		}
		if longest == "" {
			t.Fatalf("%q begins with no option", list)
		}
		names = append(names, longest)
		list = strings.TrimPrefix(strings.TrimPrefix(list, strings.Join(strings.Fields(longest), " ")), ", ")
	}
	return names
}

// Who lists whom actions of this kind are about, in order. The kind is how their
// names begin.
func Who(stages []Stage, what string) (who []string) {
	for _, s := range stages {
		for _, a := range s {
			if strings.HasPrefix(a.What, what) {
				who = append(who, a.Who)
			}
		}
	}
	return who
}

// Agree fails the test where a round tells other votes or states than the
// reference, or other facts: of those given the reference's names.
func (a Action) Agree(t testing.TB, round count.Round, facts map[string]string) {
	t.Helper()
	if len(a.Lines) == 0 {
		t.Fatalf("%s: nobody's votes", a.What)
	}
	for _, want := range a.Lines {
		for _, got := range round.Lines {
			if got.Name == want.Name && got != want {
				t.Errorf("%s %s: %v, want %v", a.What, a.Who, got, want)
			}
		}
	}
	compared := 0
	for _, f := range round.Facts {
		if name, ok := facts[f.Name]; ok {
			if compared++; f.Value != a.Facts[name] {
				t.Errorf("%s %s: %v, want %s", a.What, a.Who, f, a.Facts[name])
			}
		}
	}
	eligible := 0
	for _, l := range round.Lines {
		if l.State != count.StateWithdrawn {
			eligible++
		}
	}
	if compared != len(facts) || eligible != len(a.Lines) {
		t.Errorf("%s %s: %d figures of %d are told, and %d options of %d", a.What, a.Who, compared, len(facts), eligible, len(a.Lines))
	}
}
