package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// envelope is the one object that --json prints.
type envelope[T any] struct {
	V     int      `json:"v"`
	OK    bool     `json:"ok"`
	Data  *T       `json:"data,omitempty"`
	Error *failure `json:"error,omitempty"`
}

// emit prints an answer: as one JSON object, or for people as show does.
func emit[T any](a *app, v T, show func(*page, T)) error {
	if a.opts.json {
		return a.emitJSON(envelope[T]{V: 1, OK: true, Data: &v}.line)
	}
	if a.opts.quiet {
		return nil
	}
	p := &page{plain: a.opts.plain, asTyped: a.asTyped, width: a.width()}
	show(p, v)
	return a.write(p.buf.Bytes())
}

// line is the object on one line.
func (e envelope[T]) line() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // ends the line
	enc.SetEscapeHTML(false)   // links hold '&'
	err := enc.Encode(e)
	return b.Bytes(), err
}

func (a *app) emitJSON(line func() ([]byte, error)) error {
	b, err := line()
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return a.write(b)
}

func (a *app) write(b []byte) error {
	if _, err := a.stdout.Write(b); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// fail prints a failure and returns its exit code: with --json on stdout as one
// object, else on stderr, in one line and one more for what to do next.
func (a *app) fail(f *failure) int {
	f.Hint = a.asTyped(f.Hint)
	if a.opts.json {
		e := envelope[json.RawMessage]{V: 1, Error: f}
		if f.data != nil {
			e.Data = &f.data
		}
		if err := a.emitJSON(e.line); err != nil {
			fmt.Fprintln(a.stderr, "error:", clean(err.Error()))
		}
		return f.Exit
	}
	p := &page{plain: a.opts.plain}
	p.line("error: %s", f.Message)
	for _, d := range f.Details {
		p.line("  %s", d)
	}
	if f.Hint != "" && !a.opts.plain {
		p.line("next:  %s", f.Hint)
	}
	_, _ = a.stderr.Write(p.buf.Bytes()) // there is nowhere else to say it
	return f.Exit
}

// page is an answer written for people. What others wrote cannot move the
// cursor or turn text around in it.
type page struct {
	buf     bytes.Buffer
	plain   bool
	asTyped func(string) string // see app.asTyped; nil leaves commands as they are
	width   int                 // columns of the terminal that it is shown on, 0 if on none
}

// line adds a line.
func (p *page) line(format string, args ...any) {
	p.buf.WriteString(clean(fmt.Sprintf(format, args...)))
	p.buf.WriteByte('\n')
}

// text adds lines as they are.
func (p *page) text(s string) {
	for line := range strings.Lines(s) {
		p.line("%s", strings.TrimSuffix(line, "\n"))
	}
}

// say adds a line of ours that names commands.
func (p *page) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.asTyped != nil {
		text = p.asTyped(text)
	}
	p.line("%s", text)
}

// next says what to do next, set off from the answer.
func (p *page) next(format string, args ...any) {
	if !p.plain {
		p.line("")
		p.say("next: "+format, args...)
	}
}

// fields adds names and values in two columns.
func (p *page) fields(pairs ...string) {
	var rows [][]string
	for i := 0; i+1 < len(pairs); i += 2 {
		rows = append(rows, []string{pairs[i], pairs[i+1]})
	}
	p.columns(rows)
}

// table adds rows under a heading, or what to say where there are none.
func (p *page) table(none string, heading []string, rows [][]string) {
	if len(rows) == 0 {
		if !p.plain {
			p.say("%s", none)
		}
		return
	}
	if !p.plain {
		rows = append([][]string{heading}, rows...)
	}
	p.columns(rows)
}

func (p *page) columns(rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			row[i] = clean(cell)
			width[i] = max(width[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			p.buf.WriteString(cell)
			switch {
			case i == len(row)-1:
			case p.plain:
				p.buf.WriteByte('\t')
			default:
				p.buf.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		p.buf.WriteByte('\n')
	}
}

// clean makes one line of s and takes out what would act on a terminal: control
// characters, and marks that turn the direction of text.
func clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), r == '\u2028', r == '\u2029',
			r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069', r == '\u200E', r == '\u200F', r == '\u061C':
			return '\uFFFD'
		}
		return r
	}, s)
}

// when writes a time for people.
func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// yesNo writes a truth for people.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// orDash writes a dash for nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
