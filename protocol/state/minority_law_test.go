package state_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A minority is a clerk and a member of five, who write what they like; the
// others, one of them a clerk, are the majority.
type minority struct {
	*crowd
	acts []protocol.ID
}

func newMinority(t testing.TB) *minority {
	ch := statetest.Charter(t)
	ch.Admission.Policy = charter.PolicyBallot // nobody brings in members alone
	w := statetest.New(t, ch, "mallory", "bob", "carol", "dana", "eve")
	s, err := state.Begin(w.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	m := &minority{crowd: &crowd{w: w, s: s}}
	m.made = w.Founding("mallory", "bob", "carol", "dana", "eve")
	m.cover()
	for _, by := range []string{"carol", "dana", "eve"} {
		m.made = append(m.made, w.Record(by, protocol.Resign, roll.ResignBody{Office: roll.Clerk}, statetest.How{}))
	}
	i := w.Invite("mallory", "door", 9, statetest.Start+1e6, statetest.How{})
	m.invites = []protocol.ID{i.ID()}
	m.made = append(m.made, i, w.Grant("mallory", "mallory/2", statetest.How{}))
	m.cover()
	return m
}

// strike draws what one of the minority does.
func (m *minority) strike(t *rapid.T) {
	by := rapid.SampledFrom([]string{"mallory", "mallory/2", "eve"}).Draw(t, "by")
	how := statetest.How{Fork: rapid.IntRange(0, 7).Draw(t, "fork") == 0}
	target := m.w.Persona(rapid.SampledFrom([]string{"mallory", "bob", "carol", "dana", "eve"}).Draw(t, "target"))
	var r *protocol.Record
	switch rapid.IntRange(0, 10).Draw(t, "act") {
	case 0, 1, 2, 3:
		r = m.w.Record(by, protocol.Suspend, roll.RestrictBody{Persona: target, Reason: "harm"}, how)
	case 4:
		r = m.w.Record(by, protocol.Expel, roll.RestrictBody{Persona: target, Reason: "harm"}, how)
	case 5:
		r = m.w.Record(by, protocol.Recall, roll.RecallBody{Office: roll.Clerk, Reason: "harm", Out: []protocol.ID{target}}, how)
	case 6:
		r = m.w.Record(by, protocol.Appoint, roll.AppointBody{Office: roll.Registrar, Personas: []protocol.ID{target}}, how)
	case 7:
		m.news++
		r = m.w.Admit(by, fmt.Sprint("sybil", m.news), "door", m.invites[0], how)
	case 8:
		r = m.w.Record(by, protocol.Admit, roll.AdmitBody{Persona: target}, how)
	default:
		r = m.w.Record(by, protocol.Endorse, roll.EndorseBody{Act: pick(t, m.acts, protocol.ID{})}, how)
	}
	m.acts = append(m.acts, r.ID())
	m.made = append(m.made, r)
}

// TestLawMinority: whatever a clerk and fewer than half do, over many checkpoints,
// nobody else loses more than standing for a time, and more than half of the roll
// recall the clerk in the first batch that has their endorsements.
func TestLawMinority(t *testing.T) {
	silenced := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := newMinority(t)
		honest := []string{"bob", "carol", "dana"}
		for range rapid.IntRange(0, 4).Draw(rt, "checkpoints") {
			for range rapid.IntRange(1, 6).Draw(rt, "records") {
				m.strike(rt)
			}
			m.cover()
			for _, name := range honest {
				if x := m.s.Roll().Member(m.w.Persona(name)); x.Standing() != roll.Full && x.Standing() != roll.Suspended {
					rt.Fatalf("%s is %s", name, x.Standing())
				}
			}
			if !m.s.Roll().Member(m.w.Persona("bob")).Holds(roll.Clerk) || m.s.Roll().Whole() != 5 {
				rt.Fatalf("bob lost the office, or the whole is %d", m.s.Roll().Whole())
			}
		}
		for _, name := range honest {
			if m.s.Roll().Member(m.w.Persona(name)).Standing() == roll.Suspended {
				silenced++
			}
		}
		recall := m.w.Record("dana", protocol.Recall, roll.RecallBody{
			Office: roll.Clerk, Reason: "harm", Out: []protocol.ID{m.w.Persona("mallory")},
			In: []roll.Clerkship{{Persona: m.w.Persona("carol"), Key: statetest.Key("device/carol").Public()}},
		}, statetest.How{})
		m.made = append(m.made, recall)
		for _, name := range []string{"bob", "carol"} {
			m.made = append(m.made, m.w.Record(name, protocol.Endorse, roll.EndorseBody{Act: recall.ID()}, statetest.How{After: []*protocol.Record{recall}}))
		}
		for range rapid.IntRange(0, 4).Draw(rt, "at once") {
			m.strike(rt)
		}
		m.cover()
		if m.s.Roll().Member(m.w.Persona("mallory")).Holds(roll.Clerk) || m.s.Roll().Member(m.w.Persona("carol")).Rank() != roll.RankClerk {
			rt.Fatal("the recall was held back")
		}
	})
	if silenced == 0 {
		t.Error("nobody was ever suspended when the roll recalled")
	}
}
