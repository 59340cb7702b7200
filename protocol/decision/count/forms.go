package count

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Blank is the line of a ballot that marks nothing, in the forms that have one.
const Blank = "-"

// The bytes that lines of a form are written with, which names can't have.
const (
	MarksOfApprovals = ","
	MarksOfRanking   = ">="
	MarksOfScores    = ",:"
)

// Names requires options that a line can name: at least so many, each once,
// without space around it, and without the marks of the method's form.
func Names(given []string, least int, marks string) ([]string, error) {
	if len(given) < least {
		return nil, errors.New("name the options to choose from")
	}
	seen := map[string]bool{}
	for _, o := range given {
		switch {
		case seen[o] || o == "" || o != strings.TrimSpace(o):
			return nil, fmt.Errorf("the option %q is empty, stands twice or has space around it", o)
		case marks != "" && (strings.ContainsAny(o, marks) || o == Blank):
			return nil, fmt.Errorf("the option %q is a dash or has a mark that ballots are written with: one of %s", o, marks)
		}
		seen[o] = true
	}
	return slices.Clone(given), nil
}

// index finds an option by its name.
func index(options []string, name string) (int, error) {
	if i := slices.Index(options, strings.TrimSpace(name)); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%.40q is none of the options: %s", strings.TrimSpace(name), few(options))
}

func few(options []string) string {
	const most = 12
	if len(options) > most {
		return strings.Join(options[:most], ", ") + ", …"
	}
	return strings.Join(options, ", ")
}

// checkLen requires a mark for each option.
func checkLen(options []string, m Marks) error {
	if len(m) != len(options) {
		return fmt.Errorf("%d marks for %d options", len(m), len(options))
	}
	return nil
}

// One is the form of ballots that name one option, which is marked 1.
type One struct{}

// Parse reads the name of an option.
func (One) Parse(options []string, line string) (Marks, error) {
	i, err := index(options, line)
	if err != nil {
		return nil, errors.New("write one of: " + few(options))
	}
	m := make(Marks, len(options))
	m[i] = 1
	return m, nil
}

// Line is the option's name.
func (One) Line(options []string, m Marks) Choice {
	return Choice(options[slices.Index(m, 1)])
}

// Valid requires a single mark of 1.
func (One) Valid(options []string, m Marks) error {
	if err := checkLen(options, m); err != nil {
		return err
	}
	n := 0
	for _, v := range m {
		n += int(v)
	}
	if n != 1 {
		return errors.New("it marks none or several options where it can mark one")
	}
	return nil
}

// Approvals is the form of ballots that name any number of options, as "a,c".
// Each is marked 1.
type Approvals struct{}

// Parse reads names with commas between them, or a dash for none.
func (Approvals) Parse(options []string, line string) (Marks, error) {
	m := make(Marks, len(options))
	if strings.TrimSpace(line) == Blank {
		return m, nil
	}
	for name := range strings.SplitSeq(line, ",") {
		i, err := index(options, name)
		if err != nil {
			return nil, fmt.Errorf("write the options you approve of with commas between them, as a,c, or - for none; %w", err)
		}
		if m[i] != 0 {
			return nil, fmt.Errorf("%s stands twice", options[i])
		}
		m[i] = 1
	}
	return m, nil
}

// Line is the names in the order of options.
func (Approvals) Line(options []string, m Marks) Choice {
	var names []string
	for i, v := range m {
		if v != 0 {
			names = append(names, options[i])
		}
	}
	return joined(names, ",")
}

// Valid requires marks of 0 and 1.
func (Approvals) Valid(options []string, m Marks) error {
	if slices.ContainsFunc(m, func(v uint8) bool { return v > 1 }) {
		return errors.New("an approval is marked with more than 1")
	}
	return checkLen(options, m)
}

func joined(names []string, by string) Choice {
	if len(names) == 0 {
		return Blank
	}
	return Choice(strings.Join(names, by))
}

// Ranking is the form of ballots that rank options, as "b>a=c". Each is marked
// with its rank from 1; options left out have none.
type Ranking struct {
	Strict bool // no two options have the same rank
}

// Parse reads ranks with > between them, equal options with = between them, or a
// dash for none.
func (f Ranking) Parse(options []string, line string) (Marks, error) {
	m := make(Marks, len(options))
	if strings.TrimSpace(line) == Blank {
		return m, nil
	}
	rank := 0
	for same := range strings.SplitSeq(line, ">") {
		if rank++; rank > len(options) {
			return nil, errors.New("more ranks than options")
		}
		for name := range strings.SplitSeq(same, "=") {
			i, err := index(options, name)
			if err != nil {
				return nil, fmt.Errorf("write the options with > between them, the best first, as b>a, or - for none; %w", err)
			}
			if m[i] != 0 {
				return nil, fmt.Errorf("%s stands twice", options[i])
			}
			m[i] = uint8(rank)
		}
	}
	return m, f.Valid(options, m)
}

// Line is the options by rank, equal ones in the order of options.
func (Ranking) Line(options []string, m Marks) Choice {
	var b strings.Builder
	var last uint8
	for _, o := range ByRank(m) {
		switch last {
		case 0:
		case m[o]:
			b.WriteByte('=')
		default:
			b.WriteByte('>')
		}
		last = m[o]
		b.WriteString(options[o])
	}
	if b.Len() == 0 {
		return Blank
	}
	return Choice(b.String())
}

// ByRank are the indexes of ranked options, the best first, equal ones in order.
func ByRank(m Marks) []int {
	list := make([]int, 0, len(m))
	for i, v := range m {
		if v != 0 {
			list = append(list, i)
		}
	}
	slices.SortStableFunc(list, func(a, b int) int { return cmp.Compare(m[a], m[b]) })
	return list
}

// Valid requires ranks without a gap, and of a strict ranking no two equal ones.
func (f Ranking) Valid(options []string, m Marks) error {
	if err := checkLen(options, m); err != nil {
		return err
	}
	var seen [256 / 64]uint64 // a bit for each rank
	ranks, most := 0, uint8(0)
	for _, v := range m {
		if v == 0 {
			continue
		}
		switch bit := uint64(1) << (v % 64); {
		case seen[v/64]&bit == 0:
			seen[v/64] |= bit
			ranks, most = ranks+1, max(most, v)
		case f.Strict:
			return errors.New("this method takes no equal ranks: write > between all options")
		}
	}
	if ranks != int(most) {
		return errors.New("a rank is left out")
	}
	return nil
}

// Scores is the form of ballots that give options numbers, as "a:3,b:1".
type Scores struct {
	Top uint64 // the highest, at most 255
	// Credits bound the sum of squares, 0 if nothing does.
	Credits uint64
}

// Parse reads options with their numbers and commas between them, or a dash for
// none. An option left out has 0.
func (f Scores) Parse(options []string, line string) (Marks, error) {
	m, seen := make(Marks, len(options)), make([]bool, len(options))
	if strings.TrimSpace(line) == Blank {
		return m, nil
	}
	for part := range strings.SplitSeq(line, ",") {
		name, number, ok := strings.Cut(part, ":")
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 8)
		if !ok || err != nil || n > f.Top {
			return nil, fmt.Errorf("write each option with a number from 0 to %d, as %s:%d, and commas between them, or - for none", f.Top, options[0], f.Top)
		}
		i, err := index(options, name)
		if err != nil {
			return nil, err
		}
		if seen[i] {
			return nil, fmt.Errorf("%s stands twice", options[i])
		}
		seen[i], m[i] = true, uint8(n)
	}
	return m, f.Valid(options, m)
}

// Line is the options with a number over 0, in order.
func (Scores) Line(options []string, m Marks) Choice {
	var parts []string
	for i, v := range m {
		if v != 0 {
			parts = append(parts, options[i]+":"+strconv.Itoa(int(v)))
		}
	}
	return joined(parts, ",")
}

// Valid requires numbers in bounds, that cost no more than the credits.
func (f Scores) Valid(options []string, m Marks) error {
	if err := checkLen(options, m); err != nil {
		return err
	}
	var cost uint64
	for _, v := range m {
		if uint64(v) > f.Top {
			return fmt.Errorf("a number over %d", f.Top)
		}
		cost += uint64(v) * uint64(v)
	}
	if f.Credits != 0 && cost > f.Credits {
		return fmt.Errorf("these votes cost %d credits, and a voter has %d: n votes for one option cost n times n", cost, f.Credits)
	}
	return nil
}
