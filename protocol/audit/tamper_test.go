package audit_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// named requires that an audit fails, and names what is at fault.
func named(t *testing.T, what string, file []byte, id protocol.ID) audit.Report {
	t.Helper()
	r, err := run(t, file, id)
	if errors.Is(err, bundle.ErrNotCAR) || errors.Is(err, bundle.ErrNotBundle) {
		return r // its beginning is at fault
	}
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	f := r.Fault()
	if f == nil {
		t.Fatalf("%s: it passes", what)
	}
	if f.Detail == "" || f.Record.IsZero() && f.Offset == nil {
		t.Fatalf("%s: the step %s names nothing: %q", what, f.Name, f.Detail)
	}
	return r
}

// Every changed byte of a file, wherever it is, fails and is named.
func TestEachByte(t *testing.T) {
	open, ofOpen := openVote(t)
	hidden, ofHidden, _ := secretVote(t)
	for _, x := range []struct {
		file   []byte
		id     protocol.ID
		stride int
	}{{open.bundle(), ofOpen, 13}, {hidden.bundle(), ofHidden, 211}} {
		stride := x.stride
		if testing.Short() {
			stride *= 10
		}
		for at := 0; at < len(x.file); at += stride {
			file := bytes.Clone(x.file)
			file[at] ^= 1 << (at % 8)
			named(t, "a changed byte", file, x.id)
		}
		for at := stride; at < len(x.file); at += 20 * stride {
			named(t, "a file cut short", x.file[:at], x.id)
		}
	}
}

// As no medium does it, but a forger: a byte of a record or a certificate is
// changed, and the file made sound again around it.
func TestEachPart(t *testing.T) {
	town, id := openVote(t)
	certs, records := town.parts()
	for _, list := range [][][]byte{certs, records} {
		for i := range list {
			whole := list[i]
			for at := i % 23; at < len(whole); at += 23 {
				list[i] = bytes.Clone(whole)
				list[i][at] ^= 1 << (at % 8)
				file, err := pack(town.w.Genesis.ID(), certs, records)
				if err != nil {
					continue // there is no such record
				}
				named(t, "a changed part", file, id)
			}
			list[i] = whole
		}
	}
}

// A ballot that is left out, or swapped for another of the same voter, is named.
func TestBallotLeftOut(t *testing.T) {
	town, id, _ := secretVote(t)
	certs, records := town.parts()
	for i, r := range town.records {
		if r.Kind() != protocol.Ballot {
			continue
		}
		file, err := pack(town.w.Genesis.ID(), certs, slices.Delete(slices.Clone(records), i, i+1))
		if err != nil {
			t.Fatal(err)
		}
		rep := named(t, "a ballot left out", file, id)
		for _, s := range rep.Steps {
			if (s.Name == audit.History || s.Name == audit.Ballots) && (s.Pass || s.Record != r.ID()) {
				t.Errorf("%s does not name ballot %s: %+v", s.Name, r.ID(), s)
			}
		}
	}
	// One more that no checkpoint covers changes nothing, and is told.
	late := town.w.Bulk("dana", protocol.Ballot, id, decision.BallotBody{Ballot: []byte{1}}, statetest.How{})
	file, err := pack(town.w.Genesis.ID(), certs, append(slices.Clone(records), late.Inner()))
	if err != nil {
		t.Fatal(err)
	}
	if r := must(t, file, id); !r.Pass() || !strings.Contains(r.Steps[3].Detail, "covered by no checkpoint: 1") {
		t.Errorf("%v %s", r.Pass(), r.Steps[3].Detail)
	}
	// Records in another order are the same history.
	mixed := slices.Clone(records)
	slices.Reverse(mixed)
	if file, err = pack(town.w.Genesis.ID(), certs, mixed); err != nil {
		t.Fatal(err)
	}
	if r := must(t, file, id); !r.Pass() {
		t.Error("another order of records does not pass")
	}
}

// resign changes what the checkpoint says that closes the vote, and has its
// quorum sign that. The history ends there.
func (t *town) resign(id protocol.ID, change func(v *certificate.Value, c *certificate.Closing)) []byte {
	t.Helper()
	certs, records := t.parts()
	for i, c := range t.certs {
		v, err := certificate.ParseValue(mustParse(t, c.cert).Value)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(v.Closings, func(x certificate.Closing) bool { return x.Poll == id })
		if at < 0 {
			continue
		}
		change(&v, &v.Closings[at])
		b, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		was := t.certs[i].cert
		t.certs[i].cert = t.certify(c.clerks, b)
		again, _ := t.parts()
		t.certs[i].cert = was
		certs = append(certs[:i:i], again[i])
		break
	}
	file, err := pack(t.w.Genesis.ID(), certs, records)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func mustParse(tb testing.TB, b []byte) certificate.Certificate {
	tb.Helper()
	c, err := certificate.ParseCertificate(b)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// A quorum that signs another closing than its records make is found out, at the
// step that it lies about.
func TestClosingLies(t *testing.T) {
	open, ofOpen := openVote(t)
	hidden, ofHidden, _ := secretVote(t)
	for _, x := range []struct {
		what   string
		town   *town
		id     protocol.ID
		step   string
		change func(*certificate.Value, *certificate.Closing)
	}{
		{"another result", open, ofOpen, audit.Result, func(_ *certificate.Value, c *certificate.Closing) { c.Result[0] ^= 1 }},
		{"other ballots", open, ofOpen, audit.Seal, func(_ *certificate.Value, c *certificate.Closing) { c.Digest[0] ^= 1 }},
		{"more ballots", open, ofOpen, audit.Seal, func(_ *certificate.Value, c *certificate.Closing) { c.Count++ }},
		{"no closing", open, ofOpen, audit.History, func(v *certificate.Value, _ *certificate.Closing) { v.Closings = nil }},
		{"another state", open, ofOpen, audit.History, func(v *certificate.Value, _ *certificate.Closing) { v.StateRoot[0] ^= 1 }},
		{"another time", open, ofOpen, audit.History, func(v *certificate.Value, _ *certificate.Closing) { v.AsOf++ }},
		{"another sum", hidden, ofHidden, audit.Seal, func(_ *certificate.Value, c *certificate.Closing) { c.Result[0] ^= 1 }},
		{"other sealed ballots", hidden, ofHidden, audit.Seal, func(_ *certificate.Value, c *certificate.Closing) { c.Digest[0] ^= 1 }},
	} {
		r := named(t, x.what, x.town.resign(x.id, x.change), x.id)
		if f := r.Fault(); f.Name != x.step || f.Record.IsZero() {
			show(t, r)
			t.Errorf("%s fails at %s, not at %s", x.what, f.Name, x.step)
		}
		if x.what == "another sum" && r.Steps[5].Pass {
			t.Error("the sum from nothing is that of a closing that lies")
		}
	}
}

// A certificate counts only with a quorum of the clerks in force.
func TestStrangersSign(t *testing.T) {
	town, id := openVote(t)
	last := &town.certs[len(town.certs)-2]
	thief := statetest.Key("thief")
	town.keys[thief.Public()] = thief
	last.cert = town.certify([]certificate.Clerk{{Key: thief.Public()}}, mustParse(t, last.cert).Value)
	r := named(t, "a stranger signs", town.bundle(), id)
	if f := r.Fault(); f.Name != audit.History || f.Record != mustParse(t, last.cert).ID() {
		t.Errorf("%+v", f)
	}
	if last := r.Steps[len(r.Steps)-1]; last.Pass || !strings.Contains(last.Detail, "Not checked") {
		t.Errorf("what no quorum signed has a result: %+v", last)
	}
}

// A checkpoint that is left out is named by the one after it; at the end a history
// may break off.
func TestCheckpointLeftOut(t *testing.T) {
	town, id := openVote(t)
	_, records := town.parts()
	for i := range town.certs {
		certs, _ := town.parts()
		certs[i] = nil
		file, err := pack(town.w.Genesis.ID(), certs, records)
		if err != nil {
			t.Fatal(err)
		}
		if i == len(certs)-1 {
			if r := must(t, file, id); !r.Pass() || r.Checkpoint.Height != uint64(i) {
				t.Error("a history that ends earlier does not pass")
			}
			continue
		}
		r := named(t, "a checkpoint left out", file, id)
		if want := mustParse(t, town.certs[i].cert).ID(); r.Fault().Record != want {
			t.Errorf("checkpoint %d: %+v", i+1, r.Fault())
		}
	}
}

// A complaint strikes a bad deal out, and the audit finds so from the messages; an
// absent trustee is no fault.
func TestComplaint(t *testing.T) {
	town := newTown(t)
	id := town.ask(bySealed)
	town.key(id, func(name string, body *decision.TrusteeBody) {
		if name != "bob" || body.Stage != committee.Deal {
			return
		}
		body.Message = bytes.Clone(body.Message)
		first := bytes.Index(body.Message, []byte("shares")) + len("shares") + 3
		for n := range 4 {
			if n+1 != town.committee(id).Number(town.w.Persona("bob")) {
				body.Message[first+48*n+20] ^= 1 // in the box of another
				return
			}
		}
	})
	town.do(town.seal(id, "alice", 0, "red"), town.seal(id, "frank", 0, "red"))
	town.after(1000)
	town.trustees = []string{"carol", "dana", "eve"}
	town.open(id)
	r := must(t, town.bundle(), id)
	if !r.Pass() || !strings.Contains(r.Steps[2].Detail, "3 deals of 4") || !strings.Contains(r.Steps[2].Detail, "Struck out") {
		show(t, r)
		t.Error("it does not pass, or does not say whose deal was struck out")
	}
}

// With fewer ballots than are opened there are no shares, and the result says so.
func TestTooFew(t *testing.T) {
	town := newTown(t)
	id := town.ask(bySealed)
	town.key(id, nil)
	town.do(town.seal(id, "alice", 0, "red"))
	town.after(1000)
	r := must(t, town.bundle(), id)
	if !r.Pass() || strings.Join(names(r), " ") != "history roll keys ballots seal result" || r.Result.Outcome != "rejected" {
		show(t, r)
		t.Error(names(r))
	}
}

// What is not there to be audited is told apart from what fails.
func TestNothingToAudit(t *testing.T) {
	slow := statetest.Charter(t)
	for i := range slow.Classes {
		slow.Classes[i].Freeze = 100
	}
	town := newTownUnder(t, slow)
	id := town.ask(bySealed)
	town.key(id, nil)
	town.after(100)
	refuse := func(want error, words string, id protocol.ID) {
		t.Helper()
		if _, err := run(t, town.bundle(), id); !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	refuse(audit.ErrNoProposal, "", protocol.ID{1})
	refuse(audit.ErrNotOver, "voting", id)
	town.do(town.seal(id, "alice", 0, "red"), town.seal(id, "frank", 0, "red"))
	town.after(1000)
	refuse(audit.ErrNotOver, "trustees", id)
	gone := town.ask(decision.ProposeBody{Method: "yes-no", Voting: 10})
	town.do(town.w.Record("frank", protocol.Withdraw, decision.WithdrawBody{Proposal: gone}, statetest.How{}))
	refuse(audit.ErrNoVote, "", gone)
	src, err := bundle.NewReader(bytes.NewReader(town.bundle()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Run(src, audit.Config{Proposal: id, Metastate: protocol.ID{3}}); !errors.Is(err, audit.ErrMetastate) {
		t.Error(err)
	}
}

// The proposals of a history, with those that are over.
func TestList(t *testing.T) {
	town, id := openVote(t)
	other := town.ask(decision.ProposeBody{Method: "yes-no", Voting: 10_000})
	src, err := bundle.NewReader(bytes.NewReader(town.bundle()))
	if err != nil {
		t.Fatal(err)
	}
	list, err := audit.List(src)
	want := []audit.Listed{{Proposal: id, Title: "Where to?", Closed: true}, {Proposal: other, Title: "Where to?"}}
	if err != nil || !slices.Equal(list, want) {
		t.Errorf("%+v, %v", list, err)
	}
}

// Clerks can be recalled: whom the recall names signs from the checkpoint on that
// carries it out, and nobody else.
func TestRecalledClerk(t *testing.T) {
	town := newTown(t)
	carol := statetest.Key("device/carol")
	town.keys[carol.Public()] = carol
	act := town.w.Record("bob", protocol.Recall, roll.RecallBody{
		Office: roll.Clerk, Reason: "lies", Out: []protocol.ID{town.w.Persona("alice")},
		In: []roll.Clerkship{{Persona: town.w.Persona("carol"), Key: carol.Public()}},
	}, statetest.How{})
	list := []*protocol.Record{act}
	for _, name := range []string{"carol", "dana", "eve"} {
		list = append(list, town.w.Record(name, protocol.Endorse, roll.EndorseBody{Act: act.ID()}, statetest.How{After: []*protocol.Record{act}}))
	}
	before := town.tip.Clerks()
	next, err := town.tip.ProposeUnder(act.ID(), list, town.tip.State().AsOf()+1)
	if err != nil {
		t.Fatal(err)
	}
	town.records = append(town.records, list...)
	town.certs = append(town.certs, checkpointed{next.Value, town.certify(next.Signers(), next.Encoded), next.Chunks, next.Signers()})
	town.tip = next.Tip
	town.w.Cover(next.Tip.Ref(), list...)
	at := len(town.certs) - 1
	id := town.ask(decision.ProposeBody{Method: "yes-no", Voting: 1000})
	town.do(town.w.Ballot("dana", id, "yes", statetest.How{}))
	town.after(1000)
	if r := must(t, town.bundle(), id); !r.Pass() || r.Checkpoint != town.tip.Ref() {
		show(t, r)
		t.Error("after a recall it does not pass")
	}
	town.certs[at].cert = town.certify(before, next.Encoded)
	if r := named(t, "who was recalled signs", town.bundle(), id); r.Fault().Record != next.Tip.Ref().ID {
		t.Errorf("%+v", r.Fault())
	}
}
