package state_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A proposal that is revised to be secret is voted on in secret, and one that is
// revised to be open openly.
func TestSecretRevised(t *testing.T) {
	c := statetest.Charter(t)
	for i := range c.Classes {
		if c.Classes[i].Name == "ordinary" {
			c.Classes[i].Discussion = 100
		}
	}
	u := newUrnUnder(t, c)
	for _, secretly := range []bool{true, false} {
		body := decision.ProposeBody{Title: "q", Method: "plurality", Options: []string{"a", "b"}, Class: "ordinary", Voting: 1000}
		least := decision.SecretBody{Least: 1}
		if !secretly {
			body.Secret = least
		}
		r := u.w.Record("frank", protocol.Propose, body, statetest.How{})
		u.do(r)
		if body.Secret = (decision.SecretBody{}); secretly {
			body.Secret = least
		}
		u.do(u.w.Record("frank", protocol.Revise, decision.ReviseBody{Proposal: r.ID(), Body: body}, statetest.How{}))
		if secretly {
			u.key(r.ID())
		}
		u.after(100)
		p := u.poll(r.ID())
		if p.Phase != decision.Voting || p.IsSecret() != secretly || (p.Secret != nil) != secretly {
			t.Fatalf("revised to be secret: %t; it is in %s, and secret: %t", secretly, p.Phase, p.Secret != nil)
		}
		openly := u.w.Bulk("alice", protocol.Ballot, r.ID(), decision.BallotBody{Choice: "a", Version: p.Debate.Version}, statetest.How{})
		u.do(openly)
		if v := u.verdicts[openly.ID()]; v.Stands == secretly {
			t.Errorf("revised to be secret: %t; an open ballot: %+v", secretly, v)
		}
	}
}

// A vote whose trustees make no key ends without a vote, and no other waits for
// these trustees.
func TestSecretVoteWithoutKey(t *testing.T) {
	u := newUrn(t)
	u.false = true
	id := u.ask("yes-no", nil, 1000, nil)
	before := u.s.Roll().Member(u.w.Persona("frank")).Quota().Polls
	u.key(id)
	if p := u.poll(id); u.committee(id).Stage != committee.Failed || p.Phase != decision.Rejected || p.Because[len(p.Because)-1].Rule != decision.RuleNoKey {
		t.Fatalf("the committee is at %s, the vote in %s", u.committee(id).Stage, p.Phase)
	}
	if now := u.s.Roll().Member(u.w.Persona("frank")).Quota().Polls; now != before-1 {
		t.Errorf("its author has %d undecided proposals, and had %d", now, before)
	}
	r := u.w.Record("frank", protocol.Propose, u.poll(id).Body, statetest.How{})
	u.do(r)
	u.want(r, decision.RulePower)
}
