package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/blt"
	"github.com/metastate-p2p/metastate/protocol/decision/count/sheet"
)

// An election is what a file asks and holds.
type election struct {
	title    string
	question count.Question
	ballots  []count.Ballot
	ranked   bool // ballots are ranks, of BLT
}

// readBallots reads a file in either form.
func readBallots(path string) (*election, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(&capped{f, maxBallots, maxBallots}, 1<<16)
	if start, _ := r.Peek(1 << 12); bytes.IndexByte(start, 0) >= 0 {
		return nil, &failure{
			Code: "ballots-invalid", Exit: node.ExitVerify, Message: path + " is not text in UTF-8: ballots are read from BLT files and from tables such as CSV",
			Hint: "see whether it is the file that was meant; a spreadsheet saves its table as CSV",
		}
	}
	if isTable(path, r) {
		s, err := sheet.Read(r)
		if err != nil {
			return nil, notBallots(path, err)
		}
		return &election{question: s.Question(), ballots: s.Ballots}, nil
	}
	e, err := blt.Read(r)
	if err != nil {
		return nil, notBallots(path, err)
	}
	return &election{title: e.Title, question: e.Question(), ballots: e.Ballots, ranked: true}, nil
}

// maxBallots is the bytes of the largest file that is counted.
const maxBallots = 1 << 30

// capped reads so many bytes of a file, and fails at more.
type capped struct {
	r          io.Reader
	left, most int64
}

func (c *capped) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("it is larger than %d MB, the most that is read", c.most>>20)
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}

// isTable tells by the name, or else the first line, which form a file has.
func isTable(path string, r *bufio.Reader) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv", ".tsv":
		return true
	case ".blt":
		return false
	}
	start, _ := r.Peek(1 << 12)
	line, _, _ := bytes.Cut(start, []byte("\n"))
	return bytes.ContainsAny(line, ",;\t")
}

func notBallots(path string, err error) error {
	return &failure{
		Code: "ballots-invalid", Exit: node.ExitVerify, Message: oneLine(fmt.Sprintf("%s can't be read: %s", path, inWords(err.Error()))),
		Hint: "mend the file, and count it again",
	}
}

// write writes what was read into another file, in the form of its name. It is
// called before the ballots are changed for a method.
func (e *election) write(c *cobra.Command, path string) error {
	var write func(io.Writer) error
	switch q := e.question; strings.ToLower(filepath.Ext(path)) {
	case ".blt":
		b := blt.Election{Title: e.title, Names: q.Options, Seats: q.Seats, Withdrawn: q.Withdrawn, Ballots: e.ballots}
		if !slices.Equal(q.Order, count.AsListed(len(q.Options))) {
			b.Tie = q.Order
		}
		write = b.Write
	case ".csv":
		if q.Withdrawn != nil {
			return usage(c, "a table can't say who has withdrawn: write a file whose name ends in .blt")
		}
		write = (&sheet.Sheet{Options: q.Options, Ballots: e.ballots}).Write
	default:
		return usage(c, "--write is a file whose name ends in .blt or .csv, not %q", path)
	}
	var wrong error
	err := writeFile(path, func(f *os.File) error {
		w := bufio.NewWriter(f)
		if wrong = write(w); wrong != nil {
			return wrong
		}
		return w.Flush()
	})
	if wrong != nil {
		return usage(c, "these ballots can't be written to %s: %s", path, inWords(wrong.Error()))
	}
	return err
}

// as gives the ballots the form that a method counts. From rankings it takes the
// first preference, or all that is ranked.
func (e *election) as(c *cobra.Command, method string, form count.Form) ([]count.Ballot, error) {
	var change func(count.Marks) (count.Marks, error)
	switch f := form.(type) {
	case count.Ranking:
		if f.Strict {
			change = func(m count.Marks) (count.Marks, error) { return m, e.strict(m) }
		}
	case count.One:
		if e.ranked {
			change = e.first
		}
	case count.Approvals:
		if e.ranked {
			change = e.approved
		}
	default:
		if e.ranked {
			return nil, usage(c, "a BLT file holds rankings, and %s counts numbers: write a CSV file with a heading of options and a ballot a line", method)
		}
	}
	out := make([]count.Ballot, 0, len(e.ballots))
	for _, b := range e.ballots {
		if change != nil {
			m, err := change(b.Marks)
			if err != nil {
				return nil, usage(c, "%s does not take %s", method, err)
			}
			b.Marks = m
		}
		if b.Marks == nil {
			e.question.Cast -= b.N // nothing that this method counts
			continue
		}
		if err := form.Valid(e.question.Options, b.Marks); err != nil {
			return nil, usage(c, "%s does not take the ballot %s: %s", method, e.words(b.Marks), inWords(err.Error()))
		}
		out = append(out, b)
	}
	return out, nil
}

// words is a ballot as the file has it.
func (e *election) words(m count.Marks) string {
	var marks []string
	for i, v := range m {
		if v != 0 {
			marks = append(marks, fmt.Sprintf("%s %d", e.question.Options[i], v))
		}
	}
	return strings.Join(marks, ", ")
}

// strict refuses equal ranks.
func (e *election) strict(m count.Marks) error {
	for i, v := range m {
		if k := slices.Index(m, v); v != 0 && k < i {
			return fmt.Errorf("equal ranks, and a ballot ranks %s and %s equal: count it by schulze or meek-stv, which do, or ask the voter", e.question.Options[k], e.question.Options[i])
		}
	}
	return nil
}

// ranks are the options of a ballot that were not withdrawn, the best first.
func (e *election) ranks(m count.Marks) []int {
	return slices.DeleteFunc(count.ByRank(m), e.question.Out)
}

func (e *election) first(m count.Marks) (count.Marks, error) {
	list := e.ranks(m)
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) > 1 && m[list[0]] == m[list[1]] {
		return nil, fmt.Errorf("two first preferences, and a ballot has %s and %s first: count it by approval or schulze, which do", e.question.Options[list[0]], e.question.Options[list[1]])
	}
	one := make(count.Marks, len(m))
	one[list[0]] = 1
	return one, nil
}

func (e *election) approved(m count.Marks) (count.Marks, error) {
	all := make(count.Marks, len(m))
	for i, v := range m {
		all[i] = min(v, 1)
	}
	return all, nil
}
