package lists

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// quotas gives each list a seat for each whole quota, and the rest to the largest
// remainders. Votes and the quota are multiplied by scale, so that both are whole.
func (t *tally) quotas() {
	base, words := t.all, "all valid votes"
	if t.Params.Base == count.BaseSeated {
		base, words = 0, "the votes for lists that take part"
		for _, i := range t.in {
			base += t.votes[i]
		}
	}
	quota, scale := base, t.left // Hare: base/seats
	if t.method == Droop {
		quota, scale = base/(t.left+1)+1, 1
	}
	r := t.say("The quota is of %s, %d: %s votes a seat. Each list has a seat for every whole quota.", words, base, ratio(quota, scale))
	r.Facts = []count.Line{{Name: "quota", Value: ratio(quota, scale)}}
	rest := make([]uint64, len(t.votes))
	for _, i := range t.in {
		t.seats[i], rest[i] = t.votes[i]*scale/quota, t.votes[i]*scale%quota
		t.left -= t.seats[i]
		line := count.Line{Name: t.Options[i], Value: fmt.Sprint(t.seats[i]), State: count.StateHopeful}
		if t.seats[i] > 0 {
			line.State = count.StateElected
		}
		r.Lines = append(r.Lines, line)
	}
	r.Facts = append(r.Facts, fact("seats left", t.left))
	for again := false; t.left > 0 && !t.tied; again = true {
		t.remainders(rest, scale, again)
	}
}

// remainders gives a seat each to the lists with the largest remainders, as far
// as there are seats.
func (t *tally) remainders(rest []uint64, scale uint64, again bool) {
	order := slices.Clone(t.in)
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rest[b], rest[a]) })
	var lines []count.Line
	for _, i := range t.in {
		lines = append(lines, count.Line{Name: t.Options[i], Value: ratio(rest[i], scale), State: count.StateHopeful})
	}
	at := len(t.rounds)
	left := t.left
	for from := 0; from < len(order) && t.left > 0; {
		to := from
		for to < len(order) && rest[order[to]] == rest[order[from]] {
			to++
		}
		took := t.settle(slices.Clone(order[from:to]), t.left, "remainders")
		for _, i := range took {
			lines = state(lines, t.Options[i])
			t.seats[i]++
			t.left--
		}
		if from = to; t.tied {
			break
		}
	}
	say := count.Say("The %s left go one each to the largest remainders: what votes are left over of whole quotas.", count.Seated(left))
	if again {
		say.Text = fmt.Sprintf("Every list has had a seat for its remainder, and more are left, as lists without a seat have votes too: the %s left go to the largest remainders again.", count.Seated(left))
	}
	say.Lines = lines
	t.rounds = slices.Insert(t.rounds, at, say)
}

func state(lines []count.Line, name string) []count.Line {
	for k := range lines {
		if lines[k].Name == name {
			lines[k].State = count.StateElected
		}
	}
	return lines
}
