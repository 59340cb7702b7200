package state_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// An urn is a metastate of six, four of whom are trustees, with the trustees'
// secrets.
type urn struct {
	*crowd
	t        *testing.T
	trustees []string // those who are there
	false    bool     // deals have no good share for the last of them
	verdicts map[protocol.ID]protocol.Verdict
}

func newUrn(t *testing.T) *urn { return newUrnUnder(t, statetest.Charter(t)) }

func newUrnUnder(t *testing.T, c charter.Charter) *urn {
	w := statetest.New(t, c, "alice")
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	u := &urn{crowd: &crowd{w: w, s: s}, t: t, verdicts: map[protocol.ID]protocol.Verdict{}, trustees: []string{"bob", "carol", "dana", "eve"}}
	u.do(w.Founding("alice")...)
	i := w.Invite("alice", "door", 9, statetest.Start+1e6, statetest.How{})
	u.do(i)
	var ids []protocol.ID
	for _, name := range []string{"bob", "carol", "dana", "eve", "frank"} {
		u.do(w.Admit("alice", name, "door", i.ID(), statetest.How{}))
		if name != "frank" {
			ids = append(ids, w.Persona(name))
		}
	}
	slices.SortFunc(ids, protocol.ID.Compare)
	u.do(w.Record("alice", protocol.Appoint, roll.AppointBody{Office: "trustee", Personas: ids}, statetest.How{}))
	return u
}

// do covers records a second later.
func (u *urn) do(list ...*protocol.Record) { u.after(1, list...) }

func (u *urn) after(seconds int64, list ...*protocol.Record) {
	u.t.Helper()
	next, verdicts := u.s.Advance(state.Step{Records: list, AsOf: max(u.s.AsOf(), statetest.Start) + seconds})
	u.s = next
	for _, v := range verdicts {
		u.verdicts[v.Record] = v
	}
	u.w.Cover(protocol.Ref{Height: u.s.Height(), ID: protocol.Sum(fmt.Append(nil, u.s.Height()))}, list...)
	u.again()
}

// again goes on with the state as it is restored of its leaves.
func (u *urn) again() {
	u.t.Helper()
	restored, err := state.Restore(leaves(u.crowd))
	if err != nil {
		u.t.Fatal(err)
	}
	if restored.Root() != u.s.Root() {
		u.t.Fatal("restored, it is another state")
	}
	for p := range u.s.Decisions().Polls() { // a sum that is kept, and one that is made of the ballots
		if (p.Phase == decision.Voting || p.Phase == decision.Closed) && p.Secret != nil && restored.Decisions().Poll(p.Proposal).Secret.Sum().Digest() != p.Secret.Sum().Digest() {
			u.t.Fatal("restored, the sum is another one")
		}
	}
	u.s = restored
}

func (u *urn) ask(method string, options []string, voting int64, change func(*decision.ProposeBody)) protocol.ID {
	u.t.Helper()
	body := decision.ProposeBody{Title: "q", Method: method, Options: options, Class: "ordinary", Voting: voting, Secret: decision.SecretBody{Least: 2}}
	if change != nil {
		change(&body)
	}
	r := u.w.Record("frank", protocol.Propose, body, statetest.How{})
	u.do(r)
	if v := u.verdicts[r.ID()]; !v.Stands {
		u.t.Fatal(v)
	}
	return r.ID()
}

func (u *urn) poll(id protocol.ID) *decision.Poll { return u.s.Decisions().Poll(id) }

func (u *urn) committee(id protocol.ID) *committee.Committee {
	return u.s.Decisions().Committee(u.poll(id).Secret.Committee)
}

func (u *urn) trustee(id protocol.ID, name string) *keygen.Trustee {
	u.t.Helper()
	seed := [32]byte([]byte(fmt.Sprintf("%-32s", name)))
	t, err := keygen.NewTrustee(u.committee(id).Kind(), u.committee(id).Number(u.w.Persona(name)), &seed)
	if err != nil {
		u.t.Fatal(err)
	}
	return t
}

// key has the trustees who are there make the key.
func (u *urn) key(id protocol.ID) {
	u.t.Helper()
	for range 12 {
		c := u.committee(id)
		if c.Stage == committee.Ready || c.Stage == committee.Failed {
			return
		}
		var list []*protocol.Record
		say := func(name string, stage committee.Stage, message []byte) {
			list = append(list, u.w.Record(name, protocol.Trustee, decision.TrusteeBody{Committee: c.ID, Stage: stage, Message: message}, statetest.How{}))
		}
		for _, name := range u.trustees {
			t := u.trustee(id, name)
			var message []byte
			switch c.Stage {
			case committee.Announce:
				message = t.Announce().Bytes()
			case committee.Commit, committee.Deal:
				d, err := t.Deal(c.Roster())
				if err != nil {
					u.t.Fatal(err)
				}
				if message = d.Bytes(); c.Stage == committee.Commit {
					message = d.Commitment().Bytes()
				} else if u.false {
					at := bytes.Index(message, []byte("shares")) + len("shares") + 3 + 3*48 + 20 // in the fourth box
					message[at] ^= 1
				}
			case committee.Confirm:
				for dealer := range c.Trustees {
					d := c.DealOf(dealer + 1)
					if d == nil {
						continue
					}
					if _, err := t.Receive(d); err == nil {
						continue
					}
					x, err := t.Complain(d)
					if err != nil {
						u.t.Fatal(err)
					}
					say(name, committee.Complain, x.Bytes())
				}
			}
			say(name, c.Stage, message)
		}
		u.do(list...)
		if u.committee(id).Stage == c.Stage { // who is away is not waited for
			at, ok := u.s.NextDeadline()
			if !ok {
				u.t.Fatal("nothing is due at " + c.Stage)
			}
			u.after(at - u.s.AsOf())
		}
	}
	u.t.Fatal("there is no key")
}

// cast makes a secret ballot.
func (u *urn) cast(id protocol.ID, by string, seq uint64, line string) *protocol.Record {
	u.t.Helper()
	p := u.poll(id)
	form, err := p.Form()
	if err != nil {
		u.t.Fatal(err)
	}
	marks, err := form.Parse(p.Options, line)
	if err != nil {
		u.t.Fatal(err)
	}
	seed := [32]byte{byte(seq), 7}
	body, _, err := p.Secret.Election().Encrypt(secret.Voter{ID: u.w.Persona(by), Seq: seq}, marks, &seed)
	if err != nil {
		u.t.Fatal(err)
	}
	return u.w.Bulk(by, protocol.Ballot, id, decision.BallotBody{Ballot: body}, statetest.How{Seq: seq})
}

func (u *urn) share(id protocol.ID, name string) []byte {
	u.t.Helper()
	p := u.poll(id)
	x, err := u.trustee(id, name).Share(u.committee(id).Keys())
	if err != nil {
		u.t.Fatal(err)
	}
	b, err := p.Secret.Election().Decrypt(x, p.Sealed(), &[32]byte{1})
	if err != nil {
		u.t.Fatal(err)
	}
	return b
}

func (u *urn) opens(id protocol.ID, name string, share []byte) *protocol.Record {
	body := decision.OpenBody{Proposal: id, Share: share}
	if share == nil {
		set := u.poll(id).Sealed().Set
		body.Set = set[:]
	}
	return u.w.Record(name, protocol.Open, body, statetest.How{})
}

func (u *urn) acknowledge(id protocol.ID) {
	for _, name := range u.trustees {
		u.do(u.opens(id, name, nil))
	}
}

func (u *urn) want(r *protocol.Record, rule protocol.Rule) {
	u.t.Helper()
	if v := u.verdicts[r.ID()]; v.Rule != rule {
		u.t.Errorf("%s: %+v, want %s", r.Kind(), v, rule)
	}
}

// votes are what a result says.
func votes(p *decision.Poll) (out []uint64) {
	for _, v := range p.Result.Votes {
		out = append(out, v.N)
	}
	return out
}

// A secret vote from its proposal to its result, each state restored of its leaves:
// revoting, what is refused, the seal, acknowledgements, shares that lie.
func TestSecretVote(t *testing.T) {
	u := newUrn(t)
	id := u.ask("plurality", []string{"red", "green", "blue"}, 1000, nil)
	if p := u.poll(id); p.Phase != decision.Frozen || p.Next != 0 {
		t.Fatalf("without a key it is in %s", p.Phase)
	}
	u.key(id)
	if u.poll(id).Phase != decision.Voting {
		t.Fatal("with the key it does not open")
	}
	u.do(u.cast(id, "alice", 0, "red"), u.cast(id, "bob", 0, "green"))
	again := u.cast(id, "alice", 1, "blue")
	stolen, _ := protocol.Body[decision.BallotBody](u.cast(id, "bob", 1, "green"))
	copied := u.w.Bulk("frank", protocol.Ballot, id, stolen, statetest.How{Seq: 1})
	open := u.w.Ballot("eve", id, "red", statetest.How{})
	both := u.w.Bulk("eve", protocol.Ballot, id, decision.BallotBody{Ballot: stolen.Ballot, Choice: "red"}, statetest.How{Seq: 1})
	u.do(again, copied, open, both)
	u.want(again, decision.RuleBallot)
	u.want(copied, decision.RuleProof)
	u.want(open, decision.RuleMalformed)
	u.want(both, decision.RuleMalformed)
	early := u.opens(id, "bob", nil)
	last := u.cast(id, "dana", 0, "blue")
	u.do(early, last)
	u.want(early, decision.RulePhase)
	late := u.cast(id, "carol", 0, "red")
	u.after(1000)
	if p := u.poll(id); p.Phase != decision.Closed || p.Result != nil || len(u.s.Decisions().JustClosed()) != 1 {
		t.Fatalf("after its deadline it is in %s", p.Phase)
	}
	u.do(late)
	u.want(late, decision.RuleNotOpen)

	// Shares only after enough have acknowledged this closing.
	soon := u.opens(id, "bob", u.share(id, "bob"))
	u.do(soon)
	u.want(soon, decision.RulePhase)
	a, b := u.opens(id, "bob", nil), u.opens(id, "carol", nil)
	u.do(a, b)
	u.want(a, decision.RuleAck)
	two := u.opens(id, "carol", u.share(id, "carol"))
	u.do(two)
	u.want(two, decision.RulePhase)
	stranger := u.opens(id, "frank", nil)
	u.do(u.opens(id, "dana", nil), stranger)
	u.want(stranger, decision.RulePower)
	lie := u.share(id, "eve")
	lie[3] ^= 1
	liar, first := u.opens(id, "eve", lie), u.opens(id, "bob", u.share(id, "bob"))
	u.do(liar, first)
	u.want(liar, decision.RuleBadShare)
	u.want(first, decision.RuleShare)
	if p := u.poll(id); p.Phase != decision.Closed || len(p.Secret.Wrong) != 1 || p.Secret.Wrong[0] != liar.ID() {
		t.Fatalf("with one share of two needed: %s, %+v", p.Phase, p.Secret.Wrong)
	}
	twice := u.opens(id, "bob", u.share(id, "bob"))
	u.do(twice)
	if u.poll(id).Phase != decision.Closed {
		t.Fatal("one trustee opens it alone")
	}
	u.do(u.opens(id, "carol", u.share(id, "carol")))
	p := u.poll(id)
	if p.Result == nil || !slices.Equal(votes(p), []uint64{0, 1, 2}) || !slices.Equal(p.Result.Winners, []string{"blue"}) || p.Result.Counted != 3 {
		t.Fatalf("%s, %+v", p.Phase, p.Result)
	}
	if p.Phase != decision.InForce || p.Refused != 3 {
		t.Errorf("it is in %s, %d refused", p.Phase, p.Refused)
	}
}

// The next vote of the same trustees needs no new key, and takes no ballot of
// another; whichever shares open it, the result is one.
func TestSecretVoteAgain(t *testing.T) {
	u := newUrn(t)
	first := u.ask("yes-no", nil, 1000, nil)
	u.key(first)
	ballot := u.cast(first, "alice", 0, "yes")
	second := u.ask("yes-no", nil, 1000, nil)
	if u.poll(second).Phase != decision.Voting || u.poll(second).Secret.Committee != u.poll(first).Secret.Committee {
		t.Fatal("another key is made")
	}
	body, _ := protocol.Body[decision.BallotBody](ballot)
	replayed := u.w.Bulk("alice", protocol.Ballot, second, body, statetest.How{})
	u.do(replayed, u.cast(second, "bob", 0, "yes"), u.cast(second, "carol", 0, "no"), u.cast(second, "dana", 0, "yes"))
	u.want(replayed, decision.RuleProof)
	u.after(1000)
	u.acknowledge(second)
	closed := u.s
	for _, pair := range [][]string{{"bob", "carol"}, {"dana", "eve"}, {"eve", "bob"}} {
		u.s = closed
		next, _ := u.s.Advance(state.Step{AsOf: u.s.AsOf() + 1, Records: []*protocol.Record{
			u.opens(second, pair[0], u.share(second, pair[0])), u.opens(second, pair[1], u.share(second, pair[1])),
		}})
		if r := next.Decisions().Poll(second).Result; r == nil || r.Votes[0].N != 2 || r.Votes[1].N != 1 || r.Outcome != count.Passed {
			t.Errorf("%v open %+v", pair, r)
		}
	}
}

// With f trustees away from beginning to end there is a result; with too few
// ballots there is none, and nobody opens them.
func TestSecretVoteAway(t *testing.T) {
	u := newUrn(t)
	u.trustees = []string{"bob", "carol", "eve"}
	id := u.ask("schulze", []string{"a", "b", "c"}, 1000, nil)
	u.key(id)
	u.do(u.cast(id, "alice", 0, "b>a=c"), u.cast(id, "frank", 0, "b"), u.cast(id, "dana", 0, "a>b>c"))
	u.after(1000)
	u.acknowledge(id)
	u.do(u.opens(id, "eve", u.share(id, "eve")), u.opens(id, "carol", u.share(id, "carol")))
	if r := u.poll(id).Result; r == nil || !slices.Equal(r.Winners, []string{"b"}) {
		t.Fatalf("%+v", r)
	}
	few := u.ask("approval", []string{"a", "b"}, 1000, nil)
	u.do(u.cast(few, "alice", 0, "a,b"))
	u.after(1000)
	if p := u.poll(few); p.Phase != decision.Rejected || p.Result == nil || votes(p)[0] != 0 {
		t.Fatalf("a single ballot: %s, %+v", p.Phase, p.Result)
	}
}

// A proposal is secret only by a method and with trustees that can be.
func TestSecretVoteRefused(t *testing.T) {
	u := newUrn(t)
	refused := func(what string, rule protocol.Rule, change func(*decision.ProposeBody)) {
		t.Helper()
		body := decision.ProposeBody{Title: "q", Method: "plurality", Options: []string{"a", "b"}, Class: "ordinary", Voting: 10, Secret: decision.SecretBody{Least: 1}}
		change(&body)
		r := u.w.Record("frank", protocol.Propose, body, statetest.How{})
		u.do(r)
		if v := u.verdicts[r.ID()]; v.Stands || v.Rule != rule {
			t.Errorf("%s: %+v", what, v)
		}
	}
	refused("a runoff", decision.RuleMalformed, func(b *decision.ProposeBody) { b.Method = "irv" })
	refused("transferable votes", decision.RuleMalformed, func(b *decision.ProposeBody) { b.Method = "scottish-stv" })
	refused("nine to rank", decision.RuleMalformed, func(b *decision.ProposeBody) {
		b.Method, b.Options = "schulze", []string{"a", "b", "c", "d", "e", "f", "g", "h", "i"}
	})
	u.do(u.w.Record("eve", protocol.Resign, roll.ResignBody{Office: "trustee"}, statetest.How{}))
	refused("three trustees", decision.RulePower, func(*decision.ProposeBody) {})
}

// What is found out of a ballot in time is the same as what the state finds.
func TestCheckedBeforehand(t *testing.T) {
	u := newUrn(t)
	id := u.ask("plurality", []string{"a", "b"}, 1000, nil)
	u.key(id)
	good := u.cast(id, "alice", 0, "a")
	bad := u.w.Bulk("bob", protocol.Ballot, id, decision.BallotBody{Ballot: bytes.Repeat([]byte{1}, 320)}, statetest.How{})
	for range 2 { // found out, then remembered
		if p := u.poll(id); !p.CheckBallot(good) || p.CheckBallot(bad) {
			t.Error("a ballot that holds does not, or one that does not does")
		}
	}
	u.do(good, bad)
	u.want(good, decision.RuleBallot)
	u.want(bad, decision.RuleProof)
}
