// Package slip carries a few kilobytes as texts, each short enough for one QR code
// (SPEC §9.2): shown one after the other on a screen, read with a camera by whoever
// has no other way, in any order and as often as it takes.
//
//	for _, text := range slips { show(text) }  // here
//	p.Add(text) … p.Messages()                 // there
//
// A slip is
//
//	METASTATE:S/1/ base32(id 16 ‖ index 1 ‖ count 1 ‖ part ‖ check 4)
//
// in letters and digits that QR codes hold densely. Its check tells a slip that was
// misread from a sound one; the id, a hash of the whole message, tells whether
// parts belong together. Neither says who made it: that is for what reads the
// message.
package slip

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

const (
	// Prefix begins every slip.
	Prefix = "METASTATE:S/1/"
	// MaxMessage is the largest message in bytes.
	MaxMessage = 8 << 10
	// MaxSlips is the most slips of one message.
	MaxSlips = 64
	// MaxText is the longest slip in characters: a QR code of 61 modules a side at
	// error correction level M holds it.
	MaxText = len(Prefix) + (8*maxSlip+4)/5

	idSize    = 16
	checkSize = 4
	headSize  = idSize + 2
	maxPart   = 198
	maxSlip   = headSize + maxPart + checkSize

	// maxMessages bounds those that are put together at once.
	maxMessages = 16
)

// Errors of slips.
var (
	// ErrNotSlip is wrapped when a text is no slip.
	ErrNotSlip = errors.New("not a slip")
	// ErrMisread is wrapped when a slip was changed on its way.
	ErrMisread = errors.New("a slip that was misread")
	// ErrConflict is wrapped when a slip contradicts one that was added.
	ErrConflict = errors.New("a slip that contradicts another")
	// ErrTooMuch is wrapped when a message, or a pile of them, is too large.
	ErrTooMuch = errors.New("too much for slips")
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func hash(kind string, b []byte) []byte {
	h := sha256.New()
	h.Write([]byte("metastate/slip-" + kind + "/v1\x00"))
	h.Write(b)
	return h.Sum(nil)
}

// Split returns the slips of a message of 1 to MaxMessage bytes, as few as hold it
// and of about one length.
func Split(message []byte) ([]string, error) {
	if len(message) == 0 || len(message) > MaxMessage {
		return nil, fmt.Errorf("slip: %w: %d bytes, not 1 to %d", ErrTooMuch, len(message), MaxMessage)
	}
	count := (len(message) + maxPart - 1) / maxPart
	size := (len(message) + count - 1) / count
	id := hash("message", message)[:idSize]
	var slips []string
	for i := range count {
		part := message[min(i*size, len(message)):min((i+1)*size, len(message))]
		b := append(append(bytes.Clone(id), byte(i), byte(count)), part...)
		b = append(b, hash("check", b)[:checkSize]...)
		slips = append(slips, Prefix+encoding.EncodeToString(b))
	}
	return slips, nil
}

// parse takes a slip apart.
func parse(text string) (id [idSize]byte, index, count int, part []byte, err error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	body, ok := strings.CutPrefix(text, Prefix)
	if !ok {
		return id, 0, 0, nil, fmt.Errorf("slip: %w: it does not begin with %s", ErrNotSlip, Prefix)
	}
	if len(text) > MaxText {
		return id, 0, 0, nil, fmt.Errorf("slip: %w: %d characters", ErrNotSlip, len(text))
	}
	b, err := encoding.DecodeString(body)
	if err != nil || len(b) <= headSize+checkSize || encoding.EncodeToString(b) != body {
		return id, 0, 0, nil, fmt.Errorf("slip: %w", ErrMisread)
	}
	b, check := b[:len(b)-checkSize], b[len(b)-checkSize:]
	index, count = int(b[idSize]), int(b[idSize+1])
	if !bytes.Equal(check, hash("check", b)[:checkSize]) || count > MaxSlips || index >= count {
		return id, 0, 0, nil, fmt.Errorf("slip: %w", ErrMisread)
	}
	return [idSize]byte(b), index, count, b[headSize:], nil
}

// A Pile puts messages together. The zero Pile is empty. It serves one goroutine.
type Pile struct {
	heaps []*heap // as their first slips came
}

type heap struct {
	id    [idSize]byte
	parts [][]byte // nil where one is missing
}

// Add takes a slip, in any order and as often as it comes.
func (p *Pile) Add(text string) error {
	id, index, count, part, err := parse(text)
	if err != nil {
		return err
	}
	h := p.heap(id)
	if h == nil {
		if len(p.heaps) == maxMessages {
			return fmt.Errorf("slip: %w: of more than %d messages", ErrTooMuch, maxMessages)
		}
		h = &heap{id, make([][]byte, count)}
		p.heaps = append(p.heaps, h)
	}
	if len(h.parts) != count || h.parts[index] != nil && !bytes.Equal(h.parts[index], part) {
		return fmt.Errorf("slip: %w", ErrConflict)
	}
	h.parts[index] = part
	return nil
}

func (p *Pile) heap(id [idSize]byte) *heap {
	for _, h := range p.heaps {
		if h.id == id {
			return h
		}
	}
	return nil
}

// A Message is what was put together: whole, or with parts missing.
type Message struct {
	Body    []byte // nil unless whole
	Missing []int  // slips that are missing, from 1
	Count   int    // of slips
	Err     error  // wraps ErrConflict if the parts do not make the message that they are of
}

// Messages are those of which slips were added, in that order.
func (p *Pile) Messages() (all []Message) {
	for _, h := range p.heaps {
		m := Message{Count: len(h.parts)}
		for i, part := range h.parts {
			if part == nil {
				m.Missing = append(m.Missing, i+1)
			}
		}
		if len(m.Missing) == 0 {
			body := bytes.Join(h.parts, nil)
			if len(body) <= MaxMessage && bytes.Equal(hash("message", body)[:idSize], h.id[:]) {
				m.Body = body
			} else {
				m.Err = fmt.Errorf("slip: %w: the parts do not make a whole", ErrConflict)
			}
		}
		all = append(all, m)
	}
	return all
}
