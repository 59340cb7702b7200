package state_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestFoundersInceptions: a founding key brings in nobody by an inception of
// another shape.
func TestFoundersInceptions(t *testing.T) {
	c := &crowd{w: statetest.New(t, statetest.Charter(t), "alice")}
	st, err := state.Begin(c.w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c.s = st
	founding := statetest.Key("founding/alice")
	s := newStranger(t, c)
	s.keys[founding.Public()] = founding
	next := identity.Commit(statetest.Key("n").Public())
	good := identity.Inception{Next: next}
	draw := func(body any, change func(*protocol.Header)) *protocol.Record {
		return s.inception(body, func(h *protocol.Header) {
			h.Cosigners = []identity.PublicKey{founding.Public()}
			change(h)
		})
	}
	same := func(*protocol.Header) {}
	two := func(h *protocol.Header) {
		for k := range s.keys {
			if protocol.ID(k).Compare(protocol.ID(founding.Public())) > 0 && k != h.Key {
				h.Cosigners = append(h.Cosigners, k)
				return
			}
		}
		t.Fatal("no key after the founding key")
	}
	for name, r := range map[string]*protocol.Record{
		"saying more": draw(map[string]any{"next": next, "nonce": identity.Nonce{}, "zzzzzzzz": 1}, same),
		"no next key": draw(identity.Inception{}, same),
		"by two":      draw(good, two),
		"by nobody":   draw(good, func(h *protocol.Header) { h.Cosigners = nil }),
		"in a chain":  draw(good, func(h *protocol.Header) { h.Seq, h.Prev = 1, c.w.Genesis.ID() }),
	} {
		t.Run(name, func(t *testing.T) {
			c.rules(t, map[*protocol.Record]protocol.Rule{r: roll.RuleMalformed}, false)
		})
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{draw(good, same): roll.RuleFounder}, true)
}

// TestGrantsRefused: a grant has its own shape, names its own persona and a
// device that nobody was granted, and comes from somebody who belongs.
func TestGrantsRefused(t *testing.T) {
	c := newCrowd(t)
	usual := c.w.Grant("dana", "dana/x", statetest.How{}).Header()
	keys := map[identity.PublicKey]identity.SigningKey{}
	for _, label := range []string{"persona/dana", "device/dana/x", "device/eve", "k1", "k2", "k3", "k4", "k5", "k6"} {
		k := statetest.Key(label)
		keys[k.Public()] = k
	}
	dev := statetest.Key("device/dana/x").Public()
	good := identity.Grant{Device: dev, Expires: c.s.AsOf() + 1e6}
	draw := func(body any, change func(*protocol.Header)) *protocol.Record {
		h := usual
		change(&h)
		signers := []identity.Signer{keys[h.Key]}
		for _, k := range h.Cosigners {
			signers = append(signers, keys[k])
		}
		r, err := protocol.Sign(h, body, nil, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	same := func(*protocol.Header) {}
	two := func(h *protocol.Header) {
		for k := range keys {
			if protocol.ID(k).Compare(protocol.ID(dev)) > 0 && k != h.Key {
				h.Cosigners = []identity.PublicKey{dev, k}
				return
			}
		}
		t.Fatal("no key after the device's")
	}
	taken := statetest.Key("device/eve").Public()
	for name, x := range map[string]struct {
		r    *protocol.Record
		rule protocol.Rule
	}{
		"saying more":       {draw(map[string]any{"dev": dev, "exp": c.s.AsOf() + 1000, "zzzzzzzz": 1}, same), roll.RuleMalformed},
		"that never begins": {draw(identity.Grant{Device: dev}, same), roll.RuleMalformed},
		"by two devices":    {draw(good, two), roll.RuleMalformed},
		"by no device":      {draw(good, func(h *protocol.Header) { h.Cosigners = nil }), roll.RuleMalformed},
		"for another":       {draw(good, func(h *protocol.Header) { h.Persona = c.w.Persona("eve") }), roll.RulePower},
		"of another's device": {
			draw(identity.Grant{Device: taken, Expires: good.Expires}, func(h *protocol.Header) { h.Cosigners = []identity.PublicKey{taken} }),
			roll.RulePower,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.rules(t, map[*protocol.Record]protocol.Rule{x.r: x.rule}, false)
		})
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{draw(good, same): roll.RuleGrant}, true)
	c.made = []*protocol.Record{c.w.Record("dana", protocol.Leave, roll.LeaveBody{}, statetest.How{})}
	c.cover()
	c.rules(t, map[*protocol.Record]protocol.Rule{draw(good, same): roll.RulePower}, false) // who has left
}
