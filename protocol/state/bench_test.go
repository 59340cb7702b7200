package state_test

import (
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// BenchmarkAdvance covers one more record in metastates of more and more
// members: the cost is that of the record, not of the history. With -short the
// largest, which takes a minute to sign, is left out.
func BenchmarkAdvance(b *testing.B) {
	for _, members := range []int{1e3, 1e4, 1e5} {
		if testing.Short() && members > 1e4 {
			continue
		}
		var s *state.State
		var w *statetest.World
		var acts []*protocol.Record
		setup := func(b *testing.B) {
			if s == nil {
				w, s = crowded(b, members)
				invite := w.Invite("alice", "bench", 1, statetest.Start+1e6, statetest.How{})
				question := w.Propose("alice", "bench", "ordinary", 1e6, statetest.How{})
				acts = []*protocol.Record{invite, question}
			}
			b.ReportAllocs()
			b.ResetTimer()
		}
		for i, act := range []string{"invite", "propose"} {
			b.Run(fmt.Sprintf("%s/members=%d", act, members), func(b *testing.B) {
				setup(b)
				for b.Loop() {
					s.Advance(state.Step{Records: acts[i : i+1], AsOf: s.AsOf()})
				}
			})
			b.Run(fmt.Sprintf("%s+root/members=%d", act, members), func(b *testing.B) {
				setup(b)
				s.Root()
				for b.Loop() {
					next, _ := s.Advance(state.Step{Records: acts[i : i+1], AsOf: s.AsOf()})
					next.Root()
				}
			})
		}
	}
}

// crowded is a metastate with so many members. A tenth of them are suspended,
// and there is an open question to every ten.
func crowded(tb testing.TB, members int) (*statetest.World, *state.State) {
	tb.Helper()
	w := statetest.New(tb, statetest.Charter(tb), "alice")
	s, err := state.Begin(w.Genesis)
	if err != nil {
		tb.Fatal(err)
	}
	cover := func(records []*protocol.Record) {
		s, _ = s.Advance(state.Step{Records: records, AsOf: statetest.Start})
	}
	cover(w.Founding("alice"))
	w.Ref = protocol.Ref{Height: 1, ID: protocol.Sum([]byte("1"))}
	for door := range members / 1000 {
		label := fmt.Sprint("door", door)
		invite := w.Invite("alice", label, 1000, statetest.Start+1e6, statetest.How{})
		batch := []*protocol.Record{invite}
		for n := range 1000 {
			batch = append(batch, w.Admit("alice", fmt.Sprint(label, "/", n), label, invite.ID(), statetest.How{}))
		}
		cover(batch)
		batch = nil
		for n := range 100 {
			suspend := roll.RestrictBody{Persona: w.Persona(fmt.Sprint(label, "/", n)), Reason: "harm"}
			batch = append(batch, w.Record("alice", protocol.Suspend, suspend, statetest.How{}),
				w.Propose("alice", label, "ordinary", int64(1e6+n), statetest.How{}))
		}
		cover(batch)
	}
	if n := s.Roll().Size(); n != uint64(members*9/10+1) {
		tb.Fatalf("%d members", n)
	}
	return w, s
}
