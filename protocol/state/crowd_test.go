package state_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A crowd is a metastate of four with an open poll, an invite, and people who
// write anything at all.
type crowd struct {
	w       *statetest.World
	s       *state.State
	poll    protocol.ID
	polls   []protocol.ID // that one, one that is discussed, one that is contested and a secret one
	invites []protocol.ID
	made    []*protocol.Record // since the last checkpoint
	acts    []protocol.ID      // that can be endorsed
	news    int
}

func newCrowd(t testing.TB) *crowd {
	rules := statetest.Charter(t)
	rules.Delegation.Cap, rules.Assist = 1, charter.Assist{Office: "clerk", Cap: 1}
	for i := range rules.Classes {
		switch rules.Classes[i].Name {
		case charter.ClassBudget:
			rules.Classes[i].Discussion, rules.Classes[i].Voting, rules.Classes[i].Contest = 1e6, 1, 0
		case charter.ClassElection:
			rules.Classes[i].Discussion, rules.Classes[i].Voting, rules.Classes[i].Contest = 0, 1, 1e6
		}
	}
	w := statetest.New(t, rules, "alice", "bob")
	c := &crowd{w: w}
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c.s = s
	c.made = w.Founding("alice", "bob")
	c.cover()
	i := w.Invite("alice", "door", 3, statetest.Start+1e6, statetest.How{})
	p := w.Propose("alice", "question", "ordinary", 1e6, statetest.How{})
	c.made = []*protocol.Record{
		i, p,
		w.Admit("alice", "dana", "door", i.ID(), statetest.How{After: []*protocol.Record{i}, Guard: w.Guardians("dana", 1, identity.MinGuardianDelay, "alice", "bob")}),
		w.Admit("bob", "eve", "door", i.ID(), statetest.How{After: []*protocol.Record{i}, Guard: w.Guardians("eve", 2, identity.MinGuardianDelay, "alice", "bob")}),
	}
	c.poll, c.invites = p.ID(), []protocol.ID{i.ID()}
	c.cover()
	// Guardians recover both: eve in an hour, dana in two.
	c.recover("alice", "eve", "heir")
	c.recover("bob", "eve", "heir")
	c.cover()
	c.recover("alice", "dana", "heir")
	discussed, contested := w.Propose("alice", "discussed", charter.ClassBudget, 3600, statetest.How{}), w.Propose("bob", "contested", charter.ClassElection, 3600, statetest.How{})
	var trustees []protocol.ID
	for _, name := range []string{"alice", "bob", "dana", "eve"} {
		trustees = append(trustees, w.Persona(name))
	}
	slices.SortFunc(trustees, protocol.ID.Compare)
	appoint := w.Record("alice", protocol.Appoint, roll.AppointBody{Office: "trustee", Personas: trustees}, statetest.How{})
	c.made = append(c.made, discussed, contested, appoint)
	for _, name := range []string{"bob", "dana"} {
		c.made = append(c.made, w.Record(name, protocol.Endorse, roll.EndorseBody{Act: appoint.ID()}, statetest.How{After: []*protocol.Record{appoint}}))
	}
	c.coverIn(3600)
	secretly := w.Record("alice", protocol.Propose, decision.ProposeBody{Title: "s", Method: "yes-no", Class: "ordinary", Voting: 3600, Secret: decision.SecretBody{Least: 1}}, statetest.How{})
	c.made = append(c.made, w.Ballot("alice", contested.ID(), "yes", statetest.How{}), w.Ballot("bob", contested.ID(), "yes", statetest.How{}), secretly)
	c.polls = []protocol.ID{p.ID(), discussed.ID(), contested.ID(), secretly.ID()}
	for _, gap := range []int64{86400, 86400, 79200} {
		c.coverIn(gap)
	}
	for i, want := range []decision.Phase{decision.Voting, decision.Discussion, decision.Contest, decision.Frozen} {
		if p := c.s.Decisions().Poll(c.polls[i]); p == nil || p.Phase != want {
			t.Fatalf("poll %d: %+v, not in %s", i, p, want)
		}
	}
	return c
}

// recover draws a guardian's word.
func (c *crowd) recover(by, of, heir string) {
	guardian, _, _ := strings.Cut(by, "/")
	body := roll.RecoverBody{Persona: c.w.Persona(of), Salt: statetest.Salt(of, guardian)}
	if heir != "" {
		h := statetest.Heir(heir)
		body.Key, body.Next = h.Key, h.Next
	}
	c.made = append(c.made, c.w.Record(by, protocol.Recover, body, statetest.How{}))
}

// cover makes everything since the last checkpoint final.
func (c *crowd) cover() { c.coverIn(3600) }

func (c *crowd) coverIn(gap int64) {
	c.s, _ = c.s.Advance(state.Step{Records: c.made, AsOf: c.s.AsOf() + gap})
	c.w.Cover(protocol.Ref{Height: c.s.Height(), ID: protocol.Sum(fmt.Append(nil, c.s.Height()))}, c.made...)
	c.made = nil
}

var kinds = []protocol.Kind{
	protocol.Grant, protocol.Invite, protocol.InviteRevoke, protocol.Admit, protocol.Leave, protocol.Suspend,
	protocol.Appoint, protocol.Propose, protocol.Ballot, protocol.Inception, protocol.Expel, protocol.Endorse,
	protocol.Recall, protocol.Resign, protocol.Serve, protocol.Rotate, protocol.Revoke, protocol.Recover, protocol.Claim, protocol.Anchor, "poetry",
	protocol.Revise, protocol.Withdraw, protocol.Support, protocol.Contest, protocol.Dissent, protocol.Delegate, protocol.Comment, protocol.Trustee, protocol.Open,
}

// fields are the names that bodies of any kind have.
var fields = []string{
	"key", "uses", "expires", "invite", "persona", "reason", "office", "personas", "title", "text", "method", "options",
	"class", "voting", "choice", "next", "nonce", "name", "guard", "dev", "exp", "x", "act", "cut", "in", "out", "spare", "salt",
	"proposal", "body", "to", "committee", "stage", "message", "share", "ballot", "for", "version", "suggest", "not",
}

// write draws a record that somebody might write: sense or nonsense, forked or
// not, under whatever name.
func (c *crowd) write(t *rapid.T) {
	how := statetest.How{Fork: rapid.IntRange(0, 4).Draw(t, "fork") == 0, Seq: rapid.Uint64Range(0, 2).Draw(t, "seq")}
	for range rapid.IntRange(0, 2).Draw(t, "parents") {
		if r := pick(t, c.made, nil); r != nil { // a ballot, too
			how.After = append(how.After, r)
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "impostor") == 0 {
		how.Persona = rapid.SampledFrom([]string{"alice", "dana"}).Draw(t, "as")
	}
	by := rapid.SampledFrom([]string{"alice", "alice/2", "bob", "dana", "dana/2", "eve"}).Draw(t, "by")
	target := c.w.Persona(rapid.SampledFrom([]string{"alice", "bob", "dana", "eve"}).Draw(t, "target"))
	act := rapid.IntRange(0, 30).Draw(t, "act")
	var r *protocol.Record
	switch act {
	case 0:
		r = c.w.Invite(by, fmt.Sprint("door", len(c.invites)%2), 2, c.s.AsOf()+1e6, how)
		c.invites = append(c.invites, r.ID())
	case 1:
		r = c.w.Record(by, protocol.InviteRevoke, roll.InviteRevokeBody{Invite: pick(t, c.invites, protocol.ID{})}, how)
	case 2, 3, 4:
		c.news++
		r = c.w.Admit(by, fmt.Sprint("new", c.news%3), rapid.SampledFrom([]string{"door", "door0", "door1"}).Draw(t, "door"), pick(t, c.invites, protocol.ID{}), how)
	case 5:
		r = c.w.Record(by, protocol.Admit, roll.AdmitBody{Persona: target}, how)
	case 6:
		r = c.w.Record(by, protocol.Leave, roll.LeaveBody{}, how)
	case 7:
		r = c.w.Record(by, protocol.Suspend, roll.RestrictBody{Persona: target, Reason: "harm"}, how)
	case 8:
		office := rapid.SampledFrom([]string{"clerk", "registrar", "king"}).Draw(t, "office")
		r = c.w.Record(by, protocol.Appoint, roll.AppointBody{Office: office, Personas: []protocol.ID{target}}, how)
	case 9:
		r = c.w.Propose(by, "question", "ordinary", 3600, how)
	case 10, 11:
		r = c.w.Ballot(by, c.poll, rapid.SampledFrom([]string{"yes", "no", "perhaps"}).Draw(t, "choice"), how)
	case 12:
		name := rapid.SampledFrom([]string{"alice", "bob", "dana"}).Draw(t, "of")
		r = c.w.Grant(name, rapid.SampledFrom([]string{"alice/2", "dana/2", "spare"}).Draw(t, "device"), how)
	case 13, 14, 15, 16:
		r = c.w.Record(by, protocol.Endorse, roll.EndorseBody{Act: pick(t, c.acts, protocol.ID{})}, how)
	case 17:
		body := roll.RestrictBody{Persona: target, Reason: "harm"}
		if last := pick(t, c.made, nil); last != nil {
			h := last.Header()
			body.Cut = []roll.Place{{Device: h.Key, Next: h.Seq + 1, Head: last.ID()}}
		}
		r = c.w.Record(by, protocol.Expel, body, how)
	case 18:
		r = c.office(t, by, target, how)
	case 20:
		c.campaign(t, by, target)
		return
	case 21:
		c.recover(by, rapid.SampledFrom([]string{"dana", "eve"}).Draw(t, "ward"), rapid.SampledFrom([]string{"", "heir", "other"}).Draw(t, "heir"))
		return
	case 19:
		r = c.key(t, how)
	case 23, 24, 25, 26, 27, 28:
		r = c.word(t, by, target, how)
	default:
		r = c.nonsense(t, by, how)
	}
	switch r.Kind() {
	case protocol.Expel, protocol.Suspend, protocol.Recall, protocol.Appoint:
		c.acts = append(c.acts, r.ID())
	}
	c.made = append(c.made, r)
}

// word draws what somebody says on a proposal besides a ballot of their own, or as
// a trustee.
func (c *crowd) word(t *rapid.T, by string, target protocol.ID, how statetest.How) *protocol.Record {
	on := rapid.SampledFrom(c.polls).Draw(t, "on")
	twice := rapid.Bool().Draw(t, "other way")
	switch rapid.IntRange(0, 8).Draw(t, "word") {
	case 0:
		body := decision.ProposeBody{Title: "other", Method: "yes-no", Class: charter.ClassBudget, Voting: 3600}
		if twice {
			body.Secret.Least = 1
		}
		return c.w.Record(by, protocol.Revise, decision.ReviseBody{Proposal: on, Body: body}, how)
	case 1:
		return c.w.Record(by, protocol.Withdraw, decision.WithdrawBody{Proposal: on}, how)
	case 2:
		return c.w.Record(by, protocol.Support, decision.SupportBody{Proposal: on, Not: twice}, how)
	case 3:
		return c.w.Record(by, protocol.Contest, decision.WordsBody{Proposal: on, Text: "no"}, how)
	case 4:
		return c.w.Record(by, protocol.Dissent, decision.WordsBody{Proposal: on, Text: "no"}, how)
	case 5:
		body := decision.DelegateBody{To: target}
		if twice {
			body.Proposal = on
		}
		return c.w.Record(by, protocol.Delegate, body, how)
	case 6:
		return c.w.Bulk(by, protocol.Ballot, c.poll, decision.BallotBody{Choice: "yes", For: target}, how)
	case 7:
		return c.w.Bulk(by, protocol.Comment, on, decision.CommentBody{Text: "well"}, how)
	}
	return c.trustee(t, by, how)
}

// trustee draws what a trustee says of the key: what is asked of them, or at
// another stage.
func (c *crowd) trustee(t *rapid.T, by string, how statetest.How) *protocol.Record {
	p := c.s.Decisions().Poll(c.polls[3])
	k := c.s.Decisions().Committee(p.Secret.Committee)
	name, _, _ := strings.Cut(by, "/")
	number := max(k.Number(c.w.Persona(name)), 1)
	seed := [32]byte{byte(number)}
	who, err := keygen.NewTrustee(k.Kind(), number, &seed)
	if err != nil {
		t.Fatal(err)
	}
	body := decision.TrusteeBody{Committee: k.ID, Stage: rapid.SampledFrom([]committee.Stage{k.Stage, k.Stage, committee.Deal, committee.Confirm}).Draw(t, "stage")}
	switch {
	case k.Stage == committee.Announce:
		body.Message = who.Announce().Bytes()
	case k.Stage == committee.Commit || k.Stage == committee.Deal:
		if d, err := who.Deal(k.Roster()); err == nil {
			if body.Message = d.Bytes(); body.Stage == committee.Commit {
				body.Message = d.Commitment().Bytes()
			}
		}
	}
	return c.w.Record(by, protocol.Trustee, body, how)
}

// campaign draws an expulsion and endorsements of it, which may be enough.
func (c *crowd) campaign(t *rapid.T, by string, target protocol.ID) {
	r := c.w.Record(by, protocol.Expel, roll.RestrictBody{Persona: target, Reason: "harm"}, statetest.How{})
	c.made, c.acts = append(c.made, r), append(c.acts, r.ID())
	for _, other := range []string{"alice", "bob", "dana", "eve"} {
		if rapid.IntRange(0, 3).Draw(t, "joins") > 0 {
			c.made = append(c.made, c.w.Record(other, protocol.Endorse, roll.EndorseBody{Act: r.ID()}, statetest.How{After: []*protocol.Record{r}}))
		}
	}
}

// office draws an act about an office.
func (c *crowd) office(t *rapid.T, by string, target protocol.ID, how statetest.How) *protocol.Record {
	switch rapid.IntRange(0, 2).Draw(t, "duty") {
	case 0:
		return c.w.Record(by, protocol.Resign, roll.ResignBody{Office: "clerk"}, how)
	case 1:
		return c.w.Record(by, protocol.Serve, roll.ServeBody{}, how)
	}
	name := rapid.SampledFrom([]string{"alice", "bob", "dana", "eve"}).Draw(t, "successor")
	return c.w.Record(by, protocol.Recall, roll.RecallBody{
		Office: "clerk", Reason: "harm", Out: []protocol.ID{target},
		In: []roll.Clerkship{{Persona: c.w.Persona(name), Key: statetest.Key("device/" + name).Public()}},
	}, how)
}

// key draws what a persona's key can sign besides grants.
func (c *crowd) key(t *rapid.T, how statetest.How) *protocol.Record {
	name := rapid.SampledFrom([]string{"alice", "bob", "dana", "eve"}).Draw(t, "of")
	if rapid.Bool().Draw(t, "rotate") {
		if rapid.Bool().Draw(t, "thief") {
			how.Persona = name
		}
		return c.w.Rotate(name, how)
	}
	cut := roll.Place{Device: statetest.Key("device/" + name).Public()}
	return c.w.Disown(name, roll.RevokeBody{Cut: cut}, how)
}

// nonsense draws a record of any kind with any body.
func (c *crowd) nonsense(t *rapid.T, by string, how statetest.How) *protocol.Record {
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	body := map[string]any{}
	for _, f := range rapid.SliceOfNDistinct(rapid.SampledFrom(fields), 0, 5, rapid.ID).Draw(t, "fields") {
		body[f] = value(t, 0)
	}
	switch kind {
	case protocol.Ballot, protocol.Comment:
		return c.w.Bulk(by, kind, rapid.SampledFrom(c.polls).Draw(t, "on"), body, how)
	case protocol.Admit:
		if rapid.Bool().Draw(t, "carrying") {
			how.Carried = append(how.Carried, c.w.Record(by, "poetry", body, statetest.How{}))
		}
	case protocol.Inception:
		key, founding := statetest.Key(by+"/nonsense"), statetest.Key("founding/alice")
		h := protocol.Header{Metastate: c.w.Genesis.ID(), Kind: kind, Key: key.Public(), Cosigners: []identity.PublicKey{founding.Public()}}
		r, err := protocol.Sign(h, body, nil, key, founding)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	return c.w.Record(by, kind, body, how)
}

// value draws anything that canonical DAG-CBOR can say.
func value(t *rapid.T, depth int) any {
	switch rapid.IntRange(0, 8-2*min(depth, 1)).Draw(t, "type") {
	case 0:
		return rapid.Uint64().Draw(t, "uint")
	case 1:
		return rapid.Int64().Draw(t, "int")
	case 2:
		return rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes")
	case 3:
		return rapid.String().Draw(t, "text")
	case 4:
		return rapid.Bool().Draw(t, "bool")
	case 5:
		return protocol.ID(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "link"))
	case 6:
		return statetest.Key(rapid.SampledFrom([]string{"device/alice", "x"}).Draw(t, "key")).Public()
	case 7:
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return value(t, depth+1) }), 0, 3).Draw(t, "list")
	}
	return map[string]any{rapid.SampledFrom(fields).Draw(t, "field"): value(t, depth+1)}
}

func pick[T any](t *rapid.T, list []T, none T) T {
	if len(list) == 0 {
		return none
	}
	return rapid.SampledFrom(list).Draw(t, "of those made")
}
