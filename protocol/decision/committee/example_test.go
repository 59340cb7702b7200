package committee_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// Four trustees are called, and the fourth is away: three announce keys, and once
// the patience of 60 s is over the committee goes on without the fourth.
func Example() {
	personas := []protocol.ID{{1}, {2}, {3}, {4}}
	c, err := committee.New(protocol.ID{9}, personas, 60)
	if err != nil {
		panic(err)
	}
	base := c
	for i, persona := range personas[:3] {
		seed := [32]byte{byte(i)}
		trustee, err := keygen.NewTrustee(c.Kind(), c.Number(persona), &seed)
		if err != nil {
			panic(err)
		}
		c, err = c.Apply(base, committee.Message{
			Record: protocol.ID{byte(10 + i)}, Persona: persona, Device: identity.PublicKey{byte(i)},
			Stage: committee.Announce, Body: trustee.Announce().Bytes(),
		})
		if err != nil {
			panic(err)
		}
	}
	for _, now := range []int64{1000, 1059, 1060} {
		c = c.Tick(now)
		fmt.Println(now, c.Stage, c.Until)
	}
	_, err = c.Apply(c, committee.Message{Persona: personas[3], Stage: committee.Announce})
	fmt.Println("the fourth, too late:", err)
	// Output:
	// 1000 announce 1060
	// 1059 announce 1060
	// 1060 commit 0
	// the fourth, too late: the committee is not at that stage
}
