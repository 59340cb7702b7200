package reconcile

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

const (
	// MaxRequest is the most bytes a request has.
	MaxRequest = 60 << 10
	// MaxReply is the most bytes a reply has: as a request without sketches,
	// and the symbols of these.
	MaxReply = MaxRequest + maxSymbolBytes
	// ListMax is the most ids of one range that are listed.
	ListMax = 32
	// namesMax is the most entries of the index that are listed at once.
	namesMax = 8
	// maxSymbolBytes is the most bytes of symbols and samples in a reply.
	maxSymbolBytes = 240 << 10

	version   = 1
	entrySize = 32 + shortSize + 8 // name ‖ fingerprint ‖ uint64be(count)
	maxAsks   = 1024               // of one kind in one group; cost allows fewer
	maxGroups = 1024
)

// ErrProtocol is wrapped when a peer's message is malformed or contradicts
// what it said before.
var ErrProtocol = errors.New("the peer breaks the reconciliation protocol")

// ErrLimit is wrapped when a session would pass its [Limits].
var ErrLimit = errors.New("the session is over its limits")

// request is [version, salt, index fingerprint, [group…]]: the index
// fingerprint, in a first request only, lets an equal responder stop there.
type request struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Salt    []byte
	Index   []byte
	Groups  []group
}

// group holds the questions about one set; about the index if Name is empty.
// Of the index, names are listed, and all else but Splits is empty.
type group struct {
	_        struct{}  `cbor:",toarray"`
	Name     []byte    // 0 or 32 bytes
	Splits   [][]byte  // prefixes whose 16 parts are asked for
	Lists    [][]byte  // prefixes whose ids' fingerprints are asked for
	Fulls    [][]byte  // prefixes whose whole ids are asked for
	Resolves []resolve // fingerprints whose whole ids are asked for
	Sketch   []uint64  // from, number and octaves of the symbols asked for, or empty
}

type resolve struct {
	_      struct{} `cbor:",toarray"`
	Prefix []byte
	Shorts []byte // 8 bytes for each id
}

// reply is [version, [answer…]], one answer for each group, or none if the
// indexes are equal. In an answer each question has its reply, in order.
type reply struct {
	_       struct{} `cbor:",toarray"`
	Version uint64
	Answers []answer
}

type answer struct {
	_        struct{} `cbor:",toarray"`
	Splits   []split
	Lists    [][]byte // fingerprints, or entries of the index, in key order
	Fulls    [][]byte // ids, ascending
	Resolves [][]byte // ids, in the order asked
	Sketch   []byte   // symbols and samples, or empty if there are none
}

type split struct {
	_      struct{} `cbor:",toarray"`
	Shorts []byte   // fingerprints of the parts' digests
	Counts []uint64 // the parts' numbers of ids
}

// Upper bounds in bytes on what a question adds to its request and to the
// reply, whichever is more. Both sides add them up, so a request that keeps
// within MaxRequest by this account has a reply that fits; symbols and samples
// have an account of their own.
const (
	baseCost  = 64
	groupCost = 64
	splitCost = 1 + (2 + fanOut*shortSize) + (1 + fanOut*9)
	listCost  = 3 + max(namesMax*entrySize, ListMax*shortSize)
	fullCost  = 3 + ListMax*32

	sketchCost = 1 + 3*5
)

func resolveCost(n int) int { return 1 + (2 + maxDepth) + 3 + n*32 }

func (g *group) cost() int {
	n := groupCost + len(g.Splits)*splitCost + len(g.Lists)*listCost + len(g.Fulls)*fullCost
	for _, r := range g.Resolves {
		n += resolveCost(len(r.Shorts) / shortSize)
	}
	if len(g.Sketch) > 0 {
		n += sketchCost
	}
	return n
}

// symbolBytes is what the answer to a question about a sketch has.
func symbolBytes(question []uint64) int {
	if len(question) == 0 {
		return 0
	}
	return int(question[1])*sketch.SymbolSize + sketch.SampleSize(int(question[2]))
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("reconcile: %w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// parser reads messages; its own violations and the reader's are one error.
type parser struct {
	dagcbor.Reader
	err error
}

func (p *parser) refuse(format string, args ...any) {
	if p.err == nil {
		p.err = malformed(format, args...)
	}
}

// done returns the first violation.
func (p *parser) done() error {
	if err := p.End(); err != nil {
		return fmt.Errorf("reconcile: %w: %w", ErrProtocol, err)
	}
	return p.err
}

func (p *parser) tuple(n int) {
	if got := p.Array(n); got != n && p.Err() == nil {
		p.refuse("an array of %d where %d is due", got, n)
	}
}

// each calls f for every element of an array of at most limit.
func (p *parser) each(limit int, f func()) {
	for range p.Array(limit) {
		if p.Err() != nil || p.err != nil {
			return
		}
		f()
	}
}

// units reads a byte string of whole units, at most limit of them.
func (p *parser) units(size, limit int) []byte {
	b := p.Bytes(size * limit)
	if len(b)%size != 0 {
		p.refuse("a byte string of %d where multiples of %d are due", len(b), size)
	}
	return b
}

func (p *parser) exactly(sizes ...int) []byte {
	b := p.Bytes(32)
	for _, n := range sizes {
		if len(b) == n {
			return b
		}
	}
	p.refuse("a byte string of %d", len(b))
	return nil
}

func (p *parser) prefixes() (out [][]byte) {
	p.each(maxAsks, func() { out = append(out, p.prefix()) })
	return out
}

func (p *parser) prefix() []byte {
	b := p.Bytes(maxDepth)
	if _, ok := decodePrefix(b); !ok {
		p.refuse("a prefix has a digit over 15")
	}
	return b
}

func startMessage(b []byte, fields, limit int) (*parser, error) {
	if len(b) > limit {
		return nil, malformed("%d bytes are over the cap of %d", len(b), limit)
	}
	p := &parser{Reader: dagcbor.NewReader(b)}
	p.tuple(fields)
	if v := p.Uint(); v != version {
		p.refuse("version %d", v)
	}
	return p, nil
}

func parseRequest(b []byte) (request, error) {
	p, err := startMessage(b, 4, MaxRequest)
	if err != nil {
		return request{}, err
	}
	q := request{Version: version, Salt: p.exactly(saltSize), Index: p.exactly(0, shortSize)}
	cost, symbols := baseCost, 0
	p.each(maxGroups, func() {
		g := p.group()
		cost += g.cost()
		symbols += symbolBytes(g.Sketch)
		if cost > MaxRequest || symbols > maxSymbolBytes {
			p.refuse("it asks for more than a reply holds")
		}
		q.Groups = append(q.Groups, g)
	})
	return q, p.done()
}

func (p *parser) group() (g group) {
	p.tuple(6)
	g.Name = p.exactly(0, 32)
	g.Splits, g.Lists, g.Fulls = p.prefixes(), p.prefixes(), p.prefixes()
	p.each(maxAsks, func() {
		p.tuple(2)
		g.Resolves = append(g.Resolves, resolve{Prefix: p.prefix(), Shorts: p.units(shortSize, ListMax)})
	})
	g.Sketch = p.sketch()
	if len(g.Name) == 0 && len(g.Fulls)+len(g.Resolves)+len(g.Sketch) > 0 {
		p.refuse("ids of the index are asked for")
	}
	for _, b := range g.Splits {
		if len(b) == maxDepth {
			p.refuse("a whole id can't be split")
		}
	}
	return g
}

// sketch reads a question about symbols: within a sketch's length, and one at
// least.
func (p *parser) sketch() (q []uint64) {
	p.each(3, func() { q = append(q, p.Uint()) })
	switch {
	case len(q) == 0:
	case len(q) != 3 || q[0] >= sketch.MaxLen || q[1] == 0 || q[1] > sketch.MaxLen-q[0] || q[2] > sketch.MaxOctaves:
		p.refuse("symbols %d of a sketch", q)
		return nil
	}
	return q
}

func parseReply(b []byte) (reply, error) {
	p, err := startMessage(b, 2, MaxReply)
	if err != nil {
		return reply{}, err
	}
	r := reply{Version: version}
	p.each(maxGroups, func() {
		var a answer
		p.tuple(5)
		p.each(maxAsks, func() { a.Splits = append(a.Splits, p.split()) })
		p.each(maxAsks, func() { a.Lists = append(a.Lists, p.Bytes(listCost)) })
		p.each(maxAsks, func() { a.Fulls = append(a.Fulls, p.units(32, ListMax)) })
		p.each(maxAsks, func() { a.Resolves = append(a.Resolves, p.units(32, ListMax)) })
		a.Sketch = p.Bytes(maxSymbolBytes)
		r.Answers = append(r.Answers, a)
	})
	return r, p.done()
}

func (p *parser) split() (s split) {
	p.tuple(2)
	if s.Shorts = p.Bytes(fanOut * shortSize); len(s.Shorts) != fanOut*shortSize {
		p.refuse("a split without its 16 parts")
	}
	p.each(fanOut, func() { s.Counts = append(s.Counts, p.Uint()) })
	if len(s.Counts) != fanOut {
		p.refuse("a split without its 16 counts")
	}
	return s
}
