package yesno

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

func TestNormal(t *testing.T) {
	for in, want := range map[string]count.Choice{"yes": "yes", " Yes\n": "yes", "NO": "no", "abstain": "abstain", "": "", "maybe": "", "yes yes": ""} {
		form := Method{}.Form(count.Question{})
		got, err := count.Normal(form, options, in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
		if again, err := count.Normal(form, options, string(got)); want != "" && (again != got || err != nil) {
			t.Errorf("the normal form of %q is not its own", in)
		}
	}
}

func TestOptions(t *testing.T) {
	got, err := Method{}.Options(nil)
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	got[0] = "changed"
	if again, _ := (Method{}).Options(nil); again[0] != Yes {
		t.Error("callers share the list of options")
	}
	if _, err := (Method{}).Options([]string{"yes", "no"}); err == nil {
		t.Error("takes options of its own")
	}
}

func TestCount(t *testing.T) {
	rule := func(num, den uint64, strict, ofRoll bool, quorumNum, quorumDen uint64) count.Rule {
		return count.Rule{
			OfRoll: ofRoll,
			Passes: func(yes, of uint64) bool { return yes > 0 && (yes*den > of*num || !strict && yes*den == of*num) },
			Quorum: func(cast, electorate uint64) bool { return cast*quorumDen >= electorate*quorumNum },
		}
	}
	majority := rule(1, 2, true, false, 0, 1)
	for what, x := range map[string]struct {
		rule             count.Rule
		of, yes, no, abs uint64
		want             string
	}{
		"more yes":               {majority, 9, 2, 1, 0, count.Passed},
		"a tie":                  {majority, 9, 2, 2, 0, count.Rejected},
		"a tie, not strict":      {rule(1, 2, false, false, 0, 1), 9, 2, 2, 0, count.Passed},
		"abstentions no matter":  {majority, 9, 2, 1, 6, count.Passed},
		"nobody":                 {majority, 9, 0, 0, 0, count.Rejected},
		"abstentions only":       {majority, 9, 0, 0, 9, count.Rejected},
		"nobody of nobody":       {rule(1, 2, false, true, 0, 1), 0, 0, 0, 0, count.Rejected},
		"two thirds":             {rule(2, 3, false, false, 0, 1), 9, 4, 2, 0, count.Passed},
		"under two thirds":       {rule(2, 3, false, false, 0, 1), 9, 3, 2, 0, count.Rejected},
		"quorum":                 {rule(1, 2, true, false, 1, 2), 8, 2, 1, 1, count.Passed},
		"quorum missed":          {rule(1, 2, true, false, 1, 2), 8, 3, 0, 0, count.Rejected},
		"of the roll":            {rule(1, 2, true, true, 0, 1), 9, 5, 0, 0, count.Passed},
		"not enough of the roll": {rule(1, 2, true, true, 0, 1), 9, 4, 0, 0, count.Rejected},
	} {
		votes := []count.Ballot{{Marks: count.Marks{0, 0, 1}, N: x.abs}, {Marks: count.Marks{0, 1, 0}, N: x.no}, {Marks: count.Marks{1, 0, 0}, N: x.yes}}
		r, err := count.Count(Method{}, count.Question{
			Options: options, Electorate: x.of, Cast: x.yes + x.no + x.abs, Rule: x.rule, Order: count.AsListed(3),
		}, votes)
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome != x.want {
			t.Errorf("%s: %s, want %s", what, r.Outcome, x.want)
		}
		if r.Votes[0].N != x.yes || r.Votes[1].N != x.no || r.Votes[2].N != x.abs || len(r.Rounds) != 3 {
			t.Errorf("%s: %+v does not say what was counted", what, r)
		}
	}
}
