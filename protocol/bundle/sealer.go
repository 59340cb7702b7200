package bundle

import (
	"bufio"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"math"
)

// A Sealer seals the bundle that is written to it. It serves one goroutine, and
// the first error sticks.
type Sealer struct {
	w     *bufio.Writer
	aead  cipher.AEAD
	chunk []byte // written and not sealed
	index uint32
	buf   []byte
	err   error
}

// NewSealer begins a sealed bundle on w: with the secret of an epoch, or what
// [Seal.Stretch] makes of a passphrase. A seal is for one bundle.
func NewSealer(w io.Writer, s Seal, secret [32]byte) (*Sealer, error) {
	aead, err := s.cipher(secret)
	if err != nil {
		return nil, err
	}
	block, root := appendSection(nil, s.encode())
	out := &Sealer{w: bufio.NewWriter(w), aead: aead, chunk: make([]byte, 0, sealedChunk)}
	out.put(header(root))
	out.put(block)
	return out, out.err
}

func (s *Sealer) put(b []byte) {
	if s.err != nil {
		return
	}
	if _, err := s.w.Write(b); err != nil {
		s.err = fmt.Errorf("bundle: writing sealed: %w", err)
	}
}

// Write takes the next bytes of a bundle.
func (s *Sealer) Write(b []byte) (n int, err error) {
	for len(b) > 0 && s.err == nil {
		if len(s.chunk) == sealedChunk { // more follows: it is not the last
			s.seal(false)
		}
		k := min(len(b), sealedChunk-len(s.chunk))
		s.chunk = append(s.chunk, b[:k]...)
		n, b = n+k, b[k:]
	}
	return n, s.err
}

func (s *Sealer) seal(last bool) {
	if s.index == math.MaxUint32 {
		s.err = errors.New("bundle: writing sealed: too long")
		return
	}
	head := sealedHead(s.index, last)
	block := s.aead.Seal(head, sealNonce(s.index), s.chunk, head)
	s.buf, _ = appendFramed(s.buf[:0], rawPrefix, block)
	s.put(s.buf)
	s.chunk = s.chunk[:0]
	s.index++
}

// Close writes the last block. It does not close the underlying writer.
func (s *Sealer) Close() error {
	if s.seal(true); s.err != nil {
		return s.err
	}
	if err := s.w.Flush(); err != nil {
		s.err = fmt.Errorf("bundle: writing sealed: %w", err)
		return s.err
	}
	s.err = errors.New("bundle: writing sealed: closed")
	return nil
}
