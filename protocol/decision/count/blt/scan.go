package blt

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// scanner splits a file into words and, at its end, names.
type scanner struct {
	r    *bufio.Reader
	line int // of the byte read last, from 1
	last byte
	back bool // the byte read last is to be read again
	buf  []byte
}

func newScanner(r io.Reader) (*scanner, error) {
	s := &scanner{r: bufio.NewReaderSize(r, 1<<16), line: 1, buf: make([]byte, 0, maxToken)}
	switch mark, _ := s.r.Peek(3); {
	case bytes.Equal(mark, []byte("\xef\xbb\xbf")):
		_, _ = s.r.Discard(3)
	case bytes.HasPrefix(mark, []byte("\xff\xfe")), bytes.HasPrefix(mark, []byte("\xfe\xff")):
		return nil, errors.New("blt: the file is in UTF-16: save it as UTF-8")
	}
	return s, nil
}

// at is an error on a line.
func at(line int, format string, args ...any) error {
	return fmt.Errorf("blt: line %d: %w", line, fmt.Errorf(format, args...))
}

func (s *scanner) errorf(format string, args ...any) error { return at(s.line, format, args...) }

// byte reads a byte. All kinds of line breaks read as \n.
func (s *scanner) byte() (byte, error) {
	if s.back {
		s.back = false
		return s.last, nil
	}
	if s.last == '\n' {
		s.line++
	}
	c, err := s.r.ReadByte()
	if err != nil {
		s.last = 0
		if err != io.EOF {
			err = fmt.Errorf("blt: reading: %w", err)
		}
		return 0, err
	}
	if c == '\r' {
		if next, err := s.r.ReadByte(); err == nil && next != '\n' {
			_ = s.r.UnreadByte()
		}
		c = '\n'
	}
	s.last = c
	return c, nil
}

func space(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// word reads the next word, which is valid until the next call, and leaves
// comments out. It ends with io.EOF.
func (s *scanner) word() ([]byte, error) {
	if w := s.quick(); w != nil {
		return w, nil
	}
	depth := 0
	for {
		w, err := s.raw(depth > 0)
		if err != nil {
			if depth > 0 && err == io.EOF {
				return nil, s.errorf("a comment that begins with /* does not end: write */ after it")
			}
			return nil, err
		}
		if bytes.HasPrefix(w, []byte("/*")) {
			depth++
		}
		switch {
		case depth == 0:
			return w, nil
		case bytes.HasSuffix(w, []byte("*/")):
			depth--
		}
	}
}

// quick is the next word if it is a number or numbers joined by =, as almost all
// are, and no byte before it needs care; nil if not.
func (s *scanner) quick() []byte {
	if s.back && !space(s.last) {
		return nil
	}
	ahead, _ := s.r.Peek(min(s.r.Buffered(), maxToken))
	from, last := 0, s.last
	line := s.line
	for from < len(ahead) && (ahead[from] == ' ' || ahead[from] == '\n') {
		if last == '\n' {
			line++
		}
		last = ahead[from]
		from++
	}
	to := from
	for to < len(ahead) && (ahead[to] >= '0' && ahead[to] <= '9' || ahead[to] == '=') {
		to++
	}
	if to == from || to == len(ahead) || ahead[to] != ' ' && ahead[to] != '\n' {
		return nil
	}
	if last == '\n' {
		line++
	}
	s.line, s.last, s.back = line, '0', false
	_, _ = s.r.Discard(to) // of what is buffered, which the word stays in
	return ahead[from:to]
}

// raw reads bytes up to white space. A # is a comment up to the end of its line,
// except within another comment, where words may be of any length and only the
// first and last two bytes of them are right.
func (s *scanner) raw(comment bool) ([]byte, error) {
	s.buf = s.buf[:0]
	for {
		c, err := s.byte()
		switch {
		case err == io.EOF && len(s.buf) > 0:
			return s.buf, nil
		case err != nil:
			return nil, err
		case c == '#' && !comment:
			if len(s.buf) > 0 {
				s.back = true
				return s.buf, nil
			}
			if err := s.skipLine(); err != nil {
				return nil, err
			}
		case space(c):
			if len(s.buf) > 0 {
				s.back = true // the line is still that of the word
				return s.buf, nil
			}
		case len(s.buf) < maxToken:
			if c == '"' && len(s.buf) == 0 && !comment {
				s.back = true
				return s.buf, nil // a name; nothing else begins with a quote
			}
			s.buf = append(s.buf, c)
		case comment || bytes.HasPrefix(s.buf, []byte("/*")):
			copy(s.buf[maxToken-2:], []byte{s.buf[maxToken-1], c})
		default:
			return nil, s.errorf("a word of more than %d bytes: is it a BLT file? The first line is the number of candidates and of seats", maxToken)
		}
	}
}

func (s *scanner) skipLine() error {
	for {
		c, err := s.byte()
		if err != nil {
			return err
		}
		if c == '\n' {
			return nil
		}
	}
}

// rest reads up to the end of the line, without comments that begin before text.
// It ends with io.EOF.
func (s *scanner) rest() ([]byte, int, error) {
	const most = 4 * count.MaxName
	var b []byte
	for {
		c, err := s.byte()
		if err == io.EOF && len(b) > 0 {
			return b, s.line, nil
		}
		if err != nil {
			return nil, s.line, err
		}
		if c == '\n' {
			return b, s.line, nil
		}
		if len(b) == most {
			return nil, s.line, s.errorf("the line is longer than %d bytes", most)
		}
		b = append(b, c)
	}
}
