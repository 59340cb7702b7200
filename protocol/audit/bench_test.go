package audit_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// crowd is a history with a secret vote of so many, who choose one of five.
func crowd(tb testing.TB, voters int) (file []byte, id protocol.ID) {
	tb.Helper()
	names := make([]string, voters)
	for i := range names {
		names[i] = fmt.Sprint("voter", i)
	}
	town := newTown(tb, names...)
	id = town.ask(bySealed)
	town.key(id, nil)
	p := town.poll(id)
	bodies := make([][]byte, voters)
	cores(runtime.GOMAXPROCS(0))(voters, func(i int) {
		marks, seed := make([]uint8, 5), [32]byte{9}
		marks[i%7%5] = 1
		binary.BigEndian.PutUint64(seed[8:], uint64(i))
		body, _, err := p.Secret.Election().Encrypt(secret.Voter{ID: town.w.Persona(names[i])}, marks, &seed)
		if err != nil {
			tb.Error(err)
		}
		bodies[i] = body
	})
	for from := 0; from < voters; from += 2000 {
		var list []*protocol.Record
		for i := from; i < min(from+2000, voters); i++ {
			list = append(list, town.w.Bulk(names[i], protocol.Ballot, id, decision.BallotBody{Ballot: bodies[i]}, statetest.How{}))
		}
		cores(runtime.GOMAXPROCS(0))(len(list), func(i int) { p.CheckBallot(list[i]) })
		town.do(list...)
	}
	town.after(1000)
	town.open(id)
	return town.bundle(), id
}

// timed audits on so many goroutines.
func timed(tb testing.TB, file []byte, id protocol.ID, workers int) time.Duration {
	tb.Helper()
	src, err := bundle.NewReader(bytes.NewReader(file))
	if err != nil {
		tb.Fatal(err)
	}
	begun := time.Now()
	r, err := audit.Run(src, audit.Config{Proposal: id, Each: cores(workers)})
	if err != nil || !r.Pass() {
		tb.Fatal(err, r.Fault())
	}
	return time.Since(begun)
}

// Ballots are verified side by side: as many as Each lets at one time.
func TestSideBySide(t *testing.T) {
	const voters = 40
	file, id := crowd(t, voters)
	src, err := bundle.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	// Each call waits until all have begun: with one after another this would
	// never end.
	most := 0
	together := func(n int, do func(i int)) {
		most = max(most, n)
		var all, done sync.WaitGroup
		all.Add(n)
		for i := range n {
			done.Go(func() {
				all.Done()
				all.Wait()
				do(i)
			})
		}
		done.Wait()
	}
	r, err := audit.Run(src, audit.Config{Proposal: id, Each: together})
	if err != nil || !r.Pass() {
		t.Fatal(err, r.Fault())
	}
	if most != voters {
		t.Errorf("%d of %d ballots at one time", most, voters)
	}
}

// Of the time that an audit of many secret ballots takes, most goes by inside of
// Each, and so is shared by all cores. Measured is the part, on one goroutine, so
// that it does not matter who else uses the machine.
func TestScaling(t *testing.T) {
	file, id := crowd(t, 400)
	src, err := bundle.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var inside time.Duration
	begun := time.Now()
	r, err := audit.Run(src, audit.Config{Proposal: id, Each: func(n int, do func(i int)) {
		begun := time.Now()
		for i := range n {
			do(i)
		}
		inside += time.Since(begun)
	}})
	if err != nil || !r.Pass() {
		t.Fatal(err, r.Fault())
	}
	part := float64(inside) / float64(time.Since(begun))
	t.Logf("%.0f %% is shared: at best two cores are %.2f times as fast as one", 100*part, 1/(1-part/2))
	if part < 0.7 {
		t.Errorf("only %.0f %% of the time is shared by all cores", 100*part)
	}
}

// BenchmarkAudit audits a secret vote of METASTATE_BALLOTS ballots (10,000), choose
// one of five.
func BenchmarkAudit(b *testing.B) {
	voters := 10_000
	if n, err := strconv.Atoi(os.Getenv("METASTATE_BALLOTS")); err == nil {
		voters = n
	}
	file, id := crowd(b, voters)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		timed(b, file, id, runtime.GOMAXPROCS(0))
	}
	b.ReportMetric(float64(voters*b.N)/b.Elapsed().Seconds(), "ballots/s")
}
