package consent_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/consent"
)

func Example() {
	m := consent.Method{}
	options, _ := m.Options(nil)
	q := count.Question{Options: options, Electorate: 20, Cast: 11, Order: count.AsListed(4)}
	q.Rule.Override = func(consent, of uint64) bool { return 10*consent >= 9*of } // nine in ten
	var ballots []count.Ballot
	for line, n := range map[string]uint64{"consent": 8, "Object": 1, "stand-aside": 2} {
		marks, _ := m.Form(q).Parse(options, line)
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	r, err := count.Count(m, q, ballots)
	fmt.Println(r.Outcome, err)
	for _, round := range r.Rounds {
		fmt.Println(round.Text)
	}
	// Output:
	// rejected <nil>
	// 11 of 20 who may vote did: 8 consent, 2 stand aside, 1 object, 0 abstain.
	// 8 consent out of 9 who consent or object: not enough to pass over the objections. Rejected; objections are answered by another text.
}

func TestCount(t *testing.T) {
	m := consent.Method{}
	options, _ := m.Options(nil)
	half := func(cast, electorate uint64) bool { return 2*cast >= electorate }
	twoThirds := func(consent, of uint64) bool { return 3*consent >= 2*of }
	for what, x := range map[string]struct {
		votes    [4]uint64
		quorum   func(uint64, uint64) bool
		sided    func(uint64, uint64) bool
		override func(uint64, uint64) bool
		outcome  string
		says     string
	}{
		"nobody objects":                    {[4]uint64{1, 0, 0, 0}, nil, nil, nil, count.Passed, "Nobody objects"},
		"one objects":                       {[4]uint64{9, 0, 1, 0}, nil, nil, nil, count.Rejected, "passes over none"},
		"passed over":                       {[4]uint64{2, 5, 1, 5}, nil, nil, twoThirds, count.Passed, "enough to pass over"},
		"not passed over":                   {[4]uint64{3, 5, 2, 5}, nil, nil, twoThirds, count.Rejected, "not enough to pass over"},
		"nobody consents":                   {[4]uint64{0, 3, 0, 3}, nil, nil, twoThirds, count.Rejected, "Nobody consents"},
		"nobody votes":                      {[4]uint64{}, nil, nil, twoThirds, count.Rejected, "Nobody consents"},
		"too few":                           {[4]uint64{9, 0, 0, 0}, half, nil, twoThirds, count.Rejected, "Too few"},
		"too few take a side":               {[4]uint64{4, 3, 0, 2}, nil, half, nil, count.Rejected, "Too few of those who voted"},
		"enough take a side":                {[4]uint64{4, 2, 1, 1}, nil, half, twoThirds, count.Passed, "pass over"},
		"who stand aside and abstain count": {[4]uint64{8, 1, 0, 1}, half, nil, nil, count.Passed, "Nobody objects"},
	} {
		q := count.Question{Options: options, Electorate: 20, Order: count.AsListed(4), Rule: count.Rule{Quorum: x.quorum, Sided: x.sided, Override: x.override}}
		var ballots []count.Ballot
		for i, n := range x.votes {
			marks := make(count.Marks, 4)
			marks[i] = 1
			ballots, q.Cast = append(ballots, count.Ballot{Marks: marks, N: n}), q.Cast+n
		}
		r, err := count.Count(m, q, ballots)
		if err != nil || r.Outcome != x.outcome || !strings.Contains(r.Rounds[1].Text, x.says) || len(r.Winners) > 0 {
			t.Errorf("%s: %+v %v", what, r, err)
		}
	}
}

func TestRefused(t *testing.T) {
	m := consent.Method{}
	options, _ := m.Options(nil)
	if _, err := m.Options([]string{"a", "b"}); err == nil {
		t.Error("takes options")
	}
	if _, err := m.Options(options); err != nil {
		t.Error(err)
	}
	for _, q := range []count.Question{{Options: []string{"a"}}, {Options: options, Params: count.Params{Top: 1}}, {Options: options, Withdrawn: make([]bool, 4)}} {
		if m.Check(q) == nil {
			t.Errorf("takes %+v", q)
		}
	}
	for _, line := range []string{"", "consents", "consent,object", "-"} {
		if _, err := m.Form(count.Question{}).Parse(options, line); err == nil {
			t.Errorf("takes %q", line)
		}
	}
}
