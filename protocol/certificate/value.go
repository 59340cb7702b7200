package certificate

import (
	"bytes"
	"fmt"
	"math"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
)

// Caps on a value (SPEC §7.1). Together they keep it under MaxValueSize, so
// that a proposal passes as one gossip message.
const (
	Version = 1 // of values

	MaxValueSize    = 56 << 10 // bytes
	MaxNewlyCovered = 10_000   // ids newly covered by one value, all sets together
	MaxFrontier     = 64       // control heads
	MaxSubjects     = 256      // subjects touched
	MaxClosings     = 64       // polls closed

	// MaxAsOf is the latest time a value can carry: the end of year 9999.
	MaxAsOf = 253402300799

	maxChunks = MaxNewlyCovered / MaxChunk // of one set
)

// Value is what a checkpoint's quorum signs: which records are covered and
// what state results (SPEC §7.1). It is canonical DAG-CBOR and its id is
// [protocol.Sum] of that encoding.
//
// A Value from [ParseValue] meets every cap and order named here. Whether it
// is right — extends the previous cover, has the recomputed state root — only
// the records and the state can tell.
type Value struct {
	Version   uint64        `cbor:"v"`
	Metastate protocol.ID   `cbor:"m"`
	Height    uint64        `cbor:"h"`          // from 1
	Prev      protocol.ID   `cbor:"p,omitzero"` // the value at Height−1; zero at height 1
	AsOf      int64         `cbor:"t"`          // unix seconds, 1..MaxAsOf
	Control   Control       `cbor:"c"`
	Subjects  []Subject     `cbor:"s"`          // those touched, by rising id
	Closings  []Closing     `cbor:"x"`          // by rising poll id
	Clerks    []Clerk       `cbor:"k"`          // who signs Height+1: 1..MaxClerks, by rising persona
	Recall    []protocol.ID `cbor:"e"`          // the recall under which its clerks sign, if they are not those in force
	Last      protocol.ID   `cbor:"l,omitzero"` // what the value before it has as Era
	StateRoot [32]byte      `cbor:"r"`          // root of the authenticated state map
}

// Control is the covered control plane.
type Control struct {
	Frontier []protocol.ID `cbor:"f"` // the first MaxFrontier heads of the covered DAG, rising
	Digest   [32]byte      `cbor:"d"` // of the set of all covered control records
	Count    uint64        `cbor:"n"` // of the same
	Chunks   []protocol.ID `cbor:"c"` // lists of those newly covered ([SplitChunks])
}

// Subject is the covered set of one subject that the value touches.
type Subject struct {
	Subject protocol.ID   `cbor:"s"`
	Digest  [32]byte      `cbor:"d"` // of the set of all its covered records
	Count   uint64        `cbor:"n"` // of the same, at least 1
	Chunks  []protocol.ID `cbor:"c"` // lists of those newly covered, at least one
}

// Closing is a poll that the value closes.
type Closing struct {
	Poll   protocol.ID `cbor:"p"`
	Digest [32]byte    `cbor:"d"` // of the set of ballots counted
	Count  uint64      `cbor:"n"` // of the same
	Result protocol.ID `cbor:"r"` // hash of the result
}

// Clerk is one of those who sign a checkpoint. In a founding certificate the
// keys are the founding keys.
type Clerk struct {
	Persona protocol.ID        `cbor:"p"`
	Key     identity.PublicKey `cbor:"k"`
}

// Under is the recall under which the value's clerks sign, zero if they are those
// in force.
func (v Value) Under() protocol.ID {
	if len(v.Recall) == 1 {
		return v.Recall[0]
	}
	return protocol.ID{}
}

// Era is the last recall under which a value up to this one was signed, zero if
// there is none. What is signed for the value names it, so that no height of one
// branch is taken for that of another (SPEC §7.4).
func (v Value) Era() protocol.ID {
	if under := v.Under(); !under.IsZero() {
		return under
	}
	return v.Last
}

// Signers are those who sign a checkpoint, by their numbers there, and the era
// in which they do.
type Signers struct {
	Era    protocol.ID
	Clerks []Clerk
}

// Next are those who sign the checkpoint after v, but under a recall.
func (v Value) Next() Signers { return Signers{v.Era(), v.Clerks} }

// ParseValue reads a value. Errors wrap [ErrMalformed].
func ParseValue(b []byte) (Value, error) {
	v, err := decodeValue(b)
	if err == nil {
		err = v.check()
	}
	if err != nil {
		return Value{}, fmt.Errorf("certificate: parsing a value: %w", err)
	}
	return v, nil
}

// Encode returns the canonical bytes of v, or an error wrapping
// [ErrMalformed] if v breaks a cap or an order: it never writes what
// [ParseValue] would refuse.
func (v Value) Encode() ([]byte, error) {
	err := v.check()
	if err == nil {
		if b := dagcbor.Encode(v); len(b) <= MaxValueSize {
			return b, nil
		}
		err = fmt.Errorf("%w: over %d bytes", ErrMalformed, MaxValueSize)
	}
	return nil, fmt.Errorf("certificate: encoding a value: %w", err)
}

func decodeValue(b []byte) (v Value, err error) {
	if len(b) > MaxValueSize {
		return v, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(b), MaxValueSize)
	}
	d := wire.NewDecoder(b)
	pairs := d.Open(10, 12)
	d.Key("c")
	v.Control = readControl(d)
	d.Key("e")
	v.Recall = wire.List(d, 1, (*wire.Decoder).Link)
	d.Key("h")
	v.Height = d.Uint(math.MaxUint64)
	d.Key("k")
	v.Clerks = wire.List(d, MaxClerks, readClerk)
	if d.Optional("l") {
		pairs--
		v.Last = d.Link()
	}
	d.Key("m")
	v.Metastate = d.Link()
	if pairs == 11 {
		d.Key("p")
		v.Prev = d.Link()
	}
	d.Key("r")
	v.StateRoot = d.Digest()
	d.Key("s")
	v.Subjects = wire.List(d, MaxSubjects, readSubject)
	d.Key("t")
	v.AsOf = int64(d.Uint(MaxAsOf))
	d.Key("v")
	v.Version = d.Uint(Version)
	d.Key("x")
	v.Closings = wire.List(d, MaxClosings, readClosing)
	return v, d.End()
}

func readControl(d *wire.Decoder) (c Control) {
	d.Open(4, 4)
	d.Key("c")
	c.Chunks = wire.List(d, maxChunks, (*wire.Decoder).Link)
	d.Key("d")
	c.Digest = d.Digest()
	d.Key("f")
	c.Frontier = wire.List(d, MaxFrontier, (*wire.Decoder).Link)
	d.Key("n")
	c.Count = d.Uint(math.MaxUint64)
	return c
}

func readSubject(d *wire.Decoder) (s Subject) {
	d.Open(4, 4)
	d.Key("c")
	s.Chunks = wire.List(d, maxChunks, (*wire.Decoder).Link)
	d.Key("d")
	s.Digest = d.Digest()
	d.Key("n")
	s.Count = d.Uint(math.MaxUint64)
	d.Key("s")
	s.Subject = d.Link()
	return s
}

func readClosing(d *wire.Decoder) (c Closing) {
	d.Open(4, 4)
	d.Key("d")
	c.Digest = d.Digest()
	d.Key("n")
	c.Count = d.Uint(math.MaxUint64)
	d.Key("p")
	c.Poll = d.Link()
	d.Key("r")
	c.Result = d.Link()
	return c
}

func readClerk(d *wire.Decoder) (c Clerk) {
	d.Open(2, 2)
	d.Key("k")
	c.Key = d.PublicKey()
	d.Key("p")
	c.Persona = d.Link()
	return c
}

// rising reports whether ids are strictly rising and none is zero.
func rising[T any](items []T, id func(T) protocol.ID) bool {
	var last protocol.ID
	for _, item := range items {
		next := id(item)
		if bytes.Compare(last[:], next[:]) >= 0 {
			return false
		}
		last = next
	}
	return true
}

func itself(id protocol.ID) protocol.ID { return id }
