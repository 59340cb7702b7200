package certificate_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// Of four clerks one may lie, and three are a quorum: any two quorums share an
// honest clerk.
func Example() {
	for _, n := range []int{1, 3, 4, 13} {
		f, q := certificate.Quorum(n)
		fmt.Println(n, f, q)
	}
	// Output:
	// 1 0 1
	// 3 0 2
	// 4 1 3
	// 13 4 9
}
