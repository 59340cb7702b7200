package certificate

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
)

// MaxCertificateSize is the largest encoding of a certificate in bytes.
const MaxCertificateSize = MaxValueSize + MaxClerks*96 + 64

// MaxRound is the last round of a height. Timeouts grow from round to round, so
// clerks reach it only when a dishonest one drags them there.
const MaxRound = 1 << 24

// ErrMalformed is wrapped when bytes are not the canonical encoding of what was
// to be parsed, or break one of its caps. It is a fact about the bytes: every
// node finds the same.
var ErrMalformed = wire.ErrMalformed

// ErrSignature is wrapped when bytes are well formed but a signature in them
// is not one of the given clerks'. The clerk set may be the wrong one.
var ErrSignature = errors.New("not signed by the clerk")

// ErrNoQuorum is wrapped when a certificate has fewer signatures than its
// clerks' quorum.
var ErrNoQuorum = errors.New("fewer signatures than a quorum")

// Signature is a clerk's signature of a precommit.
type Signature struct {
	Clerk uint8                        `cbor:"c"` // index in the clerk set
	Sig   [identity.SignatureSize]byte `cbor:"s"`
}

// Certificate makes a value final: a quorum of clerks precommitted to it in
// one round (SPEC §7.1). A parsed one is only well formed; [Certificate.Verify]
// says whether it holds.
type Certificate struct {
	Value      []byte      `cbor:"v"` // as received, never encoded again
	Round      uint32      `cbor:"r"`
	Signatures []Signature `cbor:"s"` // by rising clerk
}

// ParseCertificate reads a certificate. It keeps a copy of b. Errors wrap
// [ErrMalformed].
func ParseCertificate(b []byte) (Certificate, error) {
	var c Certificate
	if len(b) > MaxCertificateSize {
		return c, fmt.Errorf("certificate: parsing a certificate: %w: over %d bytes", ErrMalformed, MaxCertificateSize)
	}
	d := wire.NewDecoder(append([]byte(nil), b...))
	d.Open(3, 3)
	d.Key("r")
	c.Round = uint32(d.Uint(MaxRound))
	d.Key("s")
	c.Signatures = wire.List(d, MaxClerks, readSignature)
	d.Key("v")
	c.Value = d.Bytes(MaxValueSize)
	err := d.End()
	if err == nil {
		err = c.checkOrder()
	}
	if err == nil {
		_, err = ParseValue(c.Value)
	}
	if err != nil {
		return Certificate{}, fmt.Errorf("certificate: parsing a certificate: %w", err)
	}
	return c, nil
}

func readSignature(d *wire.Decoder) (s Signature) {
	d.Open(2, 2)
	d.Key("c")
	s.Clerk = uint8(d.Uint(MaxClerks - 1))
	d.Key("s")
	d.Fixed(s.Sig[:])
	return s
}

// checkOrder requires rising clerks, so that none is counted twice.
func (c Certificate) checkOrder() error {
	for i := 1; i < len(c.Signatures); i++ {
		if c.Signatures[i-1].Clerk >= c.Signatures[i].Clerk {
			return fmt.Errorf("%w: signatures not by rising clerk", ErrMalformed)
		}
	}
	return nil
}

// Encode returns the canonical bytes.
func (c Certificate) Encode() []byte { return dagcbor.Encode(c) }

// ID returns the id of the value that the certificate makes final. Different
// certificates of one value make the same thing final.
func (c Certificate) ID() protocol.ID { return protocol.Sum(c.Value) }

// Verify checks that the certificate holds under the clerks in force at its
// height: those the value before it names ([Value.Next]), or at height 1 the
// founders with their founding keys. Every signature must be good, they must be a
// quorum, and the value of their era. It returns the value.
//
// The caller checks that the value follows what it holds (Height and Prev) and
// that the state root is the one it computes. Errors wrap [ErrMalformed],
// [ErrSignature] or [ErrNoQuorum].
func (c Certificate) Verify(metastate protocol.ID, by Signers) (Value, error) {
	v, err := c.verify(metastate, by)
	if err != nil {
		return Value{}, fmt.Errorf("certificate: verifying a certificate: %w", err)
	}
	return v, nil
}

func (c Certificate) verify(metastate protocol.ID, by Signers) (Value, error) {
	clerks := by.Clerks
	if err := CheckKeys(clerks); err != nil {
		return Value{}, err
	}
	if err := c.checkOrder(); err != nil {
		return Value{}, err
	}
	v, err := ParseValue(c.Value)
	if err != nil {
		return Value{}, err
	}
	if v.Metastate != metastate {
		return Value{}, fmt.Errorf("%w: of another metastate", ErrMalformed)
	}
	if v.Era() != by.Era {
		return Value{}, fmt.Errorf("%w: of another era", ErrSignature)
	}
	if _, q := Quorum(len(clerks)); len(c.Signatures) < q {
		return Value{}, fmt.Errorf("%w: %d of %d", ErrNoQuorum, len(c.Signatures), q)
	}
	msg := protocol.Statement{
		Kind: protocol.AgreePrecommit, Height: v.Height, Round: c.Round, Value: c.ID(), ValidRound: -1, Era: v.Era(),
	}.Bytes(metastate)
	for _, s := range c.Signatures {
		if int(s.Clerk) >= len(clerks) || !identity.Verify(clerks[s.Clerk].Key, msg, s.Sig[:]) {
			return Value{}, fmt.Errorf("%w: clerk %d", ErrSignature, s.Clerk)
		}
	}
	return v, nil
}
