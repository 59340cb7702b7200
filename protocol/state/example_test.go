package state_test

import (
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A founder invites dana. Until a checkpoint covers her admission it shows in
// the provisional view only; then whoever holds the state root can be shown it.
func Example() {
	t := &testing.T{}
	world := statetest.New(t, statetest.Charter(t), "alice")
	begun, err := state.Begin(world.Genesis)
	if err != nil {
		fmt.Println(err)
		return
	}
	founded, _ := begun.Advance(state.Step{Records: world.Founding("alice"), AsOf: statetest.Start})
	world.Cover(protocol.Ref{Height: 1, ID: protocol.Sum([]byte("checkpoint 1"))}, world.Genesis)

	invite := world.Invite("alice", "door", 1, statetest.Start+3600, statetest.How{})
	admission := world.Admit("alice", "dana", "door", invite.ID(), statetest.How{After: []*protocol.Record{invite}})
	dana := world.Persona("dana")
	held := []*protocol.Record{admission, invite} // in any order

	view, verdicts := founded.Advance(state.Step{Records: held, Provisional: true})
	for _, v := range verdicts {
		fmt.Printf("%s: %t\n", v.Rule, v.Stands)
	}
	fmt.Println("final:", founded.Roll().Member(dana) != nil)
	fmt.Println("provisional:", view.Roll().Member(dana).Standing())

	final, _ := founded.Advance(state.Step{Records: held, AsOf: statetest.Start + 60})
	fmt.Println("final:", final.Roll().Member(dana).Standing())
	fmt.Println("proof:", state.VerifyMember(final.Root(), dana, final.ProveMember(dana)))

	// Output:
	// invite/open: true
	// admit/invite: true
	// final: false
	// provisional: member
	// final: member
	// proof: <nil>
}
