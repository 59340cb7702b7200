package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
)

// recordVersion is that of the record's encoding. Records never leave a node.
const recordVersion = 1

// maxRecordSize holds a valid value, an own proposal and all votes.
const maxRecordSize = 2*MaxMessageSize + (2*certificate.MaxClerks+4)*256

// wireRecord is what [Persist] stores. The step is not in it: the messages
// signed in the round tell.
type wireRecord struct {
	Prev      []byte      `cbor:"f"` // 32 bytes, zeros at height 1
	Height    uint64      `cbor:"h"`
	Locked    *wireLock   `cbor:"l,omitempty"`
	Metastate protocol.ID `cbor:"m"`
	Own       [][]byte    `cbor:"o"`
	Proof     [][]byte    `cbor:"p"`
	Passage   [][]byte    `cbor:"q"`
	Round     uint32      `cbor:"r"`
	Version   uint64      `cbor:"v"`
	Valid     *wireValid  `cbor:"w,omitempty"`
}

type wireLock struct {
	Round uint32      `cbor:"r"`
	Value protocol.ID `cbor:"v"`
}

type wireValid struct {
	Value []byte `cbor:"b"`
	Round uint32 `cbor:"r"`
}

// record returns what the machine must not forget.
func (m *Machine) record() []byte {
	w := wireRecord{
		Prev: m.cfg.Prev[:], Height: m.cfg.Height, Metastate: m.cfg.Metastate, Round: m.at.round, Version: recordVersion,
		Own: raws(m.own), Proof: raws(m.proof), Passage: raws(m.passage),
	}
	if m.locked.round != NoRound {
		w.Locked = &wireLock{Round: uint32(m.locked.round), Value: m.locked.id}
	}
	if m.valid.round != NoRound {
		w.Valid = &wireValid{Round: uint32(m.valid.round), Value: m.valid.value}
	}
	return dagcbor.Encode(w)
}

func raws(msgs []*Message) [][]byte {
	out := make([][]byte, len(msgs))
	for i, msg := range msgs {
		out[i] = msg.raw
	}
	return out
}

// ErrOtherBranch says that a clerk has signed at a height whose previous
// checkpoint was another one. What it signs there now would be the second of
// two different messages.
var ErrOtherBranch = errors.New("checkpoint: signed already at this height of another branch")

// Resume returns the machine of a height from the last record that [Persist]
// stored, to go on with [Start] as after any stop, kill -9 included. It signs
// nothing that conflicts with what it signed before.
//
// An error means that the record is damaged or another's, [ErrOtherBranch] that
// it is this clerk's own of another branch. Then this clerk must
// not vote at this height at all, and waits for its certificate: a machine made
// with [New] instead could sign against itself.
func Resume(cfg Config, record []byte) (*Machine, error) {
	m, err := newMachine(cfg)
	if err == nil {
		err = m.restore(record)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint: resuming: %w", err)
	}
	return m, nil
}

func (m *Machine) restore(record []byte) error {
	if len(record) > maxRecordSize {
		return fmt.Errorf("%w: a record over %d bytes", certificate.ErrMalformed, maxRecordSize)
	}
	w, err := decodeRecord(slices.Clone(record))
	if err != nil {
		return err
	}
	if w.Version != recordVersion || w.Height != m.cfg.Height || w.Metastate != m.cfg.Metastate {
		return fmt.Errorf("%w: a record of another version, height or metastate", certificate.ErrMalformed)
	}
	if m.self < 0 {
		return fmt.Errorf("%w: a record without a signer", certificate.ErrMalformed)
	}
	if !bytes.Equal(w.Prev, m.cfg.Prev[:]) {
		return ErrOtherBranch
	}
	m.at.round = w.Round
	if err := m.restoreLocks(w); err != nil {
		return err
	}
	return m.restoreOwn(w)
}

func decodeRecord(b []byte) (w wireRecord, err error) {
	d := wire.NewDecoder(b)
	pairs := d.Open(8, 10)
	d.Key("f")
	w.Prev = d.Bytes(len(protocol.ID{}))
	d.Key("h")
	w.Height = d.Uint(math.MaxUint64)
	if d.Optional("l") {
		pairs--
		w.Locked = &wireLock{}
		d.Open(2, 2)
		d.Key("r")
		w.Locked.Round = uint32(d.Uint(certificate.MaxRound))
		d.Key("v")
		w.Locked.Value = d.Link()
	}
	d.Key("m")
	w.Metastate = d.Link()
	raw := func(d *wire.Decoder) []byte { return d.Bytes(MaxMessageSize) }
	d.Key("o")
	w.Own = wire.List(d, 3, raw)
	d.Key("p")
	w.Proof = wire.List(d, certificate.MaxClerks, raw)
	d.Key("q")
	w.Passage = wire.List(d, certificate.MaxClerks, raw)
	d.Key("r")
	w.Round = uint32(d.Uint(certificate.MaxRound))
	d.Key("v")
	w.Version = d.Uint(math.MaxUint64)
	if d.Optional("w") {
		pairs--
		w.Valid = &wireValid{}
		d.Open(2, 2)
		d.Key("b")
		w.Valid.Value = d.Bytes(certificate.MaxValueSize)
		d.Key("r")
		w.Valid.Round = uint32(d.Uint(certificate.MaxRound))
	}
	if pairs != 8 {
		d.Fail("fields of something else")
	}
	return w, d.End()
}

func (m *Machine) restoreLocks(w wireRecord) (err error) {
	if (w.Valid == nil) != (len(w.Proof) == 0) || (w.Valid == nil && w.Locked != nil) {
		return fmt.Errorf("%w: a lock without its proof", certificate.ErrMalformed)
	}
	if w.Valid == nil {
		return nil
	}
	v, err := certificate.ParseValue(w.Valid.Value)
	if err != nil {
		return err
	}
	if v.Prev != m.cfg.Prev || v.Height != m.cfg.Height || w.Valid.Round > w.Round {
		return fmt.Errorf("%w: a valid value of another height or a later round", certificate.ErrMalformed)
	}
	m.valid = lock{round: int64(w.Valid.Round), id: protocol.Sum(w.Valid.Value), value: w.Valid.Value}
	*m.opinionOn(m.valid.id) = opinion{id: m.valid.id, timeless: yes}
	if w.Locked != nil {
		if w.Locked.Round > w.Valid.Round {
			return fmt.Errorf("%w: locked after the valid value", certificate.ErrMalformed)
		}
		m.locked = lock{round: int64(w.Locked.Round), id: w.Locked.Value}
	}
	h := Header{Kind: KindPrevote, Round: w.Valid.Round, Value: m.valid.id}
	m.proof, err = m.restoreVotes(w.Proof, func(o Header) bool {
		return o.Kind == h.Kind && o.Round == h.Round && o.Value == h.Value
	})
	return err
}

// restoreVotes files a quorum of votes from the record.
func (m *Machine) restoreVotes(raw [][]byte, fits func(Header) bool) ([]*Message, error) {
	var out []*Message
	for _, b := range raw {
		msg, err := ParseMessage(m.cfg.Metastate, m.cfg.Clerks, b)
		if err != nil {
			return nil, err
		}
		if h := msg.header; h.Height != m.cfg.Height || h.Era != m.cfg.Era || !fits(h) || m.file(msg) != Accepted {
			return nil, fmt.Errorf("%w: a vote out of place", certificate.ErrMalformed)
		}
		out = append(out, msg)
	}
	if len(out) < m.quorum() {
		return nil, fmt.Errorf("%w: votes fewer than a quorum", certificate.ErrMalformed)
	}
	return out, nil
}

// restoreOwn files what this clerk signed in the round, which tells the step.
func (m *Machine) restoreOwn(w wireRecord) (err error) {
	if len(w.Passage) > 0 {
		m.passage, err = m.restoreVotes(w.Passage, func(h Header) bool {
			return h.Kind == KindPrecommit && h.Round+1 == w.Round
		})
		if err != nil {
			return err
		}
	}
	var last Kind
	for _, b := range w.Own {
		msg, err := ParseMessage(m.cfg.Metastate, m.cfg.Clerks, b)
		if err != nil {
			return err
		}
		h := msg.header
		fits := h.Height == m.cfg.Height && h.Era == m.cfg.Era && h.Round == w.Round && h.Clerk == m.self && h.Kind > last
		last = h.Kind
		if v := m.file(msg); !fits || (v != Accepted && v != Duplicate) {
			return fmt.Errorf("%w: a message of its own out of place", certificate.ErrMalformed)
		}
		m.own = append(m.own, m.find(h.Round).first(h.Kind, m.self))
		if h.Kind == KindProposal {
			*m.opinionOn(h.Value) = opinion{id: h.Value, timeless: yes, fresh: yes, freshRound: h.Round}
		} else {
			m.at.step = Step(h.Kind - KindProposal)
		}
	}
	return nil
}
