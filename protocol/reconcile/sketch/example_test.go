package sketch_test

import (
	"crypto/sha256"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// Two sets of a thousand that differ in three: a dozen symbols tell which.
func Example() {
	const symbols = 12
	one, other := make([]sketch.Symbol, symbols), make([]sketch.Symbol, symbols)
	for i := range 1000 {
		key := sketch.KeyOf(sha256.Sum256(fmt.Append(nil, "record ", i)))
		sketch.Toggle(one, key)
		if i%400 != 7 {
			sketch.Toggle(other, key)
		}
	}
	var d sketch.Decoder
	d.Add(one, other)
	fmt.Println(d.Decoded(), len(d.Keys()), "keys of", len(sketch.Append(nil, one)), "bytes")
	// Output: true 3 keys of 288 bytes
}
