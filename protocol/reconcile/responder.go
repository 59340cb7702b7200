package reconcile

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// Responder answers one initiator's requests. It keeps nothing between them
// but the account of its limits. It is not for concurrent use.
type Responder struct {
	local  Local
	budget budget
}

// NewResponder returns a responder for one session.
func NewResponder(local Local, limits Limits) *Responder {
	return &Responder{local: local, budget: budget{limits: limits.orDefaults()}}
}

// Respond returns the reply to a request. An error ends the session: it wraps
// [ErrProtocol] or [ErrLimit] where the peer is to blame, or what a [Set]
// returned.
func (r *Responder) Respond(msg []byte) ([]byte, error) {
	if err := r.budget.spend(1, len(msg)); err != nil {
		return nil, err
	}
	q, err := parseRequest(msg)
	if err != nil {
		return nil, err
	}
	out := reply{Version: version}
	s := salt(q.Salt)
	own := s.short(r.local.Index.Root())
	if len(q.Index) == 0 || own != short(q.Index) {
		for _, g := range q.Groups {
			a, err := r.answer(s, g)
			if err != nil {
				return nil, err
			}
			out.Answers = append(out.Answers, a)
		}
	}
	b, err := dagcbor.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("reconcile: encoding a reply: %w", err)
	}
	return b, r.budget.spend(0, len(b))
}

func (r *Responder) answer(s salt, g group) (answer, error) {
	src, err := r.local.source(g.Name)
	if err != nil {
		return answer{}, err
	}
	w := answerer{salt: s, source: src, budget: &r.budget}
	for _, b := range g.Splits {
		w.split(b)
	}
	for _, b := range g.Lists {
		w.list(b)
	}
	for _, b := range g.Fulls {
		w.full(b)
	}
	for _, q := range g.Resolves {
		w.resolve(q)
	}
	w.sketch(g.Sketch)
	return w.answer, w.err
}

// answerer answers a group; after the first error it does nothing.
type answerer struct {
	salt
	source
	budget *budget
	answer answer
	err    error
}

func (w *answerer) split(b []byte) {
	if w.err != nil {
		return
	}
	p, _ := decodePrefix(b) // checked when parsed
	var parts [fanOut]part
	if parts, w.err = w.parts(w.salt, p); w.err != nil {
		return
	}
	var s split
	for _, part := range parts {
		s.Shorts = append(s.Shorts, part.short[:]...)
		s.Counts = append(s.Counts, part.count)
	}
	w.answer.Splits = append(w.answer.Splits, s)
}

func (w *answerer) list(b []byte) {
	var out []byte
	p, _ := decodePrefix(b)
	if w.source.set == nil {
		n := 0
		for name, sum := range w.index.Under(p.key, p.bits()) {
			if n++; n > namesMax {
				out = nil
				break
			}
			f := w.short(sum.Digest)
			out = append(append(out, name[:]...), f[:]...)
			out = binary.BigEndian.AppendUint64(out, sum.Count)
		}
	} else {
		for _, id := range w.ids(p) {
			f := w.short(id)
			out = append(out, f[:]...)
		}
	}
	w.answer.Lists = append(w.answer.Lists, out)
}

func (w *answerer) full(b []byte) {
	p, _ := decodePrefix(b)
	var out []byte
	for _, id := range w.ids(p) {
		out = append(out, id[:]...)
	}
	w.answer.Fulls = append(w.answer.Fulls, out)
}

func (w *answerer) resolve(q resolve) {
	p, _ := decodePrefix(q.Prefix)
	ids := w.ids(p)
	if w.err != nil {
		return
	}
	byShort := make(map[short][32]byte, len(ids))
	for _, id := range ids {
		byShort[w.short(id)] = id
	}
	var out []byte
	for f := range slices.Chunk(q.Shorts, shortSize) {
		id, ok := byShort[short(f)]
		if !ok {
			w.err = malformed("an id that was not listed is asked for")
			return
		}
		out = append(out, id[:]...)
	}
	w.answer.Resolves = append(w.answer.Resolves, out)
}

// sketch answers with symbols and samples, or with nothing: who asks takes
// ranges then.
func (w *answerer) sketch(q []uint64) {
	if w.err != nil || len(q) == 0 {
		return
	}
	from, to, octaves := int(q[0]), int(q[0]+q[1]), int(q[2])
	w.err = w.budget.sketch(w.source.set, max(to, sketch.SampledLen(octaves)), func(symbols []sketch.Symbol) {
		b := make([]byte, 0, symbolBytes(q))
		b = sketch.Append(b, symbols[from:to])
		w.answer.Sketch = append(b, sketch.Samples(symbols, octaves)...)
	})
}

// ids returns the ids of a range that may be listed.
func (w *answerer) ids(p prefix) (out [][32]byte) {
	if w.err != nil {
		return nil
	}
	for id, err := range w.source.set.Under(p.key, p.bits()) {
		if err != nil {
			w.err = fmt.Errorf("reconcile: reading a set: %w", err)
			return nil
		}
		if len(out) == ListMax {
			w.err = malformed("a list of more than %d ids is asked for", ListMax)
			return nil
		}
		out = append(out, id)
	}
	return out
}

// source is what a group asks about: a set, or the index if set is nil.
type source struct {
	set   Set
	index Index
}

func (l Local) source(name []byte) (source, error) {
	if len(name) == 0 {
		return source{index: l.Index}, nil
	}
	set, err := l.Open([32]byte(name))
	if err != nil {
		return source{}, fmt.Errorf("reconcile: opening a set: %w", err)
	}
	return source{set: set}, nil
}

// part is one sixteenth of a range.
type part struct {
	short
	count uint64
}

func (s source) parts(salt salt, p prefix) (out [fanOut]part, err error) {
	for i := range out {
		c := p.child(i)
		var digest [32]byte
		if s.set == nil {
			var n int
			digest, n = s.index.Range(c.key, c.bits())
			out[i].count = uint64(n)
		} else if digest, out[i].count, err = s.set.Range(c.key, c.bits()); err != nil {
			return out, fmt.Errorf("reconcile: reading a set: %w", err)
		}
		out[i].short = salt.short(digest)
	}
	return out, nil
}

// budget is the account of a session.
type budget struct {
	limits   Limits
	messages int
	bytes    int64
	work     int
}

func (b *budget) spend(messages, bytes int) error {
	b.messages += messages
	b.bytes += int64(bytes)
	if b.messages > b.limits.Messages || b.bytes > b.limits.Bytes {
		return fmt.Errorf("reconcile: %w: %d messages, %d bytes", ErrLimit, b.messages, b.bytes)
	}
	return nil
}

// sketch calls f with a sketch of n symbols or more, if the set has one and it
// does not take more work than is left.
func (b *budget) sketch(s Set, n int, f func([]sketch.Symbol)) error {
	if n > b.limits.Symbols {
		return nil
	}
	work, err := s.Sketch(n, b.limits.Work-b.work, f)
	b.work += work
	if err != nil {
		return fmt.Errorf("reconcile: reading a sketch: %w", err)
	}
	return nil
}

// short reports that there may be no room for another request and its reply.
func (b *budget) short() bool {
	return b.messages == b.limits.Messages || b.bytes+MaxRequest+MaxReply > b.limits.Bytes
}
