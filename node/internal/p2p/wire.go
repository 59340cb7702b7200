package p2p

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
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
// than its deadline ends the session. One goroutine uses a wire; others may ask
// whether it is silent.
type wire struct {
	s     stream
	r     *bufio.Reader
	since atomic.Int64 // when the read under way began, in nanoseconds of Unix time; 0 if there is none
	hdr   [5]byte
	out   []byte // for the next frame to be sent, at most keptBuffer
	sent  int64
	recvd int64
}

func newWire(s stream) *wire {
	w := &wire{s: s}
	w.r = bufio.NewReaderSize(w, 16<<10)
	return w
}

// Read reads what has come of the stream.
func (w *wire) Read(b []byte) (int, error) {
	w.since.Store(time.Now().UnixNano())
	defer w.since.Store(0)
	return w.s.Read(b)
}

// silent is how long the peer has been waited for, by anyone's view.
func (w *wire) silent() time.Duration {
	if t := w.since.Load(); t != 0 {
		return time.Since(time.Unix(0, t))
	}
	return 0
}

// keptBuffer is how much memory a wire keeps from frame to frame.
const keptBuffer = 512 << 10

// send writes one frame within frameTimeout.
func (w *wire) send(typ byte, body []byte) error {
	return w.write(typ, len(body), func(b []byte) []byte { return append(b, body...) })
}

// write writes one frame within frameTimeout. Its body is what fill appends,
// about size bytes.
func (w *wire) write(typ byte, size int, fill func([]byte) []byte) error {
	if err := w.s.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
		return fmt.Errorf("p2p: sending: %w", err)
	}
	// One write: two small packets would cost a round trip of delayed
	// acknowledgement on some muxers.
	buf := fill(append(slices.Grow(w.out[:0], len(w.hdr)+size), 0, 0, 0, 0, typ))
	binary.BigEndian.PutUint32(buf, uint32(len(buf)-len(w.hdr)))
	if cap(buf) <= keptBuffer {
		w.out = buf
	}
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

// soon reports whether more comes within d, or is there.
func (w *wire) soon(d time.Duration) bool {
	if w.r.Buffered() > 0 {
		return true
	}
	if err := w.s.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false
	}
	_, err := w.r.Peek(1)
	return err == nil
}
