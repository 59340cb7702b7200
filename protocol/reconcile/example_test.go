package reconcile_test

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

// local makes what a node holds of one poll from its ballots.
func local(poll [32]byte, ballots ...string) reconcile.Local {
	var s merkle.Set
	for _, b := range ballots {
		s = s.Add(sha256.Sum256([]byte(b)))
	}
	var ix reconcile.Index
	ix = ix.Put(poll, reconcile.Summary{Set: poll, Digest: s.Root(), Count: uint64(s.Len())})
	return reconcile.Local{Index: ix, Open: func(name [32]byte) (reconcile.Set, error) {
		if name != poll {
			return reconcile.Mem(merkle.Set{}), nil
		}
		return reconcile.Mem(s), nil
	}}
}

func Example() {
	poll := sha256.Sum256([]byte("poll"))
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails
	i := reconcile.NewInitiator(local(poll, "ana", "ben", "cem"), salt, reconcile.Limits{})
	r := reconcile.NewResponder(local(poll, "ben", "cem", "dia"), reconcile.Limits{})

	for {
		request, err := i.Message()
		if err != nil {
			fmt.Println(err)
			return
		}
		if request == nil {
			break
		}
		reply, err := r.Respond(request) // on the other node
		if err == nil {
			err = i.Receive(reply)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	for _, d := range i.Diffs() {
		fmt.Println("to fetch:", len(d.Need), d.Need[0] == sha256.Sum256([]byte("dia")))
		fmt.Println("to offer:", len(d.Have), d.Have[0] == sha256.Sum256([]byte("ana")))
	}
	// Output:
	// to fetch: 1 true
	// to offer: 1 true
}
