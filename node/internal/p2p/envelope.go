package p2p

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// appendEnvelope appends the message [kind, [frame…]], canonical DAG-CBOR
// (SPEC §9.3).
func appendEnvelope(b []byte, kind Kind, frames [][]byte) []byte {
	b = dagcbor.AppendArray(b, 2)
	b = dagcbor.AppendUint(b, uint64(kind))
	b = dagcbor.AppendArray(b, len(frames))
	for _, f := range frames {
		b = dagcbor.AppendBytes(b, f)
	}
	return b
}

// parseEnvelope reads what appendEnvelope writes, at most MaxMessage bytes. The
// frames share msg's memory. Kinds this version does not know are returned as
// they are.
func parseEnvelope(msg []byte) (Kind, [][]byte, error) {
	if len(msg) > MaxMessage {
		return 0, nil, fmt.Errorf("p2p: message: %w: %w: %d bytes, the cap is %d", ErrPeer, ErrTooBig, len(msg), MaxMessage)
	}
	return parseMessage(msg, MaxFrames)
}

// parseMessage is parseEnvelope without its cap: the caller bounds len(msg).
func parseMessage(msg []byte, maxFrames int) (Kind, [][]byte, error) {
	r := dagcbor.NewReader(msg)
	if n := r.Array(2); n != 2 && r.Err() == nil {
		return 0, nil, fmt.Errorf("p2p: message: %w: %d items", ErrPeer, n)
	}
	kind := r.Uint()
	frames, err := readFrames(&r, maxFrames)
	if err != nil {
		return 0, nil, fmt.Errorf("p2p: message: %w", err)
	}
	if kind > 255 || kind == 0 || len(frames) == 0 {
		return 0, nil, fmt.Errorf("p2p: message: %w: kind %d with %d frames", ErrPeer, kind, len(frames))
	}
	return Kind(kind), frames, nil
}

// readFrames reads an array of non-empty byte strings and nothing after it. The
// slice grows as frames are met: a claimed count alone takes no memory.
func readFrames(r *dagcbor.Reader, maxFrames int) ([][]byte, error) {
	n := r.Array(maxFrames)
	var frames [][]byte
	for range n {
		f := r.Bytes(MaxFrame)
		if r.Err() != nil {
			break
		}
		if len(f) == 0 {
			return nil, fmt.Errorf("%w: an empty frame", ErrPeer)
		}
		frames = append(frames, f)
	}
	if err := r.End(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	return frames, nil
}
