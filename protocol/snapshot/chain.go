package snapshot

import (
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// MaxHandovers is how many changes of the clerks a [Chain] takes.
const MaxHandovers = 1 << 14

var (
	// ErrChain is wrapped when certificates make no chain: one that does not
	// follow, changes nothing, or contradicts another.
	ErrChain = errors.New("not on one chain of checkpoints")
	// ErrKnown is wrapped when a chain does not lead through the checkpoint that
	// is known, or a snapshot is older than that.
	ErrKnown = errors.New("the checkpoint that is known is not on the chain")
)

// A Chain knows which clerks were in force at which height. It is fed the
// certificates at which they changed, each verified under those before it.
// It is for one goroutine at a time.
type Chain struct {
	metastate protocol.ID
	known     protocol.Ref // must be passed; zero: nothing is known but the genesis
	passed    bool
	eras      []era // by rising height
	last      protocol.Ref
}

// An era is a span of heights with the same clerks.
type era struct {
	from   uint64 // the first height that they sign
	named  protocol.ID
	clerks []checkpoint.Clerk
}

// NewChain begins at the genesis. The chain must lead through the known
// checkpoint: that of an invite, or the last that a node saw. Zero is none, and
// then whoever has old clerks' keys can make up a chain (a long-range attack).
func NewChain(genesis *protocol.Record, known protocol.Ref) (*Chain, error) {
	tip, err := checkpoint.Begin(genesis)
	if err != nil {
		return nil, fmt.Errorf("snapshot: beginning a chain: %w", err)
	}
	return &Chain{
		metastate: genesis.ID(), known: known, passed: known == protocol.Ref{},
		eras: []era{{from: 1, clerks: tip.Clerks()}},
	}, nil
}

// ResumeChain begins at the checkpoint of a tip that a node holds itself.
func ResumeChain(tip checkpoint.Tip) *Chain {
	ref := tip.Ref()
	return &Chain{
		metastate: tip.State().Metastate(), known: ref, passed: true, last: ref,
		eras: []era{{from: ref.Height + 1, named: ref.ID, clerks: tip.Clerks()}},
	}
}

// Add takes the next certificate at which the clerks changed, or the known
// checkpoint's whether they did or not. Certificates come by rising height.
// One that is refused changes nothing. Errors wrap [ErrChain], [ErrKnown], or
// those of [checkpoint.Certificate.Verify].
func (c *Chain) Add(certificate []byte) error {
	bad := func(height uint64, err error, what string) error {
		return fmt.Errorf("snapshot: certificate of height %d: %w: %s", height, err, what)
	}
	cert, err := checkpoint.ParseCertificate(certificate)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	now := c.eras[len(c.eras)-1]
	v, err := cert.Verify(c.metastate, now.clerks)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	isKnown := !c.passed && v.Height == c.known.Height
	changes := !slices.Equal(v.Clerks, now.clerks)
	switch {
	case v.Height <= c.last.Height || v.Height < now.from:
		return bad(v.Height, ErrChain, "it does not come after the one before")
	case !c.passed && v.Height > c.known.Height || isKnown && cert.ID() != c.known.ID:
		return bad(v.Height, ErrKnown, "another stands in its place")
	case v.Height == c.last.Height+1 && !c.last.ID.IsZero() && v.Prev != c.last.ID:
		return bad(v.Height, ErrChain, "it follows another")
	case !changes && !isKnown:
		return bad(v.Height, ErrChain, "the clerks stay the same")
	case changes && len(c.eras) > MaxHandovers:
		return bad(v.Height, ErrChain, "too many changes")
	}
	if changes {
		c.eras = append(c.eras, era{from: v.Height + 1, named: cert.ID(), clerks: v.Clerks})
	}
	c.passed = c.passed || isKnown
	c.last = protocol.Ref{Height: v.Height, ID: cert.ID()}
	return nil
}

// at is the era of a height, nil if the chain does not say.
func (c *Chain) at(height uint64) *era {
	if !c.passed && height > c.known.Height {
		return nil
	}
	i, found := slices.BinarySearchFunc(c.eras, height, func(e era, h uint64) int {
		if e.from < h {
			return -1
		}
		return int(min(e.from-h, 1))
	})
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	return &c.eras[i]
}

// verify checks that a certificate of any height holds under the clerks that
// the chain says, and that it does not contradict the chain.
func (c *Chain) verify(certificate []byte) (cert checkpoint.Certificate, v checkpoint.Value, err error) {
	if cert, err = checkpoint.ParseCertificate(certificate); err != nil {
		return cert, v, err
	}
	if v, err = checkpoint.ParseValue(cert.Value); err != nil {
		return cert, v, err
	}
	e := c.at(v.Height)
	if e == nil {
		return cert, v, fmt.Errorf("%w: height %d is outside the chain", ErrKnown, v.Height)
	}
	if _, err = cert.Verify(c.metastate, e.clerks); err != nil {
		return cert, v, err
	}
	if v.Height == c.known.Height && cert.ID() != c.known.ID {
		return cert, v, fmt.Errorf("%w: another of height %d", ErrKnown, v.Height)
	}
	if v.Height > c.last.Height {
		return cert, v, nil
	}
	next := c.at(v.Height + 1)
	if next == nil || !slices.Equal(next.clerks, v.Clerks) || next.from == v.Height+1 && next.named != cert.ID() {
		return cert, v, fmt.Errorf("%w: another of height %d", ErrChain, v.Height)
	}
	return cert, v, nil
}

// Handovers collects, from the genesis up to a height, the certificates at
// which the clerks changed: what a [Chain] without a known checkpoint takes. It
// reads every certificate; a node keeps what it found.
func Handovers(genesis *protocol.Record, height uint64, src Source) (list [][]byte, err error) {
	tip, err := checkpoint.Begin(genesis)
	if err != nil {
		return nil, fmt.Errorf("snapshot: collecting handovers: %w", err)
	}
	now := tip.Clerks()
	for h := uint64(1); h <= height; h++ {
		b, err := src.Certificate(h)
		if err != nil {
			return nil, fmt.Errorf("snapshot: collecting handovers: height %d: %w", h, err)
		}
		v, err := valueOf(b)
		if err != nil {
			return nil, fmt.Errorf("snapshot: collecting handovers: height %d: %w", h, err)
		}
		if !slices.Equal(v.Clerks, now) {
			list, now = append(list, b), v.Clerks
		}
	}
	return list, nil
}
