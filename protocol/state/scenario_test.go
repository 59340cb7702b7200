package state_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestScenarios plays testdata/*.txt, whose language testdata/README.md tells.
// Each is played with several claimed times, and so with other ids: what a
// scenario expects may not hang on the order of ids.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for salt := range int64(4) {
				p := &play{t: t, c: statetest.Charter(t), salt: salt, drawn: draw(), verdicts: map[protocol.ID]protocol.Verdict{}, heirs: map[roll.Heir]string{}}
				for i, line := range strings.Split(string(text), "\n") {
					p.at = fmt.Sprintf("%s:%d: %s (salt %d)", file, i+1, line, salt)
					line, _, _ = strings.Cut(line, "#")
					if words := strings.Fields(line); len(words) > 0 {
						p.line(words)
					}
				}
			}
		})
	}
}

// A play is one scenario under way.
type play struct {
	t    *testing.T
	at   string // the line being played
	salt int64
	c    charter.Charter
	w    *statetest.World
	s    *state.State // final
	view *state.State // what expectations look at
	drawn
	verdicts map[protocol.ID]protocol.Verdict
	heirs    map[roll.Heir]string // by what they are called
}

// drawn are the records of a scenario, and what of them a node holds.
type drawn struct {
	labels map[string]*protocol.Record
	open   []*protocol.Record // not covered
	held   shelf
}

func draw() drawn {
	return drawn{labels: map[string]*protocol.Record{}, held: shelf{records: map[protocol.ID]protocol.Header{}, checkpoints: map[uint64]protocol.ID{}}}
}

func (p *play) fail(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s\n\t%s", p.at, fmt.Sprintf(format, args...))
}

func (p *play) line(words []string) {
	switch label, ok := strings.CutSuffix(words[0], ":"); {
	case ok && strings.Contains(label, ".."):
		for _, l := range p.labelled([]string{label}) {
			p.add(l, words[1], words[2], words[3:])
		}
	case ok && strings.Contains(words[1], ","): // one record each of several people
		for by := range strings.SplitSeq(words[1], ",") {
			p.add(label+"."+by, by, words[2], words[3:])
		}
	case ok:
		p.add(label, words[1], words[2], words[3:])
	case words[0] == "charter":
		for _, w := range words[1:] {
			p.parameter(&p.c, w)
		}
	case words[0] == "founders":
		p.found(words[1:])
	case words[0] == "checkpoint":
		p.checkpoint(p.seconds(words[1]), p.named(words[2:]))
	case words[0] == "view":
		p.view = p.advance(state.Step{Records: p.named(words[1:]), Provisional: true})
	case words[0] == "receive":
		for _, l := range p.labelled(words[1 : len(words)-1]) {
			p.receive(p.record(l), words[len(words)-1])
		}
	case words[0] == "inherit":
		p.w.Inherit(words[1], words[2])
	case words[0] == "expect":
		p.expect(words[1], words[2:])
	default:
		p.fail("no such statement")
	}
}

func (p *play) add(label, by, verb string, args []string) {
	p.labels[label] = p.draw(label, by, verb, args)
	p.open = append(p.open, p.labels[label])
}

func (p *play) found(names []string) {
	p.w = statetest.New(p.t, p.c, names...)
	p.w.Time += p.salt
	s, err := state.Begin(p.w.Genesis)
	if err != nil {
		p.fail("%v", err)
	}
	p.s = s
	p.checkpoint(statetest.Start, p.w.Founding(names...))
}

// named are the records with these labels, all uncovered ones if none is named.
func (p *play) named(labels []string) (list []*protocol.Record) {
	for _, l := range p.labelled(labels) {
		list = append(list, p.record(l))
	}
	if len(labels) == 0 {
		return p.open
	}
	return list
}

// labelled are labels with ranges, "q1..q9", written out.
func (p *play) labelled(words []string) (labels []string) {
	for _, w := range words {
		first, last, ranged := strings.Cut(w, "..")
		if !ranged {
			labels = append(labels, w)
			continue
		}
		name := strings.TrimRight(first, "0123456789")
		from, _ := strconv.Atoi(first[len(name):])
		to, err := strconv.Atoi(strings.TrimPrefix(last, name))
		if err != nil || from > to {
			p.fail("no range of labels: %s", w)
		}
		for i := from; i <= to; i++ {
			labels = append(labels, name+strconv.Itoa(i))
		}
	}
	return labels
}

// receive gives a record to a node that holds what is covered and what it kept
// before.
func (p *play) receive(r *protocol.Record, want string) {
	err, got := p.s.Receive(r, p.held), "refused"
	var missing *state.Missing
	switch {
	case err == nil:
		got = "kept"
		p.held.records[r.ID()] = r.Header()
	case errors.As(err, &missing):
		got = "waits"
	}
	if got != want {
		p.fail("%s: %v", got, err)
	}
}

func (p *play) record(label string) *protocol.Record {
	if p.labels[label] == nil {
		p.fail("nothing is called %s", label)
	}
	return p.labels[label]
}

// seconds reads "+36h" as a checkpoint time, counted from the genesis.
func (p *play) seconds(word string) int64 {
	d, err := time.ParseDuration(strings.TrimPrefix(word, "+"))
	if err != nil {
		p.fail("%v", err)
	}
	return statetest.Start + int64(d.Seconds())
}

func (p *play) checkpoint(asOf int64, records []*protocol.Record) {
	records = slices.Clone(records)
	p.s = p.advance(state.Step{Records: records, AsOf: asOf})
	p.view = p.s
	p.open = slices.DeleteFunc(slices.Clone(p.open), func(r *protocol.Record) bool { return slices.Contains(records, r) })
	ref := protocol.Ref{Height: p.s.Height(), ID: protocol.Sum(binary(p.s.Height()))}
	p.w.Cover(ref, records...)
	p.held.checkpoints[ref.Height] = ref.ID
	for _, r := range records {
		p.held.records[r.ID()] = r.Header()
	}
}

func binary(n uint64) []byte { return []byte(strconv.FormatUint(n, 10)) }

// advance advances over the records in many orders, with copies, and requires
// that all give one state and one verdict on each record.
func (p *play) advance(step state.Step) *state.State {
	next, verdicts := p.s.Advance(step)
	want := byRecord(verdicts)
	if len(want) != len(step.Records) || len(verdicts) != len(want) {
		p.fail("%d verdicts on %d records", len(verdicts), len(step.Records))
	}
	rng := rand.New(rand.NewPCG(uint64(p.salt), 1))
	for range 20 {
		step.Records = append(slices.Clone(step.Records), step.Records[:len(step.Records)/2]...)
		rng.Shuffle(len(step.Records), func(i, j int) { step.Records[i], step.Records[j] = step.Records[j], step.Records[i] })
		again, verdicts := p.s.Advance(step)
		if again.Root() != next.Root() || !maps.Equal(byRecord(verdicts), want) {
			p.fail("another order gives another state: %v, not %v", verdicts, want)
		}
		step.Records = slices.CompactFunc(slices.SortedFunc(slices.Values(step.Records), byID), func(a, b *protocol.Record) bool { return a == b })
	}
	maps.Copy(p.verdicts, want)
	return next
}

func byID(a, b *protocol.Record) int { return a.ID().Compare(b.ID()) }

func byRecord(list []protocol.Verdict) map[protocol.ID]protocol.Verdict {
	m := map[protocol.ID]protocol.Verdict{}
	for _, v := range list {
		m[v.Record] = v
	}
	return m
}

func (p *play) expect(what string, args []string) {
	got := strings.Join(p.observe(what, len(args)), " ")
	if want := strings.Join(args, " "); got != want {
		p.fail("got %s", got)
	}
}

// observe says what is so of a name, in at most n words.
func (p *play) observe(what string, n int) (out []string) {
	defer func() {
		if what != "clerks" {
			out = out[:min(n, len(out))]
		}
	}()
	switch r := p.labels[what]; {
	case what == "clerks":
		for name := range strings.FieldsSeq(cast) {
			key := statetest.Key("device/" + name).Public()
			if slices.ContainsFunc(p.view.Roll().Clerks(), func(c roll.Clerkship) bool { return c.Key == key }) {
				out = append(out, name)
			}
		}
		return out
	case what == "due":
		at, ok := p.view.NextDeadline()
		if !ok {
			return []string{"never"}
		}
		return []string{at0(at)}
	case strings.HasPrefix(what, "debate:"):
		return p.debateWords(p.view.Decisions().Poll(p.record(what[len("debate:"):]).ID()))
	case strings.HasPrefix(what, "recovery:"):
		return p.recoveryWords(p.view.Roll().Member(p.w.Persona(what[len("recovery:"):])).Keys.Recovery)
	case what == "charter":
		return []string{"suspend=" + strings.TrimSuffix((time.Duration(p.view.Charter().Suspend)*time.Second).String(), "0m0s")}
	case what == "size":
		return []string{strconv.FormatUint(p.view.Roll().Size(), 10)}
	case strings.HasPrefix(what, "moved:"):
		return p.moved(p.view.Roll().Member(p.w.Persona(strings.TrimPrefix(what, "moved:"))))
	case r == nil && strings.Contains(what, "/"):
		if d := p.view.Roll().Device(statetest.Key("device/" + what).Public()); d.Live(p.view.AsOf()) {
			return []string{"live"}
		}
		return []string{"dead"}
	case r == nil:
		m := p.view.Roll().Member(p.w.Persona(what))
		if m == nil {
			return []string{"unknown"}
		}
		return slices.Concat([]string{m.Standing().String()}, m.OfficeNames(), []string{"-"})
	}
	if poll := p.view.Decisions().Poll(p.labels[what].ID()); poll != nil && n != 2 {
		return p.pollWords(poll)
	}
	v := p.verdicts[p.labels[what].ID()]
	return []string{map[bool]string{true: "stands", false: "void"}[v.Stands], string(v.Rule)}
}

// moved is where somebody went: the persona there, the height, and whether with
// a share. The words of the scenario for fork and persona are dune and dana2.
func (p *play) moved(m *roll.Member) []string {
	if m.Moved == nil {
		return []string{"nowhere"}
	}
	for _, fork := range []string{"dune", "mesa"} {
		for _, persona := range []string{"dana2", "eve2"} {
			if p.elsewhere(fork) == m.Moved.Metastate && p.elsewhere(persona) == m.Moved.Persona {
				share := map[bool]string{true: "share", false: "-"}[m.Moved.Share]
				return []string{fork, persona, strconv.FormatUint(m.Moved.Height, 10), share}
			}
		}
	}
	return []string{"elsewhere"}
}

const cast = "alice bob carol dana eve frank"

// at0 writes a time as scenarios do, counted from the genesis.
func at0(at int64) string {
	return "+" + strings.TrimSuffix((time.Duration(at-statetest.Start)*time.Second).String(), "0m0s")
}

// recoveryWords are the heir that runs and when it would take over, were there
// no gap between checkpoints; then who wants which.
func (p *play) recoveryWords(r *roll.Recovery) (out []string) {
	if r == nil {
		return []string{"none"}
	}
	out = []string{"-"}
	if r.Run != nil {
		out = []string{p.heirs[r.Run.Heir], at0(p.view.AsOf() + r.Run.Due - p.view.Roll().Clock())}
	}
	for name := range strings.FieldsSeq(cast) {
		for _, x := range r.Supports {
			if p.w.Knows(name) && p.w.Persona(name) == x.By {
				out = append(out, name+"="+p.heirs[x.Heir])
			}
		}
	}
	return out
}

// pollWords are a poll's phase, its tally, and how many could vote and were
// refused.
func (p *play) pollWords(poll *decision.Poll) []string {
	tally, err := p.view.Decisions().Tally(poll.Proposal, p.view.Charter(), p.view.Roll())
	if err != nil {
		p.fail("%v", err)
	}
	out := []string{string(poll.Phase)}
	for _, o := range tally.Votes {
		out = append(out, fmt.Sprintf("%s=%d", o.Name, o.N))
	}
	return append(out, fmt.Sprintf("of=%d", poll.Electorate), fmt.Sprintf("refused=%d", poll.Refused))
}
