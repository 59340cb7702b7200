package decision

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
)

func TestMethods(t *testing.T) {
	for _, name := range Methods() {
		if _, err := MethodByName(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := MethodByName("dice"); err == nil {
		t.Error("there is no method of dice")
	}
}

// Whatever is asked of whatever method is refused or counted: each winner is an
// option, once, no more of them than seats, in rounds that say so.
func TestAnyQuestion(t *testing.T) {
	rule := Rule(charter.Class{Threshold: charter.Fraction{Num: 1, Den: 2}, Of: charter.OfVotes, Quorum: charter.Fraction{Num: 0, Den: 1}})
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(Methods()).Draw(t, "method")
		m, err := MethodByName(name)
		if err != nil {
			t.Fatal(err)
		}
		q := counttest.Question(t, 6, 7)
		if options, err := m.Options(nil); err == nil {
			q.Options, q.Order, q.Withdrawn = options, count.AsListed(len(options)), nil
		}
		q.Rule, q.Open = rule, rapid.Bool().Draw(t, "open")
		if rapid.Bool().Draw(t, "top") {
			q.Params.Top = rapid.Uint64Range(0, 200).Draw(t, "top")
		}
		if rapid.Bool().Draw(t, "of equal shares") {
			q.Params.Complete = rapid.SampledFrom([]string{"none", "add1u", "x"}).Draw(t, "complete")
		}
		if rapid.Bool().Draw(t, "of lists") {
			q.Params.Threshold = charter.Fraction{Num: rapid.Uint64Range(0, 3).Draw(t, "num"), Den: rapid.Uint64Range(0, 20).Draw(t, "den")}
		}
		n, form := len(q.Options), m.Form(q)
		var ballots []count.Ballot
		for _, b := range rapid.SliceOfN(rapid.SliceOfN(rapid.Uint8Range(0, 6), n, n), 0, 9).Draw(t, "marks") {
			if form.Valid(q.Options, b) == nil {
				ballots = append(ballots, count.Ballot{Marks: b, N: rapid.Uint64Range(0, 1<<30).Draw(t, "n")})
			}
		}
		for _, b := range ballots {
			q.Cast += b.N
		}
		q.Electorate = q.Cast
		r, err := count.Count(m, q, ballots)
		if err != nil {
			return
		}
		if len(r.Votes) != n || len(r.Rounds) == 0 || !slices.Contains([]string{count.Passed, count.Rejected, count.Elected}, r.Outcome) {
			t.Fatalf("%s: %+v", name, r)
		}
		for i, w := range r.Winners {
			k := slices.Index(q.Options, w)
			if k < 0 || q.Out(k) || slices.Contains(r.Winners[:i], w) || uint64(i) >= max(q.Seats, 1) {
				t.Fatalf("%s: %s is elected: %+v", name, w, r)
			}
		}
	})
}
