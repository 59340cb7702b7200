// Election replays the form of an election that was held in 2024, of a parliament
// in exile, as a secret vote: eleven lists, eighty seats, a threshold of 3 %. Seven
// trustees make the key, the network falls apart while the vote closes, two of the
// trustees are away when it is opened, and one lies. The parties are numbered, and
// the voters invented; the lists' shares are those of 2024.
//
//	go run ./examples/election
//	go run ./examples/election -voters 600 -complaint -history election.car
//	metastate audit election.car
//
// What runs is the pure core: records signed by each voter's own key, the rules of
// what a node takes in, the function that makes the next state, the agreement of
// four clerks, and the cryptography of secret ballots. The network, the clock and
// the disk are the story's, and time is virtual. Voters' choices follow from the
// seed; so does everything else.
//
// The exit code is 0 only if everything told was checked.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

// settings are what the flags say.
type settings struct {
	voters    int
	seed      uint64
	complaint bool   // one trustee complains of a deal that is good
	history   string // a file for the whole history
}

func main() {
	var s settings
	flag.IntVar(&s.voters, "voters", 5000, "how many voters, 200 to 10000")
	flag.Uint64Var(&s.seed, "seed", 1, "what people do, and their keys")
	flag.BoolVar(&s.complaint, "complaint", false, "the trustee who lies also complains of a deal that is good")
	flag.StringVar(&s.history, "history", "", "write the whole history to this file, for metastate audit")
	flag.Parse()
	if err := run(os.Stdout, s); err != nil {
		fmt.Fprintln(os.Stderr, "election:", err)
		os.Exit(1)
	}
}

// run tells the story to out. An error means that something that must hold did
// not.
func run(out io.Writer, s settings) error {
	if s.voters < 200 || s.voters > 10_000 {
		return fmt.Errorf("-voters is 200 to 10000, not %d", s.voters)
	}
	t := &story{out: out, settings: s}
	for _, chapter := range []struct {
		title string
		tell  func() error
	}{
		{"The founding", t.found},
		{"The key", t.makeKey},
		{"The vote", t.vote},
		{"The close", t.closing},
		{"The opening", t.opening},
		{"The seats", t.seats},
		{"The audit", t.audit},
	} {
		if err := t.chapter(chapter.title, chapter.tell); err != nil {
			return fmt.Errorf("%s: %w", chapter.title, err)
		}
	}
	return nil
}
