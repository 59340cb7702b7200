package snapshot_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/snapshot"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A member serves a snapshot. A joiner who has the genesis, and from an invite
// a checkpoint, restores it. Another peer sends rubbish on the way.
func Example() {
	t := &testing.T{}
	member := newChain(t, quick(t), "alice", "bob")
	member.cover(statetest.Start, []*protocol.Record{
		member.w.Propose("alice", "A question", "ordinary", 3600, statetest.How{}),
	})
	served, err := snapshot.Make(member.tip, member)
	if err != nil {
		panic(err)
	}

	genesis, known := member.w.Genesis, member.ref(1)
	chain, err := snapshot.NewChain(genesis, known)
	if err != nil {
		panic(err)
	}
	if err := chain.Add(member.certs[1]); err != nil { // founding keys hand over to devices
		panic(err)
	}
	r, err := snapshot.Open(genesis, chain, served.Manifest())
	if err != nil {
		panic(err)
	}
	for names := r.Missing(); len(names) > 0; names = r.Missing() {
		err := r.Add(names[0], []byte("rubbish"))
		if refused := new(snapshot.Refused); !errors.As(err, &refused) {
			panic(err)
		}
		for _, name := range names {
			part, err := served.Get(name)
			if err == nil {
				err = r.Add(name, part)
			}
			if err != nil {
				panic(err)
			}
		}
	}
	var tip checkpoint.Tip
	if tip, err = r.Finish(); err != nil {
		panic(err)
	}
	fmt.Println("height", tip.Ref().Height, "members", tip.State().Roll().Size())
	fmt.Println("the same checkpoint:", tip.Ref() == member.tip.Ref())
	// Output:
	// height 2 members 2
	// the same checkpoint: true
}
