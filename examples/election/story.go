package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// The election of May 2024: votes for each list, 6,723 together, and the seats
// that the commission gave them in the end.
var (
	votes2024 = []uint64{104, 432, 605, 489, 184, 616, 1050, 2358, 226, 61, 598}
	seats2024 = []uint64{0, 6, 8, 6, 0, 8, 13, 28, 3, 0, 8}
)

const (
	method   = "hare"
	seats    = 80
	voting   = 72 * time.Hour
	morning  = 20 * time.Hour // from one wave of ballots to the next
	sideline = 1              // the side of the network with one clerk
)

var threshold = count.Params{Threshold: charter.Fraction{Num: 3, Den: 100}}

// A story is what is told, with what its teller knows and no node does: who voted
// for what.
type story struct {
	out io.Writer
	settings
	*world
	trustees []*trustee // by number
	poll     protocol.ID
	choice   []int               // of each person
	says     map[protocol.ID]int // ballot to option
	expected map[protocol.ID]protocol.ID
	other    *decision.Poll // as the clerk who was cut off would have closed it
	result   *decision.Result
}

// chapter tells one, and how long it took.
func (t *story) chapter(title string, tell func() error) error {
	began := time.Now()
	fmt.Fprintln(t.out, title)
	err := tell()
	fmt.Fprintf(t.out, "  (%.1f s)\n\n", time.Since(began).Seconds())
	return err
}

func (t *story) say(format string, args ...any) { fmt.Fprintf(t.out, "  "+format+"\n", args...) }

func (t *story) state() *decision.Poll { return t.stateAt(t.clerks[0]) }

func (t *story) stateAt(c *clerk) *decision.Poll { return c.at.tip.State().Decisions().Poll(t.poll) }

func (t *story) committee() *committee.Committee {
	return t.clerks[0].at.tip.State().Decisions().Committee(t.state().Secret.Committee)
}

// pass lets time go by, and has the clerks of the larger side make final what
// there is, and what is due.
func (t *story) pass(d time.Duration) error {
	t.now += int64(d / time.Second)
	for range 10 {
		at, due := t.clerks[0].at.tip.State().NextDeadline()
		if len(t.clerks[0].open) == 0 && (!due || at > t.now) {
			return nil
		}
		if err := t.agree(0); err != nil {
			return err
		}
	}
	return errors.New("there is always something to make final")
}

// found makes the metastate, and gives everybody a list to vote for: of so many
// voters each list has the part that it had in 2024.
func (t *story) found() (err error) {
	if t.world, err = newWorld(t.settings); err != nil {
		return err
	}
	var of []int
	for option, n := range votes2024 {
		for range n {
			of = append(of, option)
		}
	}
	t.choice, t.says, t.expected = make([]int, t.voters), map[protocol.ID]int{}, map[protocol.ID]protocol.ID{}
	for i, at := range rand.New(rand.NewPCG(t.settings.seed, 1)).Perm(t.voters) {
		t.choice[i] = of[at*len(of)/t.voters]
	}
	t.say("%d voters with keys of their own, %d clerks who make records final, %d trustees.", t.voters, clerkCount, trusteeCount)
	return nil
}

// makeKey puts the question, and has the trustees make the key on which it waits.
func (t *story) makeKey() error {
	var options []string
	for i := range votes2024 {
		options = append(options, fmt.Sprintf("List %d", i+1))
	}
	r, err := t.people[20].sign(protocol.Propose, decision.ProposeBody{
		Title: "Who sits in our parliament?", Method: method, Options: options, Seats: seats, Params: threshold,
		Class: "election", Voting: int64(voting / time.Second), Secret: decision.SecretBody{Least: uint64(t.voters / 10)},
	})
	if err != nil {
		return err
	}
	t.poll = r.ID()
	if err := errors.Join(t.send(0, r), t.pass(time.Minute)); err != nil {
		return err
	}
	if v := t.chain[len(t.chain)-1].verdict[r.ID()]; !v.Stands {
		return fmt.Errorf("the question is void: %s", v.Text)
	}
	if err := t.stages(); err != nil {
		return err
	}
	c := t.committee()
	for _, x := range c.Trustees {
		if !x.Guilty.IsZero() {
			t.say("%s complained of a deal that is good. The complaint opened it for all to see, and convicts who made it.", title(t.trustees[c.Number(x.Persona)-1].name()))
		}
	}
	t.say("The trustees made a key of which any %d of %d can open the count, and nobody alone can.", c.Kind().K(), c.Kind().N())
	opens, ok := t.clerks[0].at.tip.State().NextDeadline()
	if !ok || t.state().Phase != decision.Discussion {
		return fmt.Errorf("the question is in %s", t.state().Phase)
	}
	if err := t.pass(time.Duration(opens-t.now) * time.Second); err != nil {
		return err
	}
	if p := t.state(); p.Phase != decision.Voting || p.Electorate != uint64(t.voters) {
		return fmt.Errorf("the vote is in %s, with %d voters", p.Phase, p.Electorate)
	}
	return nil
}

// stages has the trustees make their key by records (SPEC §8.6).
func (t *story) stages() error {
	for i, p := range t.world.trustees() {
		x := &trustee{person: p, number: t.committee().Number(p.id), seed: t.chance("trustee", i)}
		x.lies, x.away = i == 2, i >= 5
		t.trustees = append(t.trustees, x)
	}
	slices.SortFunc(t.trustees, func(a, b *trustee) int { return a.number - b.number })
	for range 8 {
		c := t.committee()
		if c.Stage == committee.Ready {
			return nil
		}
		var list []*protocol.Record
		for _, x := range t.trustees {
			r, err := x.says(c, t.complaint)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
		if err := errors.Join(t.send(0, list...), t.pass(time.Minute)); err != nil {
			return err
		}
		if after := t.committee(); after.Stage == c.Stage { // it waits for no more than its patience
			if err := t.pass(time.Duration(after.Until-t.now) * time.Second); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("the trustees are at %q", t.committee().Stage)
}

// A turn is when somebody votes.
const (
	early  = iota // while all is well
	parted        // when the network has fallen apart
	late          // after the deadline
)

func turn(i int) int {
	switch {
	case i%20 == 19:
		return late
	case i%20 >= 17:
		return parted
	}
	return early
}

// vote has most vote in three waves.
func (t *story) vote() error {
	var all []intent
	for i := range t.people {
		if turn(i) == early {
			all = append(all, intent{i, t.choice[i], 0})
		}
	}
	for wave := range slices.Chunk(all, (len(all)+2)/3) {
		list, err := t.cast(wave)
		if err != nil {
			return err
		}
		if bad := prove(t.state(), list); bad > 0 {
			return fmt.Errorf("%d ballots do not prove that they are one", bad)
		}
		for i, r := range list {
			t.expected[t.people[wave[i].person].id] = r.ID()
		}
		if err := errors.Join(t.send(0, list...), t.pass(morning)); err != nil {
			return err
		}
	}
	t.say("%d have voted, each ballot %d bytes with the proof that it is for one list, and nobody knows which.", t.state().Ballots.Len(), t.state().Secret.Election().Size())
	return nil
}

// An intent is what a person votes, and their how manieth ballot that is.
type intent struct {
	person, option int
	seq            uint64
}

// cast makes ballots on all processors, as voters do on theirs.
func (t *story) cast(list []intent) ([]*protocol.Record, error) {
	out, errs := make([]*protocol.Record, len(list)), make([]error, len(list))
	p := t.state()
	each(len(list), func(i int) {
		x := list[i]
		out[i], errs[i] = t.people[x.person].ballot(p, x.person, x.option, x.seq)
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, r := range out {
		t.says[r.ID()] = list[i].option
	}
	return out, nil
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
