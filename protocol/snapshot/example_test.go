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
	served := member.make()

	genesis, known := member.w.Genesis, member.ref(1)
	chain, err := snapshot.NewChain(genesis.ID(), known, member.value(1)) // no change of clerks since
	if err != nil {
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
