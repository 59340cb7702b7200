package merkle_test

import (
	"crypto/sha256"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// Standing is a value: anything with one canonical encoding.
type Standing string

func (s Standing) AppendLeaf(b []byte) []byte { return append(b, s...) }

func Example() {
	ana, ben := sha256.Sum256([]byte("ana")), sha256.Sum256([]byte("ben"))

	var before merkle.Map[Standing]
	before = before.Put(ana, "member")
	after := before.Put(ben, "pending") // before stays as it was
	fmt.Println(before.Len(), after.Len())

	// Someone who knows only the root learns that ana is a member, and that
	// ben was not on the roll before.
	err := merkle.VerifyPresent(after.Root(), ana, []byte("member"), after.Prove(ana))
	fmt.Println("ana is a member:", err == nil)
	err = merkle.VerifyAbsent(before.Root(), ben, before.Prove(ben))
	fmt.Println("ben was not there:", err == nil)

	// The root tells what is in the map, not how it got there.
	fmt.Println(after.Delete(ben).Root() == before.Root())
	// Output:
	// 1 2
	// ana is a member: true
	// ben was not there: true
	// true
}

func ExampleSet_Range() {
	var mine, theirs merkle.Set
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		mine = mine.Add(sha256.Sum256([]byte(name)))
	}
	theirs = mine.Delete(sha256.Sum256([]byte("c")))

	// Where do they differ? Compare them by the first two bits of the keys.
	for i := range 4 {
		prefix := [32]byte{byte(i << 6)}
		a, n := mine.Range(prefix, 2)
		b, m := theirs.Range(prefix, 2)
		fmt.Printf("%02b: %d and %d keys, equal: %v\n", i, n, m, a == b)
	}
	// Output:
	// 00: 4 and 3 keys, equal: false
	// 01: 0 and 0 keys, equal: true
	// 10: 0 and 0 keys, equal: true
	// 11: 1 and 1 keys, equal: true
}
