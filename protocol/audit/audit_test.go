package audit_test

import (
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/audit"
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
