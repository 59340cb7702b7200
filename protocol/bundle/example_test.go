package bundle_test

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// Two records go into a bundle; the bundle rots; the reader says which record
// is lost and still gives the other.
func Example() {
	seed := [32]byte{1} // in life: identity.GenerateSigningKey
	key := identity.NewSigningKey(&seed)
	genesis, err := protocol.Sign(protocol.Header{Kind: protocol.Genesis, Key: key.Public()}, struct{}{}, nil, key)
	if err != nil {
		fmt.Println(err)
		return
	}
	inception, err := protocol.Sign(protocol.Header{
		Metastate: genesis.ID(), Kind: protocol.Inception, Key: key.Public(),
	}, struct{}{}, nil, key)
	if err != nil {
		fmt.Println(err)
		return
	}

	var file bytes.Buffer
	w, err := bundle.NewWriter(&file, bundle.Manifest{
		Metastate: genesis.ID(), Records: 2, Digest: bundle.Digest(slices.Values([]protocol.ID{genesis.ID(), inception.ID()})),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range []*protocol.Record{genesis, inception} {
		if err := w.Record(r.Inner()); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
		return
	}
	report, err := bundle.Verify(bytes.NewReader(file.Bytes()))
	fmt.Println(report.Records, report.OK(), err)

	rotten := file.Bytes()
	rotten[len(rotten)-1] ^= 1
	r, err := bundle.NewReader(bytes.NewReader(rotten))
	if err != nil {
		fmt.Println(err)
		return
	}
	for item, problem := range r.All() {
		if problem != nil {
			fmt.Println("lost the inception:", problem.ID == inception.ID(), problem.Reason)
			continue
		}
		fmt.Println("have the genesis:", item.ID == genesis.ID())
	}
	fmt.Println(r.Err())
	// Output:
	// 2 true <nil>
	// have the genesis: true
	// lost the inception: true signatures: content and CID do not match
	// <nil>
}
