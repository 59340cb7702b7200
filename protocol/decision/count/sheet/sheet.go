// Package sheet reads and writes ballots as tables of comma-separated values, as
// spreadsheets keep them (RFC 4180).
//
// A table of two columns is the votes for each of several lists or options, with
// or without a heading:
//
//	name,votes
//	"Oak, old",2358
//	Elm,1050
//
// One of more columns is ballots. Its heading names the options after the first
// cell; each row is how many made a ballot, and the mark for each option: 1 for
// what is chosen or approved of, a score, or a rank; nothing is 0.
//
//	voters,oak,elm,ash
//	3,5,,1
//
// Commas may be semicolons or tabs. A byte-order mark, a missing last line break
// and empty lines do no harm.
//
// Anything else is refused with the number of the line; nothing is guessed.
package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// A Sheet is what a table holds.
type Sheet struct {
	Options []string // each its own
	// Ballots have marks that one line of a form can stand for, or can't: that is
	// for the method to say.
	Ballots []count.Ballot
}

// Question is what the table asks, for one seat.
func (s *Sheet) Question() count.Question {
	var total uint64
	for _, b := range s.Ballots {
		total += b.N
	}
	return count.Question{Options: s.Options, Seats: 1, Electorate: total, Cast: total, Order: count.AsListed(len(s.Options))}
}

// Read reads a table. How large it may be is for the caller to say, by what it
// reads from.
func Read(from io.Reader) (*Sheet, error) {
	r, first, err := table(from)
	if err == io.EOF {
		return nil, errors.New("csv: the file is empty: write lines of name,votes")
	}
	if err != nil {
		return nil, err
	}
	if len(first) == 2 {
		return votes(r, first)
	}
	return ballots(r, first)
}

// table begins to read a table: its first line is read already. All others have as
// many columns.
func table(from io.Reader) (*csv.Reader, []string, error) {
	b := bufio.NewReaderSize(from, 1<<16)
	switch mark, _ := b.Peek(3); {
	case bytes.Equal(mark, []byte("\xef\xbb\xbf")):
		_, _ = b.Discard(3)
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return nil, nil, errors.New("csv: the file is in UTF-16: save it as UTF-8")
	}
	r := csv.NewReader(b)
	r.ReuseRecord, r.TrimLeadingSpace, r.FieldsPerRecord = true, true, -1
	start, _ := b.Peek(1 << 12)
	r.Comma = comma(start)
	first, err := r.Read()
	if err == io.EOF {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, told(err)
	}
	r.FieldsPerRecord = len(first)
	return r, slices.Clone(first), nil
}

// comma is what parts the first line outside of quotes.
func comma(start []byte) rune {
	quoted := false
	for _, c := range start {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';' || c == '\t' || c == ',':
			return rune(c)
		}
	}
	return ','
}

func told(err error) error {
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		if errors.Is(bad.Err, csv.ErrFieldCount) {
			return at(bad.Line, errors.New("it has more or fewer columns than the first line"))
		}
		return at(bad.Line, fmt.Errorf("%w: put a name with quotes or commas in it in quotes, and write each quote in it twice", bad.Err))
	}
	return fmt.Errorf("csv: %w", err)
}

func at(line int, err error) error { return fmt.Errorf("csv: line %d: %w", line, err) }

func number(cell string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(cell), 10, 64)
	if err != nil || n > most {
		return 0, fmt.Errorf("%.40q stands where a whole number is expected, digits only and at most %d", cell, most)
	}
	return n, nil
}

// votes reads name and votes, from the row first on.
func votes(r *csv.Reader, row []string) (*Sheet, error) {
	s, seen := &Sheet{}, map[string]bool{}
	var n []uint64
	total := uint64(0)
	for first := true; ; first = false {
		line, _ := r.FieldPos(0)
		v, err := number(row[1], count.MaxTotal)
		switch {
		case err != nil && first: // a heading
		case err != nil:
			return nil, at(line, err)
		default:
			name := strings.TrimSpace(row[0])
			if err := count.Distinct(name, seen); err != nil {
				return nil, at(line, err)
			}
			s.Options, n = append(s.Options, name), append(n, v)
			if total += v; total > count.MaxTotal || len(n) > count.MaxOptions {
				return nil, at(line, fmt.Errorf("more than %d options or %d votes can't be counted", count.MaxOptions, uint64(count.MaxTotal)))
			}
		}
		if row, err = r.Read(); err == io.EOF {
			break
		} else if err != nil {
			return nil, told(err)
		}
	}
	if len(n) == 0 {
		return nil, errors.New("csv: there is no line of name,votes")
	}
	for i, v := range n {
		marks := make(count.Marks, len(n))
		marks[i] = 1
		s.Ballots = append(s.Ballots, count.Ballot{Marks: marks, N: v})
	}
	return s, nil
}

// ballots reads ballots under the heading.
func ballots(r *csv.Reader, heading []string) (*Sheet, error) {
	s, seen := &Sheet{}, map[string]bool{}
	line, _ := r.FieldPos(0)
	if len(heading) < 2 || len(heading)-1 > count.MaxOptions {
		return nil, at(line, fmt.Errorf("%d columns: write name,votes, or a heading with a column for each of at most %d options", len(heading), count.MaxOptions))
	}
	for _, name := range heading[1:] {
		name = strings.TrimSpace(name)
		if err := count.Distinct(name, seen); err != nil {
			return nil, at(line, err)
		}
		s.Options = append(s.Options, name)
	}
	index, total := map[string]int{}, uint64(0)
	marks := make(count.Marks, len(s.Options))
	for {
		row, err := r.Read()
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, told(err)
		}
		line, _ := r.FieldPos(0)
		n, err := number(row[0], count.MaxTotal)
		if err != nil {
			return nil, at(line, err)
		}
		if total += n; total > count.MaxTotal {
			return nil, at(line, errors.New("more ballots than can be counted"))
		}
		for i, cell := range row[1:] {
			if marks[i] = 0; strings.TrimSpace(cell) == "" {
				continue
			}
			v, err := number(cell, 255)
			if err != nil {
				return nil, at(line, err)
			}
			marks[i] = uint8(v)
		}
		i, ok := index[string(marks)]
		if !ok {
			i, index[string(marks)] = len(s.Ballots), len(s.Ballots)
			s.Ballots = append(s.Ballots, count.Ballot{Marks: slices.Clone(marks)})
		}
		s.Ballots[i].N += n
	}
}

// Write writes the sheet such that Read reads the same: as name,votes if the
// ballots are one for each option in order, else as ballots.
func (s *Sheet) Write(w io.Writer) error {
	c := csv.NewWriter(w)
	var rows [][]string
	if s.plain() {
		rows = append(rows, []string{"name", "votes"})
		for i, b := range s.Ballots {
			rows = append(rows, []string{s.Options[i], strconv.FormatUint(b.N, 10)})
		}
	} else {
		rows = append(rows, append([]string{"voters"}, s.Options...))
		if len(s.Options) == 1 {
			return errors.New("csv: ballots on a single option can't be told from votes for lists")
		}
	}
	for _, row := range rows {
		if err := c.Write(row); err != nil {
			return fmt.Errorf("csv: writing: %w", err)
		}
	}
	if !s.plain() {
		row := make([]string, len(s.Options)+1)
		for _, b := range s.Ballots {
			row[0] = strconv.FormatUint(b.N, 10)
			for i, v := range b.Marks {
				if row[i+1] = ""; v != 0 {
					row[i+1] = strconv.Itoa(int(v))
				}
			}
			if err := c.Write(row); err != nil {
				return fmt.Errorf("csv: writing: %w", err)
			}
		}
	}
	if c.Flush(); c.Error() != nil {
		return fmt.Errorf("csv: writing: %w", c.Error())
	}
	return nil
}

// plain reports whether the ballots are the votes for each option, in order.
func (s *Sheet) plain() bool {
	for i, b := range s.Ballots {
		for k, v := range b.Marks {
			if i >= len(s.Options) || (v == 1) != (i == k) || v > 1 {
				return false
			}
		}
	}
	return len(s.Ballots) == len(s.Options)
}
