package dagcbor_test

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// One value has one encoding; every other is refused.
func Example() {
	type greeting struct {
		Words string `cbor:"words"`
		Times uint64 `cbor:"times,omitempty"`
	}
	b, _ := dagcbor.Marshal(greeting{Words: "good morning", Times: 2})
	fmt.Printf("%x\n", b)

	var g greeting
	fmt.Println(dagcbor.Unmarshal(b, &g), g.Words)

	err := dagcbor.Check([]byte{0x18, 0x02})
	fmt.Println(errors.Is(err, dagcbor.ErrNotCanonical), err)
	// Output:
	// a26574696d65730265776f7264736c676f6f64206d6f726e696e67
	// <nil> good morning
	// true not canonical DAG-CBOR: byte 0: number or length not in its shortest form
}

// A Reader walks bytes whose shape is known, without reflection.
func ExampleReader() {
	b := dagcbor.AppendArray(nil, 2)
	b = dagcbor.AppendUint(b, 7)
	b = dagcbor.AppendText(b, "seven")

	r := dagcbor.NewReader(b)
	n, number, name := r.Array(2), r.Uint(), r.Text(32)
	fmt.Println(n, number, name, r.End())
	// Output: 2 7 seven <nil>
}
