package state_test

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// TestSuspensionsRefused: a suspension names somebody on the roll, gives a
// reason, and says no more.
func TestSuspensionsRefused(t *testing.T) {
	c := newCrowd(t)
	suspend := func(body any) *protocol.Record {
		return c.w.Record("alice", protocol.Suspend, body, statetest.How{})
	}
	dana := c.w.Persona("dana")
	c.rules(t, map[*protocol.Record]protocol.Rule{
		suspend(roll.RestrictBody{Persona: dana}):                                 roll.RuleMalformed,
		suspend(map[string]any{"persona": dana, "reason": "harm", "zzzzzzzz": 1}): roll.RuleMalformed,
		suspend(roll.RestrictBody{Persona: protocol.ID{1}, Reason: "harm"}):       roll.RulePower,
	}, false)
	c.rules(t, map[*protocol.Record]protocol.Rule{suspend(roll.RestrictBody{Persona: dana, Reason: "harm"}): roll.RuleSuspend}, true)
}

// TestAppointmentsRefused: an appointment names an office of the charter and
// members, in order, and says no more; only a founder who is the only clerk
// makes one alone.
func TestAppointmentsRefused(t *testing.T) {
	w := statetest.New(t, statetest.Charter(t), "alice")
	c := &crowd{w: w}
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c.s = s
	c.made = w.Founding("alice")
	c.cover()
	door := w.Invite("alice", "door", 2, c.s.AsOf()+1e6, statetest.How{})
	after := statetest.How{After: []*protocol.Record{door}}
	c.made = []*protocol.Record{door, w.Admit("alice", "dana", "door", door.ID(), after), w.Admit("alice", "eve", "door", door.ID(), after)}
	c.cover()
	dana, eve := w.Persona("dana"), w.Persona("eve")
	appoint := func(by string, body any) *protocol.Record {
		return w.Record(by, protocol.Appoint, body, statetest.How{})
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		appoint("alice", roll.AppointBody{Office: roll.Registrar}):                                                  roll.RuleMalformed,
		appoint("alice", roll.AppointBody{Office: roll.Registrar, Personas: []protocol.ID{dana, dana}}):             roll.RuleMalformed,
		appoint("alice", map[string]any{"office": roll.Registrar, "personas": []protocol.ID{dana}, "zzzzzzzzz": 1}): roll.RuleMalformed,
		appoint("alice", roll.AppointBody{Office: "king", Personas: []protocol.ID{dana}}):                           roll.RulePower,
		appoint("alice", roll.AppointBody{Office: roll.Registrar, Personas: []protocol.ID{{1}}}):                    roll.RulePower,
	}, false)
	c.rules(t, map[*protocol.Record]protocol.Rule{
		appoint("dana", roll.AppointBody{Office: roll.Registrar, Personas: []protocol.ID{dana}}): roll.RuleMotion,
	}, true) // waits for more than half of the roll
	charter := statetest.Charter(t)
	office, _ := charter.Office(roll.Clerk)
	if office.Seats < 2 {
		t.Fatalf("%d seats for clerks", office.Seats)
	}
	c.made = []*protocol.Record{appoint("alice", roll.AppointBody{Office: roll.Clerk, Personas: []protocol.ID{dana}})}
	c.cover()
	c.rules(t, map[*protocol.Record]protocol.Rule{
		appoint("alice", roll.AppointBody{Office: roll.Registrar, Personas: []protocol.ID{eve}}): roll.RuleMotion,
	}, true) // not the only clerk
	c.made = []*protocol.Record{w.Record("alice", protocol.Leave, roll.LeaveBody{}, statetest.How{})}
	c.cover()
	if got := c.s.Roll().Member(dana).Rank(); got != roll.RankClerk {
		t.Fatalf("dana's rank is %d", got)
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{
		appoint("dana", roll.AppointBody{Office: roll.Registrar, Personas: []protocol.ID{eve}}): roll.RuleMotion,
	}, true) // the only clerk, and no founder
}

// TestAppointedTwice: who holds an office is not given it again, and the seats
// of one office are none of another's.
func TestAppointedTwice(t *testing.T) {
	charter := statetest.Charter(t)
	for i := range charter.Offices {
		charter.Offices[i].Seats = 1
	}
	c := &crowd{w: statetest.New(t, charter, "alice")}
	s, err := state.Begin(c.w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	c.s = s
	c.made = c.w.Founding("alice")
	c.cover()
	for range 2 {
		r := c.w.Record("alice", protocol.Appoint, roll.AppointBody{Office: roll.Registrar, Personas: []protocol.ID{c.w.Persona("alice")}}, statetest.How{})
		next := c.rules(t, map[*protocol.Record]protocol.Rule{r: roll.RuleAppoint}, true)
		if m := next.Roll().Member(c.w.Persona("alice")); len(m.Offices()) != 2 || !m.Holds(roll.Clerk) || !m.Holds(roll.Registrar) {
			t.Errorf("holds %v", m.Offices())
		}
		c.made = []*protocol.Record{r}
		c.cover()
	}
}

// TestStrangersAct: what a device signs that the roll does not know has no
// effect, whatever it says.
func TestStrangersAct(t *testing.T) {
	c := newCrowd(t)
	c.w.Newcomer("frank", "door") // drawn, and never admitted
	for kind, body := range map[protocol.Kind]any{
		protocol.Leave:        roll.LeaveBody{},
		protocol.Suspend:      roll.RestrictBody{Persona: c.w.Persona("dana"), Reason: "harm"},
		protocol.Invite:       roll.InviteBody{Key: statetest.Key("invite/f").Public(), Uses: 1, Expires: c.s.AsOf() + 1000},
		protocol.InviteRevoke: roll.InviteRevokeBody{Invite: c.invites[0]},
		protocol.Admit:        roll.AdmitBody{Persona: c.w.Persona("dana")},
		protocol.Appoint:      roll.AppointBody{Office: roll.Clerk, Personas: []protocol.ID{c.w.Persona("dana")}},
		protocol.Propose:      decision.ProposeBody{Title: "x", Method: "yes-no", Class: "ordinary", Voting: 1e6},
	} {
		c.rules(t, map[*protocol.Record]protocol.Rule{c.w.Record("frank", kind, body, statetest.How{}): roll.RulePower}, false)
	}
	c.rules(t, map[*protocol.Record]protocol.Rule{c.w.Grant("frank", "frank/2", statetest.How{}): roll.RulePower}, false)
	c.rules(t, map[*protocol.Record]protocol.Rule{c.w.Ballot("frank", c.poll, "yes", statetest.How{}): decision.RulePower}, false)
}
