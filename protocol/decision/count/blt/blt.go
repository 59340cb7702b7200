// Package blt reads and writes elections in BLT files, the format that programs
// which count single transferable votes exchange: first described by Hill,
// Wichmann and Woodall for Algorithm 123 (The Computer Journal 30, 1987) and
// extended by OpenSTV and droop.
//
//	4 2                 four candidates, two seats
//	-2                  the second candidate withdrew
//	[tie 3 1 2 4]       who comes first of equal candidates
//	3 1 3 4 0           three ballots that rank 1, 3 and 4
//	1 2 1=4 0           one that ranks 1 and 4 equal, after 2
//	1 0                 an empty one
//	0                   the end of the ballots
//	"Adam"              the names, each candidate's in turn
//	"Basil"
//	"Charlotte"
//	"Donald"
//	"The committee"     the title
//
// # What is read
//
// White space and line breaks of all systems are alike up to the names. A
// byte-order mark and a missing last line break do no harm. # begins a comment to
// the end of the line, /* */ holds one, comments in comments included. Options in
// brackets stand before the ballots: [nick a b c] gives each candidate a short
// name for ballots, [tie] and [withdrawn] list candidates, [droop] and
// [undeclared] are passed over. A ballot has a weight or, as all others then, an
// id in parentheses and weight 1. A dash on a ballot is a rank left empty and
// passed over. A name without quotes fills its line, or is one word if all names
// stand on one line. What follows the title is not read.
//
// # Guarantees
//
// Files are read once, in memory bounded by their different ballots. Anything
// else than the above is refused with the number of the line and what to write
// instead; nothing is guessed.
package blt

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// Bounds of a file.
const (
	MaxSeats = 1 << 20
	maxToken = 200 // bytes of a number, a nick or a word of an id
)

// An Election is what a file holds.
type Election struct {
	Title     string
	Names     []string // of candidates, each its own
	Seats     uint64   // to fill, at least 1; may be more than candidates
	Withdrawn []bool   // by candidate; nil: nobody
	// Tie has each candidate's index once, the first first among equals; nil if
	// the file says nothing. Withdrawn candidates that it leaves out come last.
	Tie []int
	// Ballots are ranks (count.Ranking), equal ones counted together, in the
	// order in which they first come. Withdrawn candidates have their ranks. An
	// empty ballot has no rank.
	Ballots []count.Ballot
}

// Total is how many ballots there are.
func (e *Election) Total() (n uint64) {
	for _, b := range e.Ballots {
		n += b.N
	}
	return n
}

// Order is the order for ties: Tie, or that of the file.
func (e *Election) Order() []int {
	if e.Tie != nil {
		return e.Tie
	}
	return count.AsListed(len(e.Names))
}

// Question is what the file asks.
func (e *Election) Question() count.Question {
	total := e.Total()
	return count.Question{
		Options: e.Names, Seats: e.Seats, Electorate: total, Cast: total, Order: e.Order(), Withdrawn: e.Withdrawn,
	}
}

// Write writes the election such that Read reads the same, but for ballots that
// nobody made and equal ones that were apart. It refuses what a file can't hold.
func (e *Election) Write(w io.Writer) error {
	if err := e.check(); err != nil {
		return err
	}
	b := append([]byte(nil), strconv.Itoa(len(e.Names))...)
	b = strconv.AppendUint(append(b, ' '), e.Seats, 10)
	b = append(b, '\n')
	for i, out := range e.Withdrawn {
		if out {
			b = append(strconv.AppendInt(append(b, '-'), int64(i+1), 10), '\n')
		}
	}
	if e.Tie != nil {
		b = append(b, "[tie"...)
		for _, i := range e.Tie {
			b = strconv.AppendInt(append(b, ' '), int64(i+1), 10)
		}
		b = append(b, "]\n"...)
	}
	for _, ballot := range e.Ballots {
		if ballot.N == 0 {
			continue
		}
		if b = appendBallot(b, ballot); len(b) > 1<<15 {
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("blt: writing: %w", err)
			}
			b = b[:0]
		}
	}
	b = append(b, "0\n"...)
	for _, name := range append(append([]string(nil), e.Names...), e.Title) {
		b = append(append(append(b, '"'), name...), "\"\n"...)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("blt: writing: %w", err)
	}
	return nil
}

func appendBallot(b []byte, ballot count.Ballot) []byte {
	b = strconv.AppendUint(b, ballot.N, 10)
	last := uint8(0)
	for _, i := range count.ByRank(ballot.Marks) {
		sep := byte(' ')
		if ballot.Marks[i] == last {
			sep = '='
		}
		last = ballot.Marks[i]
		b = strconv.AppendInt(append(b, sep), int64(i+1), 10)
	}
	return append(b, " 0\n"...)
}

// check refuses what no file holds.
func (e *Election) check() error {
	n := len(e.Names)
	if err := bounds(n, e.Seats); err != nil {
		return fmt.Errorf("blt: %w", err)
	}
	if e.Withdrawn != nil && len(e.Withdrawn) != n {
		return errors.New("blt: who has withdrawn is not said of each candidate")
	}
	if e.Tie != nil {
		if err := each(e.Tie, n); err != nil {
			return fmt.Errorf("blt: %w", err)
		}
	}
	var total uint64
	for _, b := range e.Ballots {
		if err := (count.Ranking{}).Valid(e.Names, b.Marks); err != nil {
			return fmt.Errorf("blt: a ballot: %w", err)
		}
		if total += b.N; b.N > count.MaxTotal || total > count.MaxTotal {
			return errors.New("blt: more ballots than can be counted")
		}
	}
	seen := map[string]bool{}
	for _, name := range e.Names {
		if err := count.Distinct(name, seen); err != nil {
			return fmt.Errorf("blt: %w", err)
		}
		if strings.Contains(name, `"`) {
			return fmt.Errorf("blt: the name %q has a quote, which no BLT file can hold: write ' instead", name)
		}
	}
	if e.Title == "" {
		return nil
	}
	if strings.Contains(e.Title, `"`) {
		return errors.New(`blt: the title has a quote, which no BLT file can hold: write ' instead`)
	}
	if err := count.CheckText("title", e.Title); err != nil {
		return fmt.Errorf("blt: %w", err)
	}
	return nil
}

func bounds(candidates int, seats uint64) error {
	if candidates > count.MaxOptions { // how many, a reader may not know
		return fmt.Errorf("more than %d candidates can't be counted", count.MaxOptions)
	}
	if candidates < 1 {
		return fmt.Errorf("%d candidates, from 1 to %d can be counted", candidates, count.MaxOptions)
	}
	if seats < 1 || seats > MaxSeats {
		return fmt.Errorf("%d seats, from 1 to %d can be filled", seats, MaxSeats)
	}
	return nil
}

// each requires every index below n once.
func each(list []int, n int) error {
	seen := make([]bool, n)
	for _, i := range list {
		if i < 0 || i >= n || seen[i] {
			return errors.New("the order for ties has a candidate twice, or one that is none")
		}
		seen[i] = true
	}
	if len(list) != n {
		return fmt.Errorf("the order for ties has %d of %d candidates: list each once", len(list), n)
	}
	return nil
}
