package lists

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// told is how many seats are told one by one: the last ones, which are those in
// question.
const told = 1000

// next is what a list's votes are divided by for its next seat.
func (t *tally) next(i int) uint64 {
	if t.method == SainteLague {
		return 1 + 2*t.seats[i]
	}
	return 1 + t.seats[i]
}

// compare compares two fractions, as a·d with c·b in 128 bits.
func compare(a, b, c, d uint64) int {
	lh, ll := bits.Mul64(a, d)
	rh, rl := bits.Mul64(c, b)
	switch {
	case lh < rh || lh == rh && ll < rl:
		return -1
	case lh == rh && ll == rl:
		return 0
	}
	return 1
}

// best are the lists with the highest quotient.
func (t *tally) best() []int {
	var best []int
	for _, i := range t.in {
		c := 1
		if len(best) > 0 {
			c = compare(t.votes[i], t.next(i), t.votes[best[0]], t.next(best[0]))
		}
		if c > 0 {
			best = best[:0]
		}
		if c >= 0 {
			best = append(best, i)
		}
	}
	return best
}

// divide gives the seats to the highest quotients. Several lists with the same
// one are one step.
func (t *tally) divide() {
	seats := t.left
	by := "1, 2, 3 …"
	if t.method == SainteLague {
		by = "1, 3, 5 …"
	}
	at := len(t.rounds)
	r := count.Say("Each seat goes to the highest quotient: of a list's votes by %s, the first for its first seat. Each list's number is its quotient for one seat more.", by)
	if seats > told {
		r.Text += fmt.Sprintf(" Told are the last %d seats.", told)
	}
	digits := len(fmt.Sprint(seats))
	for t.left > 0 && !t.tied {
		for _, i := range t.settle(t.best(), t.left, "quotients") {
			if t.left <= told {
				r.Facts = append(r.Facts, count.Line{
					Name:  fmt.Sprintf("seat %0*d", digits, seats-t.left+1),
					Value: fmt.Sprintf("%s, %s", t.Options[i], ratio(t.votes[i], t.next(i))),
				})
			}
			t.seats[i]++
			t.left--
		}
	}
	for _, i := range t.in {
		l := count.Line{Name: t.Options[i], Value: ratio(t.votes[i], t.next(i)), State: count.StateHopeful}
		if t.seats[i] > 0 {
			l.State = count.StateElected
		}
		r.Lines = append(r.Lines, l)
	}
	r.Facts = append(r.Facts, t.margin()...)
	t.rounds = slices.Insert(t.rounds, at, r)
}

// margin are the quotients on both sides of the last seat: votes by any number
// between them, rounded as the method does, are the seats.
func (t *tally) margin() []count.Line {
	last, least := -1, uint64(0)
	for _, i := range t.in {
		if t.seats[i] == 0 {
			continue
		}
		d := t.next(i) - 1
		if t.method == SainteLague {
			d--
		}
		if last < 0 || compare(t.votes[i], d, t.votes[last], least) < 0 {
			last, least = i, d
		}
	}
	if last < 0 {
		return nil
	}
	best := t.best()[0]
	return []count.Line{
		{Name: "lowest quotient with a seat", Value: ratio(t.votes[last], least)},
		{Name: "highest quotient without a seat", Value: ratio(t.votes[best], t.next(best))},
	}
}

// ratio writes a fraction in lowest terms.
func ratio(num, den uint64) string {
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	if den == a {
		return fmt.Sprint(num / a)
	}
	return fmt.Sprintf("%d/%d", num/a, den/a)
}
