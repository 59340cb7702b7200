package group_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// What is encoded in one way only can be compared by its bytes.
func Example() {
	two := group.Number(2)
	double := group.Generator().Add(group.Generator())
	fmt.Printf("%x\n", double.Bytes())
	fmt.Println(group.Base(two).Bytes() == double.Bytes())
	// Output:
	// 6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919
	// true
}
