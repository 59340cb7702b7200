package keygen_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// Four trustees make a key of which any two can decrypt.
func Example() {
	c, err := keygen.NewCommittee([32]byte{1}, 1)
	if err != nil {
		panic(err)
	}
	var trustees []*keygen.Trustee
	var announced []keygen.Announcement
	for j := 1; j <= c.N(); j++ {
		seed := [32]byte{byte(j)} // of chance, outside of examples
		t, err := keygen.NewTrustee(c, j, &seed)
		if err != nil {
			panic(err)
		}
		trustees, announced = append(trustees, t), append(announced, t.Announce())
	}
	roster, err := keygen.NewRoster(c, announced)
	if err != nil {
		panic(err)
	}
	var deals []*keygen.Deal
	for j, t := range trustees {
		d, err := t.Deal(roster)
		if err != nil {
			panic(err)
		}
		// Everybody first has the commitment, then the deal.
		read, err := keygen.ParseDeal(roster, j+1, d.Commitment(), d.Bytes())
		if err != nil {
			panic(err)
		}
		deals = append(deals, read)
	}
	keys, err := keygen.NewKeys(roster, deals)
	if err != nil {
		panic(err)
	}
	share, err := trustees[2].Share(keys)
	if err != nil {
		panic(err)
	}
	fmt.Println(keys.K(), "of", keys.N(), "decrypt; this is the share of trustee", share.Index())
	// Output: 2 of 4 decrypt; this is the share of trustee 3
}
