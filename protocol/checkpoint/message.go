package checkpoint

import (
	"fmt"
	"math"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
)

// Kind is the type of an agreement message. Its number is part of what is
// signed.
type Kind uint8

// The three messages of Algorithm 1.
const (
	KindProposal  Kind = protocol.AgreeProposal
	KindPrevote   Kind = protocol.AgreePrevote
	KindPrecommit Kind = protocol.AgreePrecommit
)

func (k Kind) String() string {
	switch k {
	case KindProposal:
		return "proposal"
	case KindPrevote:
		return "prevote"
	case KindPrecommit:
		return "precommit"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

const (
	// MaxMessageSize is the largest encoding of a message in bytes.
	MaxMessageSize = certificate.MaxValueSize + 256

	// NoRound stands for no round at all: the −1 of Algorithm 1.
	NoRound = -1
)

// Header is what a message says, without the bytes of the value.
type Header struct {
	Kind       Kind
	Clerk      int // index in the clerk set
	Height     uint64
	Round      uint32
	ValidRound int64       // proposals: the round whose prevotes carry the value, or NoRound
	Value      protocol.ID // zero: nil, in a vote
	Era        protocol.ID // of the value
}

// Message is a signed message of the agreement. There are two ways to one: a
// [Machine] signs it, or [ParseMessage] verifies it; so holding one proves
// its signature. It never changes.
type Message struct {
	header    Header
	metastate protocol.ID
	key       identity.PublicKey
	sig       [identity.SignatureSize]byte
	value     []byte      // proposals
	prev      protocol.ID // proposals: what the value says comes before it
	raw       []byte
}

// Header returns what the message says.
func (m *Message) Header() Header { return m.header }

// Bytes returns the encoding, to be sent and not to be changed.
func (m *Message) Bytes() []byte { return m.raw }

// ProposedValue returns the encoded value of a proposal, nil of a vote. It must
// not be changed.
func (m *Message) ProposedValue() []byte { return m.value }

// wireMessage is the encoding (SPEC §7.4).
type wireMessage struct {
	Kind       Kind         `cbor:"t"`
	Clerk      uint8        `cbor:"c"`
	Era        *protocol.ID `cbor:"e,omitempty"`
	Height     uint64       `cbor:"h"`
	Round      uint32       `cbor:"r"`
	Sig        []byte       `cbor:"s"`
	Vote       *protocol.ID `cbor:"v,omitempty"` // votes; absent: nil
	Value      []byte       `cbor:"b,omitempty"` // proposals
	ValidRound *uint32      `cbor:"l,omitempty"` // proposals; absent: none
}

// signingBytes is what a clerk signs (SPEC §7.4).
func signingBytes(metastate protocol.ID, h Header) []byte {
	return protocol.Statement{
		Kind: uint8(h.Kind), Height: h.Height, Round: h.Round, Value: h.Value, ValidRound: h.ValidRound, Era: h.Era,
	}.Bytes(metastate)
}

// signMessage makes a message. value and prev are those of a proposal.
func signMessage(signer identity.Signer, metastate protocol.ID, h Header, value []byte, prev protocol.ID) *Message {
	sig := signer.Sign(signingBytes(metastate, h))
	return &Message{
		header: h, metastate: metastate, key: signer.Public(), sig: sig,
		value: value, prev: prev, raw: encodeMessage(h, sig, value),
	}
}

func encodeMessage(h Header, sig [identity.SignatureSize]byte, value []byte) []byte {
	w := wireMessage{Kind: h.Kind, Clerk: uint8(h.Clerk), Height: h.Height, Round: h.Round, Sig: sig[:], Value: value}
	if !h.Era.IsZero() {
		w.Era = &h.Era
	}
	if h.Kind != KindProposal && !h.Value.IsZero() {
		w.Vote = &h.Value
	}
	if h.Kind == KindProposal && h.ValidRound != NoRound {
		r := uint32(h.ValidRound)
		w.ValidRound = &r
	}
	return dagcbor.Encode(w)
}

// ParseMessage reads a message of the clerks of a height of a metastate, and
// verifies that the clerk it names signed it. A proposal must be the proposer's
// of its round, and its value well formed and of that height. Errors wrap
// [ErrMalformed] or [ErrSignature]; the latter also for a message of a height
// whose clerks are others. It keeps a copy of b.
func ParseMessage(metastate protocol.ID, clerks []certificate.Clerk, b []byte) (*Message, error) {
	m, err := decodeMessage(b, len(clerks))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: parsing a message: %w", err)
	}
	m.metastate, m.key = metastate, clerks[m.header.Clerk].Key
	if m.header.Kind == KindProposal {
		if err := m.takeValue(len(clerks)); err != nil {
			return nil, fmt.Errorf("checkpoint: parsing a proposal: %w", err)
		}
	}
	if !identity.Verify(m.key, signingBytes(metastate, m.header), m.sig[:]) {
		return nil, fmt.Errorf("checkpoint: parsing a message: %w", certificate.ErrSignature)
	}
	return m, nil
}

// EraOf is the recall that an encoded message names, zero if it names none or is
// no message.
func EraOf(b []byte) protocol.ID {
	m, err := decodeMessage(b, certificate.MaxClerks)
	if err != nil {
		return protocol.ID{}
	}
	return m.header.Era
}

func decodeMessage(b []byte, clerks int) (*Message, error) {
	if len(b) > MaxMessageSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", certificate.ErrMalformed, len(b), MaxMessageSize)
	}
	m := &Message{raw: append([]byte(nil), b...)}
	h := &m.header
	h.ValidRound = NoRound
	d := wire.NewDecoder(m.raw)
	pairs := d.Open(5, 8)
	if d.Optional("b") {
		h.Kind = KindProposal
		m.value = d.Bytes(certificate.MaxValueSize)
		pairs--
	}
	d.Key("c")
	h.Clerk = int(d.Uint(certificate.MaxClerks - 1))
	if d.Optional("e") {
		h.Era = d.Link()
		pairs--
	}
	d.Key("h")
	h.Height = d.Uint(math.MaxUint64)
	if h.Kind == KindProposal && d.Optional("l") {
		h.ValidRound = int64(d.Uint(certificate.MaxRound))
		pairs--
	}
	d.Key("r")
	h.Round = uint32(d.Uint(certificate.MaxRound))
	d.Key("s")
	d.Fixed(m.sig[:])
	d.Key("t")
	kind := Kind(d.Uint(uint64(KindPrecommit)))
	if h.Kind != KindProposal && d.Optional("v") {
		h.Value = d.Link()
		pairs--
	}
	if pairs != 5 || kind == 0 || (kind == KindProposal) != (h.Kind == KindProposal) {
		d.Fail("fields of another kind of message")
	}
	h.Kind = kind
	if err := d.End(); err != nil {
		return nil, err
	}
	if h.Height == 0 || h.Clerk >= clerks || h.ValidRound >= int64(h.Round) {
		return nil, fmt.Errorf("%w: no such height, clerk or valid round", certificate.ErrMalformed)
	}
	return m, nil
}

// takeValue holds a proposal to its value and its turn.
func (m *Message) takeValue(clerks int) error {
	h := &m.header
	v, err := certificate.ParseValue(m.value)
	if err != nil {
		return err
	}
	if v.Metastate != m.metastate || v.Height != h.Height || v.Era() != h.Era {
		return fmt.Errorf("%w: a value of another height, recall or metastate", certificate.ErrMalformed)
	}
	if Proposer(h.Height, h.Round, clerks) != h.Clerk {
		return fmt.Errorf("%w: not this clerk's turn", certificate.ErrMalformed)
	}
	h.Value, m.prev = protocol.Sum(m.value), v.Prev
	return nil
}
