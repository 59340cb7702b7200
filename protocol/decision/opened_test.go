package decision_test

import (
	"cmp"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/schulze"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
)

// secretMarks draws marks that the method's open form and its secret shape take.
func secretMarks(t *rapid.T, s secret.Shape, options int) count.Marks {
	marks := make(count.Marks, options)
	switch s.Kind {
	case secret.One:
		marks[rapid.IntRange(0, options-1).Draw(t, "choice")] = 1
	case secret.Quadratic:
		marks[rapid.IntRange(0, options-1).Draw(t, "choice")] = rapid.Uint8Range(0, 3).Draw(t, "votes")
	default:
		top := cmp.Or(s.Top, 1)
		if s.Kind == secret.Ranking {
			top = uint64(options)
		}
		for i := range marks {
			marks[i] = rapid.Uint8Range(0, uint8(top)).Draw(t, "mark")
		}
		if s.Kind == secret.Ranking {
			marks = ranks(marks)
		}
	}
	return marks
}

// ranks closes the gaps, as the open form wants.
func ranks(marks count.Marks) count.Marks {
	out := make(count.Marks, len(marks))
	for i, m := range marks {
		above := map[uint8]bool{}
		for _, other := range marks {
			if other != 0 && other < m {
				above[other] = true
			}
		}
		if m != 0 {
			out[i] = uint8(len(above) + 1)
		}
	}
	return out
}

// TestSecretCountsAsOpen: what the sums of secret ballots are counted as is what
// the same ballots would be in the open, by every method that has secret ballots.
func TestSecretCountsAsOpen(t *testing.T) {
	var methods []string
	for _, name := range decision.Methods() {
		if _, err := decision.SecretShape(name, count.Params{}); err == nil {
			methods = append(methods, name)
		}
	}
	if len(methods) != 11 {
		t.Fatalf("%d methods have secret ballots: %v", len(methods), methods)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(methods).Draw(t, "method")
		m, err := decision.MethodByName(name)
		if err != nil {
			t.Fatal(err)
		}
		options, err := m.Options([]string{"a", "b", "c"})
		if err != nil {
			if options, err = m.Options(nil); err != nil {
				t.Fatal(err)
			}
		}
		q := count.Question{
			Options: options, Seats: rapid.Uint64Range(1, 3).Draw(t, "seats"), Electorate: 1000, Order: count.AsListed(len(options)),
			Rule: count.Rule{Passes: func(yes, of uint64) bool { return 2*yes > of }, Override: func(yes, of uint64) bool { return 5*yes > 4*of }},
			Open: rapid.Bool().Draw(t, "open"),
		}
		if m.Check(q) != nil {
			q.Seats = 1
		}
		shape, err := decision.SecretShape(name, q.Params)
		if err != nil {
			t.Fatal(err)
		}
		var ballots []count.Ballot
		opened := secret.Result{Sums: make([]uint64, len(options))}
		for range rapid.IntRange(0, 8).Draw(t, "ballots") {
			b := count.Ballot{Marks: secretMarks(t, shape, len(options)), N: rapid.Uint64Range(1, 9).Draw(t, "voters")}
			ballots, q.Cast = append(ballots, b), q.Cast+b.N
			for i, mark := range b.Marks {
				opened.Sums[i] += uint64(mark) * b.N
			}
		}
		if shape.Kind == secret.Ranking {
			opened = secret.Result{Matrix: schulze.Matrix(len(options), ballots)}
		}
		want, err := count.Count(m, q, ballots)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decision.CountOpened(name, q, opened)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s of %v: in secret %+v (%v), in the open %+v", name, ballots, got, err, want)
		}
	})
}

// TestNotInSecret: who asks for a method that would show each ballot is told what
// to take.
func TestNotInSecret(t *testing.T) {
	for _, name := range []string{"irv", "scottish-stv", "meek-stv", "meek-prf", "equal-shares"} {
		_, err := decision.SecretShape(name, count.Params{})
		if err == nil || !strings.Contains(err.Error(), "take schulze") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := decision.CountOpened(name, count.Question{}, secret.Result{}); err == nil {
			t.Errorf("%s counts sums", name)
		}
	}
	if _, err := decision.SecretShape("guess", count.Params{}); err == nil || !strings.Contains(err.Error(), "no counting method") {
		t.Error(err)
	}
	if _, err := decision.CountOpened("schulze", count.Question{Options: []string{"a"}}, secret.Result{}); err == nil {
		t.Error("a sum without a matrix is counted")
	}
	two := secret.Result{Matrix: [][]uint64{{0, 1}, {1, 0}}, Sums: []uint64{1, 1}}
	for _, name := range []string{"schulze", "plurality"} {
		if _, err := decision.CountOpened(name, count.Question{Options: []string{"a", "b"}, Seats: 1}, two); err == nil {
			t.Errorf("%s counts a question without an order for ties", name)
		}
		if _, err := decision.CountOpened(name, count.Question{Options: []string{"a", "b", "c"}, Order: count.AsListed(3)}, two); err == nil {
			t.Errorf("%s counts a sum of another question", name)
		}
	}
}

func TestSecretTops(t *testing.T) {
	for name, want := range map[string][2]uint64{"score": {5, 7}, "quadratic": {100, 7}} {
		for i, p := range []count.Params{{}, {Top: 7}} {
			if s, err := decision.SecretShape(name, p); err != nil || s.Top != want[i] {
				t.Errorf("%s: %v, %v", name, s, err)
			}
		}
	}
}
