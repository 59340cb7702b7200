package bundle

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/metastate-p2p/metastate/protocol"
)

// A section is a block as found. If damaged says why it can't be used, id is
// what its CID claims, as far as that could be found, and data is nil.
type section struct {
	offset  int64
	id      protocol.ID
	data    []byte
	damaged string
}

const (
	// resyncWindow is how far one search for a lost section looks at a time.
	resyncWindow = 4 << 10
	// hashAllowance and hashFactor bound the work on sections that only seem
	// to begin: hashing no more than a multiple of what was read keeps it
	// linear for any file.
	hashAllowance = 1 << 20
	hashFactor    = 4
)

// A scanner takes sections off a stream and finds them again when framing is
// lost. Its buffer holds the largest section with the start of the next.
type scanner struct {
	r      *bufio.Reader
	prefix []byte // of the CIDs of its sections
	offset int64
	tried  int64 // bytes hashed in vain, or to find lost framing
	err    error // of the stream, other than its end
}

func newScanner(r io.Reader) scanner {
	return scanner{r: bufio.NewReaderSize(r, 2*maxVarint+maxSection+cidSize+resyncWindow), prefix: cidPrefix}
}

// peek returns the next n bytes, fewer only at the end of the stream. The
// slice holds until the next peek.
func (s *scanner) peek(n int) []byte {
	b, err := s.r.Peek(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return b
}

func (s *scanner) discard(n int) {
	n, _ = s.r.Discard(n) // no error: what is discarded was peeked
	s.offset += int64(n)
}

// next returns the next section, ok false at the end of the stream.
func (s *scanner) next() (sec section, ok bool) {
	head := s.peek(maxVarint + cidSize)
	if len(head) == 0 || s.err != nil {
		return section{}, false
	}
	sec = section{offset: s.offset, id: claimedID(s.prefix, head)}
	if n, width := readVarint(head); width > 0 && s.takeFramed(&sec, width, n) {
		return sec, true
	}
	sec.damaged = "framing damaged"
	if s.resync(); len(s.peek(1)) == 0 {
		sec.damaged = "framing damaged or file cut short"
	}
	return sec, s.err == nil
}

// takeFramed takes a section whose framing is believed, because its block is
// sound or because another section starts where it ends.
func (s *scanner) takeFramed(sec *section, width, n int) bool {
	framed := s.startsAt(width + n)
	switch data := soundBlock(s.prefix, s.peek(width + n)[width:], n); {
	case data != nil:
		sec.data = bytes.Clone(data)
	case framed:
		sec.damaged = "content and CID do not match"
	default:
		s.tried += int64(n) // paid for by finding less of what follows
		return false
	}
	s.discard(width + n)
	return true
}

// soundBlock returns the block of a section of n bytes at the start of b if it
// is whole and matches its CID, or nil. No block is empty.
func soundBlock(prefix, b []byte, n int) []byte {
	if len(b) < n || !bytes.HasPrefix(b, prefix) {
		return nil
	}
	id := protocol.ID(b[len(prefix):cidSize])
	if data := b[cidSize:n]; protocol.Sum(data) == id {
		return data
	}
	return nil
}

// claimedID returns the digest in the first CID of a section's first bytes,
// wherever a damaged varint left it, or where an undamaged one puts it.
func claimedID(prefix, head []byte) (id protocol.ID) {
	i := bytes.Index(head, prefix)
	if _, width := readVarint(head); i < 0 && width > 0 {
		i = width
	}
	if i >= 0 && i+cidSize <= len(head) {
		copy(id[:], head[i+len(prefix):])
	}
	return id
}

// startsAt reports whether a section seems to start n bytes ahead, or the
// stream ends there.
func (s *scanner) startsAt(n int) bool {
	b := s.peek(n + maxVarint + len(cidPrefix))
	if len(b) < n {
		return false
	}
	b = b[n:]
	_, width := readVarint(b)
	return len(b) == 0 || (width > 0 && bytes.HasPrefix(b[width:], s.prefix))
}

// resync moves on, by a byte at least, to the next section that is sound, or
// to the end of the stream.
func (s *scanner) resync() {
	s.discard(1)
	for s.err == nil {
		b := s.peek(resyncWindow)
		i := bytes.Index(b, s.prefix)
		if i < 0 {
			keep := maxVarint + len(cidPrefix) - 1
			if len(b) < resyncWindow {
				keep = 0
			}
			s.discard(len(b) - keep)
			if keep == 0 {
				return
			}
			continue
		}
		lead := min(i, maxVarint)
		s.discard(i - lead)
		for width := 1; width <= lead; width++ {
			if s.soundAt(lead-width, width) {
				s.discard(lead - width)
				return
			}
		}
		s.discard(lead + 1)
	}
}

// soundAt reports whether a sound section starts skip bytes ahead with a
// varint of the given width.
func (s *scanner) soundAt(skip, width int) bool {
	n, got := readVarint(s.peek(skip + width)[skip:])
	if got != width || !s.affords(n) {
		return false
	}
	s.tried += int64(n)
	b := s.peek(skip + width + n)
	return len(b) > skip+width && soundBlock(s.prefix, b[skip+width:], n) != nil
}

// affords reports whether n more bytes may be hashed in vain.
func (s *scanner) affords(n int) bool {
	return s.tried+int64(n) <= hashAllowance+hashFactor*s.offset
}
