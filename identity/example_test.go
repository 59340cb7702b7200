package identity_test

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/metastate-p2p/metastate/identity"
)

// A person joins a metastate: the words give the persona, the persona's first
// key signs its inception, and a device key does the daily signing.
func Example() {
	metastate := sha256.Sum256([]byte("example-metastate"))
	var entropy identity.Entropy // in earnest: identity.GenerateEntropy()

	persona := entropy.Persona(metastate, 0)
	defer persona.Erase()
	inception := identity.Inception{Next: persona.Commitment(1), Name: "Ana"}
	fmt.Println("valid:", inception.Validate() == nil)

	device := identity.GenerateSigningKey()
	grant := identity.Grant{Device: device.Public(), Expires: 1_800_000_000 + identity.DefaultGrantLife}
	fmt.Println("valid:", grant.Validate() == nil)

	msg := []byte("a record")
	sig := device.Sign(msg)
	fmt.Println("signed:", identity.Verify(device.Public(), msg, sig[:]))
	fmt.Println(persona, device)
	// Output:
	// valid: true
	// valid: true
	// signed: true
	// identity.Persona(secret) identity.SigningKey(secret)
}

func ExampleEntropyFromWords() {
	words := identity.Words(identity.Entropy{})
	fmt.Println(words[0], words[23])

	typed := "  " + strings.ToUpper(strings.Join(words[:], "\u00a0 "))
	entropy, err := identity.EntropyFromWords(typed)
	fmt.Println(entropy == identity.Entropy{}, err)

	_, err = identity.EntropyFromWords(strings.Replace(typed, "ART", "ARTT", 1))
	fmt.Println(err)
	// Output:
	// abandon art
	// true <nil>
	// identity: word 24 of 24 is not in the BIP-39 English word list: check its spelling
}

func ExampleBatch() {
	verifier := identity.NewVerifier(1024)
	batch := verifier.Batch()
	key := identity.GenerateSigningKey()
	for _, text := range []string{"one", "two", "three"} {
		sig := key.Sign([]byte(text))
		if text == "two" {
			sig[0] ^= 1
		}
		batch.Add(key.Public(), []byte(text), sig[:])
	}
	fmt.Println(batch.Verify())
	// Output: false [true false true]
}
