package blt

import (
	"io"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// names reads the candidates' names and the title.
func (r *reader) names() error {
	texts, err := r.texts(r.n + 1)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, t := range texts[:r.n] {
		if err := count.Distinct(t.s, seen); err != nil {
			return at(t.line, "%w", err)
		}
		r.e.Names = append(r.e.Names, t.s)
	}
	title := texts[r.n]
	if r.e.Title = title.s; title.s != "" {
		if err := count.CheckText("title", title.s); err != nil {
			return at(title.line, "%w", err)
		}
	}
	return nil
}

// a text is a name or a title.
type text struct {
	s      string
	line   int
	quoted bool
}

// texts reads lines up to where they have n texts. Where each candidate's line
// has two texts with quotes, as councils publish it, they are the name and the
// party, and only the first is meant; the title then has the line after them.
func (r *reader) texts(n int) ([]text, error) {
	var list, first []text // first of those lines that have pairs; nil once one has not
	depth, oneLine, paired := 0, true, true
	for len(list) < n || paired && len(list) > 0 {
		b, line, err := r.rest()
		if err == io.EOF && oneLine {
			list = words(list)
		}
		if err == io.EOF && len(list) < n {
			return nil, at(line, "the file has %d names and titles and should have %d: a name for each of %d candidates, and a title", len(list), n, n-1)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		had := len(list)
		if list, depth, err = split(list, unescaped(string(b), depth), line, depth); err != nil && had < n {
			return nil, err
		}
		oneLine = oneLine && (had == 0 || had == len(list))
		switch now := list[had:]; {
		case err != nil:
			paired = false // it follows the title
		case len(now) == 0:
		case paired && len(first) == n-1:
			return append(first, now[0]), nil
		case len(now) == 2 && now[0].quoted && now[1].quoted:
			first = append(first, now[0])
		default:
			paired = false
		}
	}
	return list[:n], nil
}

// unescaped is a line without the quotes around it, and each two quotes in it as
// one, if spreadsheets have written it so: as """Ann"" ""Greens""".
func unescaped(line string, depth int) string {
	s := strings.TrimSpace(line)
	inner, ok := strings.CutPrefix(s, `"`)
	inner, ok2 := strings.CutSuffix(inner, `"`)
	if !ok || !ok2 || depth > 0 || !strings.Contains(inner, `""`) || strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`) {
		return line
	}
	inner = strings.TrimSpace(strings.ReplaceAll(inner, `""`, `"`))
	if strings.HasPrefix(inner, `"`) {
		return inner
	}
	return `"` + inner + `"`
}

// words makes texts of the words of those without quotes.
func words(list []text) []text {
	var out []text
	for _, t := range list {
		if t.quoted {
			out = append(out, t)
			continue
		}
		for _, w := range strings.Fields(t.s) {
			out = append(out, text{s: w, line: t.line})
		}
	}
	return out
}

// split adds the texts of a line. Depth is in how many comments it begins, and
// ends.
func split(list []text, s string, line, depth int) ([]text, int, error) {
	for first := true; ; first = false {
		s = strings.TrimSpace(s)
		switch {
		case s == "":
			return list, depth, nil
		case depth > 0 || strings.HasPrefix(s, "/*"):
			var w string
			w, s, _ = strings.Cut(s, " ")
			if strings.HasPrefix(w, "/*") {
				depth++
			}
			if strings.HasSuffix(w, "*/") {
				depth--
			}
		case s[0] == '#':
			return list, depth, nil
		case s[0] == '"':
			end := closing(s, first)
			if end < 0 {
				return nil, 0, at(line, "the name %.40s has no closing quote on its line", s)
			}
			list = append(list, text{strings.TrimSpace(s[1:end]), line, true})
			s = s[end+1:]
		default:
			end := len(s)
			for _, mark := range []string{` "`, " #", " /*"} {
				if i := strings.Index(s[:end], mark); i >= 0 {
					end = i
				}
			}
			list = append(list, text{s: strings.TrimSpace(s[:end]), line: line})
			s = s[end:]
		}
	}
}

// closing finds the quote that ends what the first one begins: one after which
// there is white space or a comment, or the line ends. Where a name has its line
// for itself it may have such quotes in it, as "William "Bill" Smith".
func closing(s string, first bool) int {
	spaced := -1
	for i := 1; i < len(s); i++ {
		if s[i] != '"' || i+1 < len(s) && !space(s[i+1]) && s[i+1] != '#' {
			continue
		}
		after := strings.TrimSpace(s[i+1:])
		if !first || after == "" || after[0] == '"' || after[0] == '#' || strings.HasPrefix(after, "/*") {
			return i
		}
		if spaced < 0 {
			spaced = i
		}
	}
	return spaced
}
