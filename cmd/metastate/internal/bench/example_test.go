package bench_test

import (
	"context"
	"fmt"

	"github.com/metastate-p2p/metastate/cmd/metastate/internal/bench"
)

// Ratios say how near a figure comes to its bound, whatever the machine.
func Example() {
	r, err := bench.Run(context.Background(), "verify", bench.Options{Records: 100, Runs: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Name, r.Runs, "runs; decoding is to be", r.Bars["decodeToVerification"], "of verification")
	fmt.Println(r.Ratios["decodeToVerification"] > 0, r.Median["parsePerSecond2"] > 0)
	// Output:
	// verify 3 runs; decoding is to be ≤ 0.15 of verification
	// true true
}
