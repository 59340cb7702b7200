package secret_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// Three people vote, and two of four trustees open what all ballots sum up to.
func Example() {
	keys, trustees := committee()
	vote, err := secret.NewElection(secret.Terms{
		Keys: keys, Question: [32]byte{1}, Method: "plurality", Options: []string{"tea", "coffee"},
		Shape: secret.Shape{Kind: secret.One}, Least: 3,
	})
	check(err)
	sum := vote.Empty()
	for i, marks := range [][]uint8{{1, 0}, {0, 1}, {1, 0}} {
		seed := [32]byte{byte(i)} // of chance, outside of examples
		by := secret.Voter{ID: [32]byte{byte(i)}}
		body, opening, err := vote.Encrypt(by, marks, &seed)
		check(err)
		opening.Erase() // nobody can show now what the ballot says

		ballot, err := vote.Verify(by, body)
		check(err)
		sum, err = vote.Plus(sum, ballot, 1)
		check(err)
	}
	sealed := secret.Sealed{Set: [32]byte{2}, Sum: sum}
	var shares []*secret.Share
	for _, t := range trustees[:keys.K()] {
		x, err := t.Share(keys)
		check(err)
		seed := [32]byte{3}
		body, err := vote.Decrypt(x, sealed, &seed)
		check(err)
		share, err := vote.VerifyShare(x.Index(), sealed, body)
		check(err)
		shares = append(shares, share)
	}
	result, err := vote.Result(sealed, shares)
	check(err)
	fmt.Println("tea", result.Sums[0], "coffee", result.Sums[1])
	// Output: tea 2 coffee 1
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// committee is of four trustees with their key.
func committee() (*keygen.Keys, []*keygen.Trustee) {
	c, err := keygen.NewCommittee([32]byte{7}, 1)
	check(err)
	var trustees []*keygen.Trustee
	var announced []keygen.Announcement
	for j := 1; j <= c.N(); j++ {
		seed := [32]byte{byte(j)}
		t, err := keygen.NewTrustee(c, j, &seed)
		check(err)
		trustees, announced = append(trustees, t), append(announced, t.Announce())
	}
	roster, err := keygen.NewRoster(c, announced)
	check(err)
	var deals []*keygen.Deal
	for _, t := range trustees {
		d, err := t.Deal(roster)
		check(err)
		deals = append(deals, d)
	}
	keys, err := keygen.NewKeys(roster, deals)
	check(err)
	return keys, trustees
}
