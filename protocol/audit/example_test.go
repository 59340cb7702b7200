package audit_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// A vote is audited from a file, such as metastate bundle export writes it. Then
// somebody changes a byte of it.
func Example() {
	town, proposal := openVote(&testing.T{})
	file := town.bundle()
	for range 2 {
		src, err := bundle.NewReader(bytes.NewReader(file))
		if err != nil {
			panic(err)
		}
		report, err := audit.Run(src, audit.Config{Proposal: proposal})
		if err != nil {
			panic(err)
		}
		if f := report.Fault(); f != nil {
			fmt.Println("fails at", f.Name, "and names a record:", !f.Record.IsZero())
			continue
		}
		fmt.Println("passes:", report.Result.Outcome, report.Result.Votes)
		file[len(file)-20] ^= 1
	}
	// Output:
	// passes: passed [{yes 2} {no 1} {abstain 0}]
	// fails at history and names a record: true
}
