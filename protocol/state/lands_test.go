package state_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A land is a metastate whose checkpoints have values that clerks can sign.
type land struct {
	tb       testing.TB
	w        *statetest.World
	s        *state.State
	last     certificate.Value
	held     shelf
	verdicts map[protocol.ID]protocol.Verdict
}

func newLand(tb testing.TB, parent *abroad.Anchor, founders ...string) *land {
	c := statetest.Charter(tb)
	c.Admission.Policy, c.Admission.Registrars = charter.PolicyRegistrar, 1
	for i := range c.Offices {
		if c.Offices[i].Name == roll.Clerk {
			c.Offices[i].Seats = 13
		}
	}
	for i := range c.Classes { // a vote begins at once, and lasts for a checkpoint
		k := &c.Classes[i]
		k.Discussion, k.Freeze, k.Voting, k.Contest, k.Exit = 0, 0, 3600, 0, 0
	}
	l := &land{tb: tb, w: statetest.NewFork(tb, c, parent, founders...), verdicts: map[protocol.ID]protocol.Verdict{}}
	l.held = shelf{records: map[protocol.ID]protocol.Header{}, checkpoints: map[uint64]protocol.ID{}}
	s, err := state.Begin(l.w.Genesis)
	if err != nil {
		tb.Fatal(err)
	}
	l.s = s
	l.cover(l.w.Founding(founders...)...)
	return l
}

// cover makes a checkpoint an hour later. The records come in other orders too,
// with copies, which must make no difference.
func (l *land) cover(records ...*protocol.Record) {
	l.tb.Helper()
	step := state.Step{Records: slices.Clone(records), AsOf: l.s.AsOf() + 3600}
	next, verdicts := l.s.Advance(step)
	rng := rand.New(rand.NewPCG(uint64(len(records)), 1))
	for range 5 {
		step.Records = append(slices.Clone(records), records[:len(records)/2]...)
		rng.Shuffle(len(step.Records), func(i, j int) { step.Records[i], step.Records[j] = step.Records[j], step.Records[i] })
		if again, v := l.s.Advance(step); again.Root() != next.Root() || !maps.Equal(byRecord(v), byRecord(verdicts)) {
			l.tb.Fatalf("another order gives another state: %v, not %v", v, verdicts)
		}
	}
	l.s = next
	maps.Copy(l.verdicts, byRecord(verdicts))
	v := certificate.Value{
		Version: certificate.Version, Metastate: l.w.Genesis.ID(), Height: l.s.Height(), AsOf: l.s.AsOf(), StateRoot: l.s.Root(),
		Control: certificate.Control{Frontier: []protocol.ID{l.w.Genesis.ID()}, Count: l.s.Height()},
	}
	if v.Height > 1 {
		v.Prev = protocol.Sum(l.encoded(l.last))
	}
	for _, c := range l.s.Roll().Clerks() {
		v.Clerks = append(v.Clerks, certificate.Clerk(c))
	}
	l.last = v
	for _, r := range records {
		l.held.records[r.ID()] = r.Header()
	}
	l.held.checkpoints[v.Height] = protocol.Sum(l.encoded(v))
	l.w.Cover(protocol.Ref{Height: v.Height, ID: protocol.Sum(l.encoded(v))}, records...)
}

func (l *land) encoded(v certificate.Value) []byte {
	l.tb.Helper()
	b, err := v.Encode()
	if err != nil {
		l.tb.Fatal(err)
	}
	return b
}

// people brings members in, or leaves them pending.
func (l *land) people(standing roll.Standing, names ...string) {
	l.tb.Helper()
	by := "alice"
	if !l.w.Knows(by) {
		by = "dana"
	}
	label := fmt.Sprint("door", l.s.Height())
	i := l.w.Invite(by, label, 99, statetest.Start+1e6, statetest.How{})
	l.cover(i)
	var list []*protocol.Record
	for _, n := range names {
		list = append(list, l.w.Admit(by, n, label, i.ID(), statetest.How{}))
	}
	l.cover(list...)
	if standing == roll.Pending {
		return
	}
	list = nil
	for _, n := range names {
		list = append(list, l.w.Approve(by, n, statetest.How{}))
	}
	l.cover(list...)
}

// anchor is that of the last checkpoint.
func (l *land) anchor() *abroad.Anchor {
	l.tb.Helper()
	a, err := abroad.AnchorOf(l.encoded(l.last))
	if err != nil {
		l.tb.Fatal(err)
	}
	return &a
}

// certify has devices sign a value as the clerks of its height, who are those
// given.
func certify(tb testing.TB, v certificate.Value, clerks []certificate.Clerk, devices ...string) []byte {
	tb.Helper()
	value, err := v.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	c := certificate.Certificate{Value: value}
	s := protocol.Statement{Kind: protocol.AgreePrecommit, Height: v.Height, Value: protocol.Sum(value), ValidRound: -1, Era: v.Era()}
	for i, clerk := range clerks {
		for _, d := range devices {
			if key := statetest.Key("device/" + d); key.Public() == clerk.Key {
				c.Signatures = append(c.Signatures, certificate.Signature{Clerk: uint8(i), Sig: key.Sign(s.Bytes(v.Metastate))})
			}
		}
	}
	return c.Encode()
}

// leave has somebody leave to a fork, as whom they are there.
func (l *land) leave(name string, fork *land, as string, height uint64) *protocol.Record {
	l.tb.Helper()
	to := roll.Move{Metastate: fork.w.Genesis.ID(), Persona: fork.w.Persona(as), Height: height}
	return l.w.Record(name, protocol.Leave, roll.LeaveBody{To: &to}, statetest.How{})
}

// claim has somebody claim in l what persona has in the parent, by the parent's
// last checkpoint.
func (l *land) claim(by string, parent *land, persona string, certificate []byte) *protocol.Record {
	l.tb.Helper()
	id := parent.w.Persona(persona)
	return l.w.Record(by, protocol.Claim, abroad.ClaimBody{
		Persona: id, Certificate: certificate, Proof: parent.s.ProveMember(id),
	}, statetest.How{})
}

func (l *land) expect(r *protocol.Record, stands bool, rule protocol.Rule) {
	l.tb.Helper()
	if v := l.verdicts[r.ID()]; v.Stands != stands || v.Rule != rule {
		l.tb.Errorf("stands %t by %s, want %t by %s: %s", v.Stands, v.Rule, stands, rule, v.Text)
	}
}

func (l *land) standing(name string) roll.Standing {
	return l.s.Roll().Member(l.w.Persona(name)).Standing()
}

// decides has alice propose what the founders then vote for, until it is in force
// or rejected.
func (l *land) decides(body decision.ProposeBody) *protocol.Record {
	l.tb.Helper()
	body.Title, body.Method, body.Voting = "a pact", "yes-no", 3600
	r := l.w.Record("alice", protocol.Propose, body, statetest.How{})
	l.cover(r)
	var votes []*protocol.Record
	for _, by := range clerksOfP {
		if l.w.Knows(by) && l.verdicts[r.ID()].Stands {
			votes = append(votes, l.w.Ballot(by, r.ID(), "yes", statetest.How{}))
		}
	}
	l.cover(votes...)
	return r
}

// signers are the clerks that sign the last checkpoint. They don't change in
// the tests that ask.
func (l *land) signers() []certificate.Clerk { return l.last.Clerks }
