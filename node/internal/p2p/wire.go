package p2p

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A stream is what a wire needs of a network.Stream.
type stream interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// A wire carries length-prefixed frames over one stream: 4 bytes of length, big
// endian, then type and body. A frame that is longer than its cap or slower
// than its deadline ends the session. One goroutine uses a wire.
type wire struct {
	s     stream
	r     *bufio.Reader
	hdr   [5]byte
	sent  int64
	recvd int64
}

func newWire(s stream) *wire {
	return &wire{s: s, r: bufio.NewReaderSize(s, 16<<10)}
}

// send writes one frame within frameTimeout.
func (w *wire) send(typ byte, body []byte) error {
	if err := w.s.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
		return fmt.Errorf("p2p: sending: %w", err)
	}
	binary.BigEndian.PutUint32(w.hdr[:4], uint32(len(body)))
	w.hdr[4] = typ
	// One write: two small packets would cost a round trip of delayed
	// acknowledgement on some muxers.
	buf := make([]byte, 0, len(w.hdr)+len(body))
	buf = append(append(buf, w.hdr[:]...), body...)
	if _, err := w.s.Write(buf); err != nil {
		return fmt.Errorf("p2p: sending: %w", err)
	}
	w.sent += int64(len(buf))
	return nil
}

// recv reads one frame of at most limit bytes. Its first byte may take wait,
// all the rest frameTimeout.
func (w *wire) recv(limit int, wait time.Duration) (typ byte, body []byte, err error) {
	if err := w.s.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, nil, fmt.Errorf("p2p: receiving: %w", err)
	}
	if _, err := w.r.Peek(1); err != nil {
		return 0, nil, fmt.Errorf("p2p: receiving: %w", err)
	}
	if err := w.s.SetReadDeadline(time.Now().Add(frameTimeout)); err != nil {
		return 0, nil, fmt.Errorf("p2p: receiving: %w", err)
	}
	if _, err := io.ReadFull(w.r, w.hdr[:]); err != nil {
		return 0, nil, fmt.Errorf("p2p: receiving: %w", err)
	}
	n := binary.BigEndian.Uint32(w.hdr[:4])
	if uint64(n) > uint64(limit) {
		return 0, nil, fmt.Errorf("p2p: receiving: %w: %w: frame of %d bytes, the cap is %d", ErrPeer, ErrTooBig, n, limit)
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(w.r, body); err != nil {
		return 0, nil, fmt.Errorf("p2p: receiving: %w", err)
	}
	w.recvd += int64(len(w.hdr)) + int64(n)
	return w.hdr[4], body, nil
}

// expect reads a frame and requires its type.
func (w *wire) expect(want byte, limit int, wait time.Duration) ([]byte, error) {
	typ, body, err := w.recv(limit, wait)
	if err == nil && typ != want {
		err = fmt.Errorf("p2p: receiving: %w: frame type %d where %d is due", ErrPeer, typ, want)
	}
	return body, err
}
