package blt

import (
	"bytes"
	"io"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// reader builds an election from words.
type reader struct {
	*scanner
	e      Election
	n      int // candidates
	nicks  map[string]int
	tie    []int
	tieAt  int // line of it
	groups *groups
	ids    map[string]bool
	plain  bool // ballots have weights, not ids
	total  uint64
}

// Read reads a file to where its title ends. How large a file may be is for the
// caller to say, by what it reads from.
func Read(from io.Reader) (*Election, error) {
	s, err := newScanner(from)
	if err != nil {
		return nil, err
	}
	r := reader{scanner: s, groups: newGroups(), ids: map[string]bool{}, nicks: map[string]int{}}
	for _, step := range []func() error{r.header, r.ballots, r.names} {
		if err := step(); err == io.EOF {
			return nil, r.errorf("the file ends too early: after the ballots stand a line with 0, a name for each candidate and a title")
		} else if err != nil {
			return nil, err
		}
	}
	r.e.Ballots = r.groups.ballots
	return &r.e, nil
}

func (r *reader) header() error {
	candidates, err := r.number("the number of candidates")
	if err != nil {
		return err
	}
	r.e.Seats, err = r.number("the number of seats")
	if err != nil {
		return err
	}
	if candidates > count.MaxOptions {
		candidates = count.MaxOptions + 1
	}
	if err := bounds(int(candidates), r.e.Seats); err != nil {
		return r.errorf("%w: the file begins with their numbers", err)
	}
	r.n = int(candidates)
	return nil
}

func (r *reader) number(what string) (uint64, error) {
	w, err := r.word()
	if err != nil {
		return 0, err
	}
	n, ok := decimal(w)
	if !ok {
		return 0, r.errorf("%q stands where %s is expected, a whole number", w, what)
	}
	return n, nil
}

// decimal reads digits, up to a number of no use.
func decimal(w []byte) (n uint64, ok bool) {
	for _, c := range w {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+uint64(c-'0'), count.MaxTotal+1)
	}
	return n, len(w) > 0
}

// ballots reads what stands before the names: options, the withdrawn, ballots.
func (r *reader) ballots() error {
	head, marks := true, make(count.Marks, r.n)
	for {
		w, err := r.word()
		if err != nil {
			return err
		}
		switch {
		case len(w) == 0:
			return r.errorf("a name stands before the end of the ballots: end them with a line that is 0")
		case head && w[0] == '[':
			err = r.option(string(w[1:]))
		case head && w[0] == '-':
			err = r.withdraw(string(w[1:]))
		default:
			if head {
				head, err = false, r.settleTie()
			}
			weight := uint64(0)
			if err == nil {
				weight, err = r.weight(w)
			}
			if err == nil && weight == 0 {
				return nil
			}
			if err == nil {
				err = r.ballot(weight, marks)
			}
		}
		if err != nil {
			return err
		}
	}
}

// candidate finds a candidate by number or nick.
func (r *reader) candidate(w []byte) (int, error) {
	if n, ok := decimal(w); ok {
		if n < 1 || n > uint64(r.n) {
			return 0, r.errorf("%s is the number of no candidate, they go from 1 to %d", w, r.n)
		}
		return int(n - 1), nil
	}
	i, ok := r.nicks[string(w)]
	switch {
	case ok:
		return i, nil
	case bytes.ContainsAny(w, "()"):
		return 0, r.errorf("%q stands where a candidate is expected: join equal candidates with =, as 2=3", w)
	case len(r.nicks) == 0:
		return 0, r.errorf("%q stands where a candidate is expected: write the candidate's number, from 1 to %d, or give nicks in a [nick …] line before", w, r.n)
	}
	return 0, r.errorf("%q is neither a candidate's number nor a nick of the [nick …] line", w)
}

func (r *reader) withdraw(w string) error {
	i, err := r.candidate([]byte(w))
	if err != nil {
		return err
	}
	if r.e.Withdrawn == nil {
		r.e.Withdrawn = make([]bool, r.n)
	}
	if r.e.Withdrawn[i] {
		return r.errorf("candidate %d is withdrawn twice", i+1)
	}
	r.e.Withdrawn[i] = true
	return nil
}

// option reads a line in brackets, whose first word begins with name.
func (r *reader) option(name string) error {
	name, ended := strings.CutSuffix(name, "]")
	var list []string
	for !ended {
		w, err := r.word()
		if err != nil {
			return err
		}
		word, last := bytes.CutSuffix(w, []byte("]"))
		if len(w) == 0 || len(list) > 2*count.MaxOptions {
			return r.errorf("the [%s line does not end: write ] after it", name)
		}
		if ended = last; len(word) > 0 {
			list = append(list, string(word))
		}
	}
	switch name {
	case "nick":
		return r.nick(list)
	case "tie":
		if r.tie != nil {
			return r.errorf("a second [tie …] line: write one")
		}
		r.tie, r.tieAt = []int{}, r.line
		for _, w := range list {
			i, err := r.candidate([]byte(w))
			if err != nil {
				return err
			}
			r.tie = append(r.tie, i)
		}
	case "withdrawn":
		for _, w := range list {
			if err := r.withdraw(w); err != nil {
				return err
			}
		}
	case "droop", "undeclared":
	default:
		return r.errorf("an option [%s …] is not known: there are nick, tie and withdrawn", name)
	}
	return nil
}

func (r *reader) nick(list []string) error {
	if len(list) != r.n || len(r.nicks) > 0 {
		return r.errorf("the [nick …] line has %d names: write one line with one for each of %d candidates", len(list), r.n)
	}
	for i, nick := range list {
		if n, ok := decimal([]byte(nick)); ok && n != uint64(i+1) {
			return r.errorf("the nick %s of candidate %d is read as a candidate's number: write a word", nick, i+1)
		}
		if _, ok := r.nicks[nick]; ok || strings.ContainsRune(nick, '=') || nick == "-" {
			return r.errorf("the nick %q stands twice, is a dash or has an = in it", nick)
		}
		r.nicks[nick] = i
	}
	return nil
}

// settleTie completes the order for ties with those withdrawn.
func (r *reader) settleTie() error {
	if r.tie == nil {
		return nil
	}
	listed := make([]bool, r.n)
	for _, i := range r.tie {
		listed[i] = true
	}
	for i, out := range r.e.Withdrawn {
		if out && !listed[i] {
			r.tie = append(r.tie, i)
		}
	}
	if err := each(r.tie, r.n); err != nil {
		return at(r.tieAt, "%w", err)
	}
	r.e.Tie = r.tie
	return nil
}

// weight reads how many made a ballot, or its id; 0 ends the ballots.
func (r *reader) weight(w []byte) (uint64, error) {
	if w[0] != '(' {
		n, ok := decimal(w)
		switch {
		case !ok:
			return 0, r.errorf("%q stands where a ballot's weight is expected, a whole number, or 0 after the last ballot", w)
		case n == 0:
			return 0, nil
		case len(r.ids) > 0:
			return 0, r.errorf("a ballot without an id in parentheses, which those before have")
		}
		r.plain = true
		return n, nil
	}
	const most = 1000
	id := bytes.Clone(w[1:])
	for !bytes.HasSuffix(id, []byte(")")) {
		w, err := r.word()
		if err != nil {
			return 0, err
		}
		if len(w) == 0 || len(id) > most {
			return 0, r.errorf("a ballot's id does not end: write ) after it")
		}
		id = append(append(id, ' '), w...)
	}
	key := strings.TrimSpace(string(id[:len(id)-1]))
	if r.ids[key] || r.plain {
		return 0, r.errorf("the ballot's id %q stands twice, or ballots before have none", key)
	}
	r.ids[key] = true
	return 1, nil
}

// ballot reads the candidates of a ballot and counts it.
func (r *reader) ballot(weight uint64, marks count.Marks) error {
	clear(marks)
	if r.total += weight; weight > count.MaxTotal || r.total > count.MaxTotal {
		return r.errorf("more ballots than can be counted")
	}
	rank := uint8(0)
	for {
		w, err := r.word()
		if err != nil {
			return err
		}
		if len(w) == 1 && (w[0] == '0' || w[0] == '-') {
			if w[0] == '0' {
				break
			}
			continue
		}
		if len(w) == 0 {
			return r.errorf("a name stands within a ballot: end each ballot with 0, and the ballots with a line that is 0")
		}
		rank++
		for more := true; more; {
			part := w
			if to := bytes.IndexByte(w, '='); to >= 0 {
				part, w = w[:to], w[to+1:]
			} else {
				more = false
			}
			i, err := r.candidate(part)
			if err != nil {
				return err
			}
			if marks[i] != 0 {
				return r.errorf("candidate %d stands twice on a ballot: does the ballot end with 0?", i+1)
			}
			marks[i] = rank
		}
	}
	r.groups.add(marks, weight)
	return nil
}
