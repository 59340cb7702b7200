// Package lists shares seats out among party lists, in proportion to the votes for
// each, by one of four methods.
//
// Divisor methods give the seats out one by one. Each goes to the list with the
// highest quotient: its votes divided by 1 + s with [DHondt], by 1 + 2s with
// [SainteLague], where s is the seats it has.
//
// Methods of largest remainders give each list a seat for every whole quota of
// its votes, and those left over one each to the lists with the largest remainders.
// The quota is votes/seats with [Hare], ⌊votes/(seats+1)⌋ + 1 with [Droop]. It is
// of all valid votes, those for lists below the threshold too, unless the param
// base says otherwise.
//
// Where the question names the candidates of each list they are elected in the
// list's order, but for groups that are to have a part of each list's seats.
//
// All is computed in integers (SPEC §8.3).
package lists

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Method shares seats out by its name.
type Method string

// The methods.
const (
	DHondt      Method = "dhondt"
	SainteLague Method = "sainte-lague"
	Hare        Method = "hare"
	Droop       Method = "droop"
)

// Bounds.
const (
	MaxSeats      = 1 << 20
	MaxCandidates = 10_000 // of all lists
	MaxName       = 120    // bytes of a candidate's name, and of a group's
	MaxGroups     = 16
)

// Options are the lists, at least one, each once.
func (Method) Options(given []string) ([]string, error) { return count.Names(given, 1, "") }

// Form is one list.
func (Method) Form(count.Question) count.Form { return count.One{} }

// divisor reports whether seats go one by one.
func (m Method) divisor() bool { return m == DHondt || m == SainteLague }

// Check takes seats, a threshold, candidates with groups, and of largest
// remainders what the quota is of.
func (m Method) Check(q count.Question) error {
	if !m.divisor() && m != Hare && m != Droop {
		return fmt.Errorf("no method %q of lists", string(m))
	}
	p := q.Params
	if q.Seats > MaxSeats {
		return fmt.Errorf("%d seats, at most %d can be shared out", q.Seats, MaxSeats)
	}
	if p.Threshold != (charter.Fraction{}) && (p.Threshold.Den == 0 || p.Threshold.Num > p.Threshold.Den) {
		return errors.New("the threshold is a fraction of all votes from 0 to 1, as 3/100")
	}
	if p.Base != "" && (m.divisor() || p.Base != count.BaseAll && p.Base != count.BaseSeated) {
		return errors.New("base says what the quota of hare and droop is of: all votes, or those for seated lists")
	}
	if err := checkCandidates(p.Lists, len(q.Options)); err != nil {
		return err
	}
	if err := checkBalance(p.Balance, p.Lists); err != nil {
		return err
	}
	p.Threshold, p.Base, p.Lists, p.Balance = charter.Fraction{}, "", nil, nil
	if !p.IsZero() {
		return errors.New("party lists take no params but threshold, base, lists and balance")
	}
	return nil
}

// A tally is a count under way.
type tally struct {
	count.Question
	method Method
	votes  []uint64 // of each list
	all    uint64   // valid votes
	in     []int    // lists with votes that reach the threshold, as listed
	seats  []uint64 // that each list has
	left   uint64   // seats to give
	place  []int    // in the order for ties
	tied   bool
	rounds []count.Round
}

// Count shares the seats out.
func (m Method) Count(q count.Question, ballots []count.Ballot) count.Result {
	t := &tally{Question: q, method: m, seats: make([]uint64, len(q.Options)), left: max(q.Seats, 1), place: make([]int, len(q.Options))}
	for at, i := range q.Order {
		t.place[i] = at
	}
	r := count.Result{Outcome: count.Rejected, Votes: count.Sums(q, ballots)}
	for _, v := range r.Votes {
		t.votes, t.all = append(t.votes, v.N), t.all+v.N
	}
	t.enter(r.Votes)
	switch {
	case !q.Quorate():
		t.rounds = append(t.rounds, count.TooFew())
	case len(t.in) == 0:
		t.say("No list has votes that reach the threshold: nobody is elected.")
	default:
		if m.divisor() {
			t.divide()
		} else {
			t.quotas()
		}
		if r.Winners = t.winners(); len(r.Winners) > 0 {
			r.Outcome = count.Elected
		}
	}
	for i, o := range q.Options {
		r.Seats = append(r.Seats, count.Option{Name: o, N: t.seats[i]})
	}
	r.Rounds, r.Tied = t.rounds, t.tied
	return r
}

func (t *tally) say(format string, args ...any) *count.Round {
	t.rounds = append(t.rounds, count.Say(format, args...))
	return &t.rounds[len(t.rounds)-1]
}

// enter finds the lists that take part.
func (t *tally) enter(votes []count.Option) {
	r := t.say("%d of %d who may vote did. There are %d valid votes for lists, and %s.", t.Cast, t.Electorate, t.all, count.Seated(t.left))
	r.Lines = count.Lines(votes)
	r.Facts = []count.Line{fact("valid votes", t.all)}
	var out []int
	for i, v := range t.votes {
		switch {
		case t.Out(i):
			r.Lines[i].State = count.StateWithdrawn
		case v > 0 && (t.Params.Threshold.Den == 0 || t.Params.Threshold.AtLeast(v, t.all)):
			t.in = append(t.in, i)
			r.Lines[i].State = count.StateHopeful
		default:
			out = append(out, i)
			r.Lines[i].State = count.StateExcluded
		}
	}
	if t.Params.Threshold.Num > 0 {
		needs := t.Params.Threshold.Needs(t.all)
		r.Facts = append(r.Facts, fact("threshold", needs))
		r.Text += fmt.Sprintf(" A list needs %d votes to take part, %s of all.", needs, t.Params.Threshold)
	}
	if len(out) > 0 {
		r.Text += fmt.Sprintf(" Without a seat: %s.", t.names(out))
	}
}

func (t *tally) names(list []int) string {
	names := make([]string, 0, len(list))
	for _, i := range list {
		names = append(names, t.Options[i])
	}
	return strings.Join(names, ", ")
}

func fact(name string, n uint64) count.Line {
	return count.Line{Name: name, Value: fmt.Sprint(n)}
}

// settle cuts equal lists, of which more want a seat than there are seats, to as
// many as get one: by the order for ties, or none where the seats stay open.
func (t *tally) settle(equal []int, seats uint64, of string) []int {
	slices.SortFunc(equal, func(a, b int) int { return cmp.Compare(t.place[a], t.place[b]) })
	if uint64(len(equal)) <= seats {
		return equal
	}
	t.tied = true
	if t.Open {
		t.say("Equal %s have %s, and there is not a seat for each: %s stay open.", of, t.names(equal), count.Seated(seats))
		return nil
	}
	t.say("Equal %s have %s, and there is not a seat for each: the order fixed for ties decides for %s.", of, t.names(equal), t.names(equal[:seats]))
	return equal[:seats]
}

// byVotes are the lists with seats, those with most votes first.
func (t *tally) byVotes() []int {
	var list []int
	for i, n := range t.seats {
		if n > 0 {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(t.votes[b], t.votes[a]) })
	return list
}

// winners tells the seats, and whom they elect.
func (t *tally) winners() []string {
	list := t.byVotes()
	r := t.say("Seats: ")
	var words []string
	for _, i := range list {
		words = append(words, fmt.Sprintf("%s %d", t.Options[i], t.seats[i]))
	}
	r.Text += strings.Join(words, ", ") + "."
	if t.left > 0 {
		r.Text += fmt.Sprintf(" Open: %s.", count.Seated(t.left))
	}
	for i, o := range t.Options {
		line := count.Line{Name: o, Value: fmt.Sprint(t.seats[i])}
		if t.seats[i] > 0 {
			line.State = count.StateElected
		}
		r.Lines = append(r.Lines, line)
	}
	if len(t.Params.Lists) > 0 {
		return t.candidates(list)
	}
	names := make([]string, 0, len(list))
	for _, i := range list {
		names = append(names, t.Options[i])
	}
	return names
}
