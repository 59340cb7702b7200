package bundle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// NewReader begins to read a bundle. Its errors wrap [ErrNotCAR] or
// [ErrNotBundle], or are the underlying reader's. A bundle whose beginning is
// damaged is read all the same, as long as it can be told to be one.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{scan: newScanner(src), digest: newDigest()}
	err := r.open()
	if r.scan.err != nil {
		return nil, r.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: opening: %w", err)
	}
	return r, nil
}

// NewSealedReader begins to read a bundle that was unlocked. Offsets are then of
// the sealed block that holds the place. Errors are as those of [NewReader].
func NewSealedReader(o *Opener) (*Reader, error) {
	r, err := NewReader(o)
	if err != nil {
		return nil, err
	}
	r.sealed = o
	return r, nil
}

// open reads header and manifest. Each proves the other: a sound manifest
// tells what the header was, and a header tells that what follows was a
// manifest.
func (r *Reader) open() error {
	h := bytes.Clone(r.scan.peek(headerSize))
	if m, root, size := r.scan.manifestAt(headerSize); size > 0 {
		r.manifest, r.known = m, true
		for i, b := range header(root) {
			if h[i] != b {
				r.opening = append(r.opening, Problem{Offset: int64(i), Reason: "the CAR header is damaged"})
				break
			}
		}
		r.scan.discard(headerSize + size)
		return nil
	}
	if len(h) == 0 || !headerShaped(h) {
		return r.scan.foreign()
	}
	r.scan.discard(len(h))
	if len(h) < headerSize {
		r.opening = append(r.opening, Problem{Offset: int64(len(h)), Reason: "the file is cut short in its CAR header"})
		return nil
	}
	sec, ok := r.scan.next()
	if ok && sec.damaged == "" {
		_, err := parseManifest(sec.data)
		return fmt.Errorf("%w: its root: %v", ErrNotBundle, err)
	}
	r.opening = append(r.opening, Problem{Offset: headerSize, Reason: "the manifest is damaged or missing"})
	return nil
}

// manifestAt looks for a sound section with a manifest skip bytes ahead. It
// returns its size with framing, 0 if there is none.
func (s *scanner) manifestAt(skip int) (m Manifest, id protocol.ID, size int) {
	b := s.peek(skip + maxVarint)
	n, width := readVarint(b[min(skip, len(b)):])
	if width == 0 {
		return m, id, 0
	}
	skip += width
	b = s.peek(skip + n)
	data := soundBlock(cidPrefix, b[min(skip, len(b)):], n)
	if data == nil {
		return m, id, 0
	}
	m, err := parseManifest(data)
	if err != nil {
		return m, id, 0
	}
	return m, protocol.Sum(data), width + n
}

// Bounds on files of others, which are read only to say what they are.
const (
	maxForeignHeader  = 8 << 10
	maxForeignSection = 8 << 20
)

// foreign says what a file is that has no header of ours.
func (s *scanner) foreign() error {
	b := s.peek(binary.MaxVarintLen64 + maxForeignHeader)
	size, width := binary.Uvarint(b)
	if width <= 0 || size > maxForeignHeader || uint64(len(b)-width) < size {
		return fmt.Errorf("%w: no header", ErrNotCAR)
	}
	end := width + int(size)
	r := dagcbor.NewReader(b[width:end])
	var version uint64
	var key []byte
	for n := r.Map(2); n > 0 && r.Err() == nil; n-- {
		if key = r.Key(key); string(key) == "version" {
			version = r.Uint()
		} else {
			r.Skip()
		}
	}
	if r.End() != nil || version != 1 {
		return fmt.Errorf("%w: no header of version 1", ErrNotCAR)
	}
	if rest := b[end:]; len(rest) > 0 {
		if n, width := binary.Uvarint(rest); width <= 0 || n == 0 || n > maxForeignSection {
			return fmt.Errorf("%w: at byte %d: no section", ErrNotCAR, end)
		}
	}
	return ErrNotBundle
}
