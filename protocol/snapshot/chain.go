package snapshot

import (
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// MaxHandovers is how many changes of the clerks a [Chain] takes.
const MaxHandovers = 1 << 14

var (
	// ErrChain is wrapped when certificates make no chain: one that does not
	// follow, changes nothing, or contradicts another.
	ErrChain = errors.New("not on one chain of checkpoints")
	// ErrKnown is wrapped when what begins a chain is not the checkpoint known.
	ErrKnown = errors.New("not the checkpoint that is known")
)

// A Chain leads from a checkpoint that is known to the clerks in force at a
// later one. It is fed the certificates at which the clerks changed since, each
// verified under those before it. It is for one goroutine at a time.
type Chain struct {
	metastate protocol.ID
	last      protocol.Ref // the checkpoint that named clerks
	clerks    []certificate.Clerk
	era       protocol.ID // throughout: no chain leads through a recall
	handovers int
}

// NewChain begins at the checkpoint that is known, from an invite or from what
// the node saw last, with its encoded value, which says who signs the next one.
// Errors wrap [ErrKnown].
func NewChain(metastate protocol.ID, known protocol.Ref, value []byte) (*Chain, error) {
	if known.Height == 0 || protocol.Sum(value) != known.ID {
		return nil, fmt.Errorf("snapshot: beginning a chain: %w", ErrKnown)
	}
	v, err := certificate.ParseValue(value)
	if err != nil || v.Metastate != metastate || v.Height != known.Height {
		return nil, fmt.Errorf("snapshot: beginning a chain: %w: its value is of another height or metastate", ErrKnown)
	}
	return &Chain{metastate: metastate, last: known, clerks: v.Clerks, era: v.Era()}, nil
}

// Add takes the next certificate at which the clerks changed. They come by
// rising height. One that is refused changes nothing. Errors wrap [ErrChain] or
// those of [certificate.Certificate.Verify].
func (c *Chain) Add(b []byte) error {
	cert, v, err := c.follow(b)
	if err != nil {
		return fmt.Errorf("snapshot: adding to a chain: %w", err)
	}
	switch {
	case slices.Equal(v.Clerks, c.clerks):
		return fmt.Errorf("snapshot: height %d: %w: the clerks stay the same", v.Height, ErrChain)
	case c.handovers == MaxHandovers:
		return fmt.Errorf("snapshot: height %d: %w: too many changes", v.Height, ErrChain)
	}
	c.last, c.clerks = protocol.Ref{Height: v.Height, ID: cert.ID()}, v.Clerks
	c.handovers++
	return nil
}

// follow requires that a certificate comes after the last of the chain, and
// holds under the clerks that the last one names.
func (c *Chain) follow(b []byte) (cert certificate.Certificate, v certificate.Value, err error) {
	if cert, err = certificate.ParseCertificate(b); err != nil {
		return cert, v, err
	}
	if v, err = cert.Verify(c.metastate, certificate.Signers{Era: c.era, Clerks: c.clerks}); err != nil {
		return cert, v, err
	}
	if v.Height <= c.last.Height || v.Height == c.last.Height+1 && v.Prev != c.last.ID {
		return cert, v, fmt.Errorf("%w: height %d does not follow height %d", ErrChain, v.Height, c.last.Height)
	}
	return cert, v, nil
}

// verify requires that a certificate is the last of the chain, or follows it.
func (c *Chain) verify(b []byte) (cert certificate.Certificate, v certificate.Value, err error) {
	if cert, err = certificate.ParseCertificate(b); err != nil || cert.ID() != c.last.ID {
		return c.follow(b)
	}
	v, err = certificate.ParseValue(cert.Value) // who knows its id need not ask who signed it
	return cert, v, err
}
