package audit_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// FuzzAudit audits anything. What passes has the result that the vote had, and what
// does not says what is wrong.
func FuzzAudit(f *testing.F) {
	town, id := openVote(f)
	file := town.bundle()
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add(slices.Delete(slices.Clone(file), 300, 310))
	f.Add(slices.Concat(file, file))
	hidden, other, _ := secretVote(f)
	f.Add(hidden.bundle())
	want := map[protocol.ID]protocol.ID{id: town.poll(id).Result.ID(), other: hidden.poll(other).Result.ID()}
	f.Fuzz(func(t *testing.T, b []byte) {
		src, err := bundle.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		if list, err := audit.List(src); err != nil || len(list) > len(b) {
			t.Fatalf("%d proposals in %d bytes: %v", len(list), len(b), err)
		}
		for id, want := range want {
			src, err := bundle.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			r, err := audit.Run(src, audit.Config{Proposal: id})
			if err != nil {
				continue
			}
			if fault := r.Fault(); fault != nil && fault.Detail == "" {
				t.Fatalf("the step %s fails without a word", fault.Name)
			}
			if r.Pass() && (r.Result == nil || r.Metastate == town.w.Genesis.ID() && r.Result.ID() != want) {
				t.Fatalf("a vote passes with another result: %+v", r.Result)
			}
		}
	})
}
