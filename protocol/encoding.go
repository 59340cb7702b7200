package protocol

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// EncodeInner joins a payload and its signatures into the inner form: an array
// of two byte strings (SPEC §2.3).
func EncodeInner(payload, signatures []byte) []byte {
	b := make([]byte, 0, len(payload)+len(signatures)+12)
	b = dagcbor.AppendArray(b, 2)
	b = dagcbor.AppendBytes(b, payload)
	return dagcbor.AppendBytes(b, signatures)
}

// SplitInner splits an inner form into payload and signatures without
// verifying either. The slices share b.
func SplitInner(b []byte) (payload, signatures []byte, err error) {
	if len(b) > MaxInner {
		return nil, nil, fmt.Errorf("protocol: %w: %d bytes, the cap is %d", ErrMalformed, len(b), MaxInner)
	}
	r := dagcbor.NewReader(b)
	if n := r.Array(2); n != 2 && r.Err() == nil {
		return nil, nil, fmt.Errorf("protocol: %w: not an array of payload and signatures", ErrMalformed)
	}
	payload, signatures = r.Bytes(bigPayload), r.Bytes((1+MaxCosigners)*signatureSize)
	if err := r.End(); err != nil {
		return nil, nil, fmt.Errorf("protocol: %w: %w", ErrMalformed, err)
	}
	return payload, signatures, nil
}

// encodePayload writes the canonical map. Every key is one letter, so order is
// alphabetical; what is absent is left out, never written as empty.
func encodePayload(h Header, body []byte, carried []*Record) []byte {
	var b []byte
	n := 0
	key := func(k string) { n++; b = dagcbor.AppendText(b, k) }
	key("b")
	b = append(b, body...)
	if len(carried) > 0 {
		key("c")
		b = dagcbor.AppendArray(b, len(carried))
		for _, c := range carried {
			b = dagcbor.AppendBytes(b, c.inner)
		}
	}
	key("d")
	b = dagcbor.AppendBytes(b, h.Key.Multikey())
	if h.Checkpoint != (Ref{}) {
		key("h")
		b = dagcbor.AppendUint(dagcbor.AppendArray(b, 2), h.Checkpoint.Height)
		b = dagcbor.AppendLink(b, h.Checkpoint.ID)
	}
	key("k")
	b = dagcbor.AppendText(b, string(h.Kind))
	link := func(k string, id ID) {
		if !id.IsZero() {
			key(k)
			b = dagcbor.AppendLink(b, id)
		}
	}
	link("m", h.Metastate)
	if len(h.Cosigners) > 0 {
		key("o")
		b = dagcbor.AppendArray(b, len(h.Cosigners))
		for _, c := range h.Cosigners {
			b = dagcbor.AppendBytes(b, c.Multikey())
		}
	}
	link("p", h.Persona)
	key("q")
	b = dagcbor.AppendUint(b, h.Seq)
	link("r", h.Prev)
	link("s", h.Subject)
	key("t")
	b = dagcbor.AppendUint(b, uint64(h.Time))
	if len(h.Parents) > 0 {
		key("u")
		b = dagcbor.AppendArray(b, len(h.Parents))
		for _, p := range h.Parents {
			b = dagcbor.AppendLink(b, p)
		}
	}
	key("v")
	b = dagcbor.AppendUint(b, Version)
	return append(dagcbor.AppendMap(make([]byte, 0, len(b)+1), n), b...)
}
