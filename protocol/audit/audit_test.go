package audit_test

import (
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

func names(r audit.Report) (out []string) {
	for _, s := range r.Steps {
		out = append(out, s.Name)
	}
	return out
}

func show(t *testing.T, r audit.Report) {
	t.Helper()
	for _, s := range r.Steps {
		t.Logf("%-9s %v %s %s", s.Name, s.Pass, s.Detail, s.Record)
	}
}

func TestOpenVote(t *testing.T) {
	town, id := openVote(t)
	r := must(t, town.bundle(), id)
	show(t, r)
	if !r.Pass() || r.Fault() != nil || strings.Join(names(r), " ") != "history roll ballots seal result" {
		t.Fatalf("it does not pass: %v", names(r))
	}
	if r.Result.ID() != town.poll(id).Result.ID() || r.Cast != 5 || r.Refused["ballot/choice"] != 1 || r.Checkpoint != town.tip.Ref() {
		t.Errorf("%+v", r)
	}
}

func TestSecretVote(t *testing.T) {
	town, id, liar := secretVote(t)
	r := must(t, town.bundle(), id)
	show(t, r)
	if !r.Pass() || strings.Join(names(r), " ") != "history roll keys ballots seal aggregate shares result" {
		t.Fatalf("it does not pass: %v", names(r))
	}
	shares := r.Steps[6].Detail
	if !strings.Contains(shares, liar.ID().String()) || !strings.Contains(shares, liar.Author().String()) {
		t.Errorf("who gave a wrong share is not named: %s", shares)
	}
	if r.Result.ID() != town.poll(id).Result.ID() || r.Refused["ballot/proof"] != 1 {
		t.Errorf("%+v", r)
	}
}

// Votes that members gave to others, and ballots that an officer cast for them,
// are counted anew as they were.
func TestGivenAndAssisted(t *testing.T) {
	c := statetest.Charter(t)
	c.Delegation.Cap, c.Assist.Office, c.Assist.Cap = 3, "registrar", 2
	town := newTownUnder(t, c)
	town.do(town.w.Record("alice", protocol.Appoint, roll.AppointBody{Office: "registrar", Personas: []protocol.ID{town.w.Persona("frank")}}, statetest.How{}))
	id := town.ask(decision.ProposeBody{Method: "yes-no", Voting: 1000})
	give := func(from, to string) *protocol.Record {
		return town.w.Record(from, protocol.Delegate, decision.DelegateBody{To: town.w.Persona(to)}, statetest.How{})
	}
	town.do(give("dana", "carol"), give("carol", "alice"), give("eve", "bob"))
	help := func(seq uint64, voter, choice string) *protocol.Record {
		return town.w.Bulk("frank", protocol.Ballot, id, decision.BallotBody{Choice: choice, For: town.w.Persona(voter)}, statetest.How{Seq: seq})
	}
	town.do(town.w.Ballot("alice", id, "no", statetest.How{}), help(0, "bob", "yes"), help(1, "eve", "yes"))
	town.do(town.w.Ballot("eve", id, "no", statetest.How{}))
	town.after(1000)
	town.do()
	want := town.poll(id).Result
	if want.Carried == 0 || want.Assisted == 0 {
		t.Fatalf("nothing is given, or nobody assisted: %+v", want)
	}
	r := must(t, town.bundle(), id)
	if !r.Pass() || r.Result.ID() != want.ID() || r.Result.Carried != want.Carried {
		show(t, r)
		t.Errorf("%+v", r.Result)
	}
}

// A vote that nobody took part in has a result, too.
func TestNobodyVotes(t *testing.T) {
	town := newTown(t)
	id := town.ask(decision.ProposeBody{Method: "approval", Options: []string{"a", "b"}, Voting: 1000})
	town.after(1000)
	r := must(t, town.bundle(), id)
	if !r.Pass() || r.Result.Outcome != "rejected" || r.Result.Counted != 0 {
		show(t, r)
		t.Errorf("%+v", r.Result)
	}
}
