package count

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var abc = []string{"a", "b", "c"}

func TestForms(t *testing.T) {
	for _, x := range []struct {
		form   Form
		line   string
		normal Choice // empty: refused
		marks  Marks
	}{
		{One{}, " b\n", "b", Marks{0, 1, 0}},
		{One{}, "", "", nil},
		{One{}, "a,b", "", nil},
		{One{}, "B", "", nil},
		{Approvals{}, "c, a", "a,c", Marks{1, 0, 1}},
		{Approvals{}, "-", "-", Marks{0, 0, 0}},
		{Approvals{}, "a,a", "", nil},
		{Approvals{}, "a,,b", "", nil},
		{Approvals{}, "", "", nil},
		{Ranking{}, "c = b > a", "b=c>a", Marks{2, 1, 1}},
		{Ranking{}, "b", "b", Marks{0, 1, 0}},
		{Ranking{}, "-", "-", Marks{0, 0, 0}},
		{Ranking{}, "a>b>a", "", nil},
		{Ranking{}, "a>>b", "", nil},
		{Ranking{}, "a>b>c>d", "", nil},
		{Ranking{}, "", "", nil},
		{Ranking{Strict: true}, "b>a", "b>a", Marks{2, 1, 0}},
		{Ranking{Strict: true}, "b=a", "", nil},
		{Scores{Top: 5}, "b:1, a:5, c:0", "a:5,b:1", Marks{5, 1, 0}},
		{Scores{Top: 5}, "-", "-", Marks{0, 0, 0}},
		{Scores{Top: 5}, "a:6", "", nil},
		{Scores{Top: 5}, "a:-1", "", nil},
		{Scores{Top: 5}, "a", "", nil},
		{Scores{Top: 5}, "a:1,a:0", "", nil},
		{Scores{Top: 255}, "a:256", "", nil},
		{Scores{Top: 9, Credits: 10}, "a:3,b:1", "a:3,b:1", Marks{3, 1, 0}},
		{Scores{Top: 9, Credits: 10}, "a:3,b:2", "", nil},
	} {
		m, err := x.form.Parse(abc, x.line)
		if x.normal == "" {
			if err == nil {
				t.Errorf("%T %q is taken for %v", x.form, x.line, m)
			}
			continue
		}
		if err != nil || !slices.Equal(m, x.marks) || x.form.Line(abc, m) != x.normal {
			t.Errorf("%T %q: %v, %v", x.form, x.line, m, err)
		}
	}
}

// What a form finds valid has one line, which is read as the same marks.
func TestLinesAndMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		form := rapid.SampledFrom([]Form{One{}, Approvals{}, Ranking{}, Ranking{Strict: true}, Scores{Top: 3}, Scores{Top: 3, Credits: 6}}).Draw(t, "form")
		m := Marks(rapid.SliceOfN(rapid.Uint8Range(0, 4), 2, 4).Draw(t, "marks"))
		if form.Valid(abc, m) != nil {
			return
		}
		line := form.Line(abc, m)
		again, err := form.Parse(abc, string(line))
		if err != nil || !slices.Equal(again, m) {
			t.Fatalf("%T: %v is written %q and read as %v, %v", form, m, line, again, err)
		}
	})
}

func FuzzForms(f *testing.F) {
	for _, line := range []string{"a", "a,b", "b>a=c", "a:3,b:1", "-", ""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, form := range []Form{One{}, Approvals{}, Ranking{}, Ranking{Strict: true}, Scores{Top: 255}, Scores{Top: 9, Credits: 50}} {
			m, err := form.Parse(abc, line)
			if err != nil {
				continue
			}
			if err := form.Valid(abc, m); err != nil {
				t.Fatalf("%T reads %q as %v: %v", form, line, m, err)
			}
			if n, err := Normal(form, abc, string(form.Line(abc, m))); err != nil || n != form.Line(abc, m) {
				t.Fatalf("%T: the normal form of %q is not its own", form, line)
			}
		}
	})
}

func TestNames(t *testing.T) {
	for _, bad := range [][]string{nil, {"a", "a"}, {" a"}, {""}, {"a,b"}, {"a>b"}, {"a=b"}, {"a:b"}, {"-"}} {
		if _, err := Names(bad, 1, ",>=:"); err == nil {
			t.Errorf("takes %q", bad)
		}
	}
	if got, err := Names([]string{"a", "b-c"}, 2, ","); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
	if _, err := Names([]string{"a,b", "-"}, 2, ""); err != nil {
		t.Error("a choice of one is written with no marks:", err)
	}
	if _, err := Names([]string{"a"}, 2, ""); err == nil {
		t.Error("takes one option where two are needed")
	}
}

// dummy counts nothing; its form is strict rankings.
type dummy struct{}

func (dummy) Options(given []string) ([]string, error) { return Names(given, 1, MarksOfRanking) }
func (dummy) Check(Question) error                     { return nil }
func (dummy) Form(Question) Form                       { return Ranking{Strict: true} }
func (dummy) Count(Question, []Ballot) Result          { return Result{Outcome: Elected} }

func TestCountRefuses(t *testing.T) {
	q := Question{Options: abc, Order: AsListed(3)}
	if r, err := Count(dummy{}, q, []Ballot{{Marks{1, 0, 2}, 7}}); err != nil || r.Outcome != Elected {
		t.Fatal(r, err)
	}
	for what, x := range map[string]struct {
		change func(*Question)
		ballot Ballot
	}{
		"no options":                {func(q *Question) { q.Options, q.Order = nil, nil }, Ballot{}},
		"no order":                  {func(q *Question) { q.Order = nil }, Ballot{}},
		"an order with one twice":   {func(q *Question) { q.Order = []int{0, 0, 1} }, Ballot{}},
		"an order of another":       {func(q *Question) { q.Order = []int{0, 1, 3} }, Ballot{}},
		"withdrawn of another":      {func(q *Question) { q.Withdrawn = make([]bool, 2) }, Ballot{}},
		"equal ranks":               {func(*Question) {}, Ballot{Marks{1, 1, 0}, 1}},
		"marks of another":          {func(*Question) {}, Ballot{Marks{1, 2}, 1}},
		"a gap":                     {func(*Question) {}, Ballot{Marks{1, 3, 0}, 1}},
		"more than can be counted":  {func(*Question) {}, Ballot{Marks{1, 2, 0}, MaxTotal + 1}},
		"more than a uint64 has in": {func(*Question) {}, Ballot{Marks{1, 2, 0}, 1<<64 - 1}},
	} {
		x.change(&q)
		ballots := []Ballot{{Marks{1, 2, 3}, 1}}
		if x.ballot.Marks != nil {
			ballots = append(ballots, x.ballot)
		}
		if _, err := Count(dummy{}, q, ballots); err == nil {
			t.Errorf("counts %s", what)
		}
		q = Question{Options: abc, Order: AsListed(3)}
	}
}
