package protocol_test

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// A record is signed, sealed for the way, opened by another member, and proves
// itself by being parsed.
func Example() {
	seed := [32]byte{1} // in life: identity.GenerateSigningKey
	key := identity.NewSigningKey(&seed)
	type proposal struct {
		Title string `cbor:"title"`
	}
	record, err := protocol.Sign(protocol.Header{
		Metastate: protocol.Sum([]byte("the genesis payload")),
		Persona:   protocol.Sum([]byte("the inception payload")),
		Kind:      protocol.Propose,
		Key:       key.Public(),
		Time:      1_800_000_000,
	}, proposal{"Open the hall on Sundays"}, nil, key)
	if err != nil {
		fmt.Println(err)
		return
	}

	epoch := protocol.NewEpoch([32]byte{2}, true)
	outer := epoch.Seal(protocol.ContentRecord, record.Inner())

	inner, err := epoch.Open(protocol.ContentRecord, outer)
	if err != nil {
		fmt.Println(err)
		return
	}
	received, err := protocol.Parse(inner)
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := protocol.Body[proposal](received)
	fmt.Println(received.Kind(), received.ID() == record.ID(), body.Title, err)

	inner[len(inner)-1] ^= 1
	_, err = protocol.Parse(inner)
	fmt.Println(errors.Is(err, protocol.ErrBadSignature))
	// Output:
	// propose true Open the hall on Sundays <nil>
	// true
}
