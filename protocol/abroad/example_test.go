package abroad_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// Two metastates decide the same terms. Each has the pact under one id, and
// offers it until it is shown that the other has it too.
func Example() {
	north, south := protocol.Sum([]byte("north")), protocol.Sum([]byte("south"))
	terms := protocol.Sum([]byte("Who belongs to one may speak in the other."))
	at := func(metastate protocol.ID) abroad.Anchor {
		return abroad.Anchor{
			Metastate: metastate, Height: 7, ID: protocol.Sum([]byte("its checkpoint")),
			Clerks: []certificate.Clerk{{Persona: protocol.Sum([]byte("its clerk"))}},
		}
	}
	step := roll.Step{Height: 9, AsOf: 1_800_000_000}
	here := abroad.Begin(north, nil).Offer(abroad.Offer{With: at(south), Terms: terms}, protocol.Sum([]byte("a decision")), step)
	there := abroad.Begin(south, nil).Offer(abroad.Offer{With: at(north), Terms: terms}, protocol.Sum([]byte("another")), step)

	id := abroad.PactID(south, north, terms, 0)
	fmt.Println(here.Pact(id).Standing, there.Pact(id).Standing, here.Known(south).Height)
	fmt.Println(here.End(id, step).Pact(id).Standing)
	// Output:
	// offered offered 7
	// ended
}
