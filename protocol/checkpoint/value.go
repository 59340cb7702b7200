package checkpoint

import (
	"bytes"
	"fmt"
	"math"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
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
	Subjects  []Subject     `cbor:"s"` // those touched, by rising id
	Closings  []Closing     `cbor:"x"` // by rising poll id
	Clerks    []Clerk       `cbor:"k"` // who signs Height+1: 1..MaxClerks, by rising persona
	Recall    []protocol.ID `cbor:"e"` // the recall under which its clerks sign, if they are not those in force
	StateRoot [32]byte      `cbor:"r"` // root of the authenticated state map
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

// Era is the recall under which the value's clerks sign, zero if they are those
// in force.
func (v Value) Era() protocol.ID {
	if len(v.Recall) == 1 {
		return v.Recall[0]
	}
	return protocol.ID{}
}

// ParseValue reads a value. Errors wrap [ErrMalformed].
func ParseValue(b []byte) (Value, error) {
	v, err := decodeValue(b)
	if err == nil {
		err = v.check()
	}
	if err != nil {
		return Value{}, fmt.Errorf("checkpoint: parsing a value: %w", err)
	}
	return v, nil
}

// Encode returns the canonical bytes of v, or an error wrapping
// [ErrMalformed] if v breaks a cap or an order: it never writes what
// [ParseValue] would refuse.
func (v Value) Encode() ([]byte, error) {
	err := v.check()
	if err == nil {
		if b := encode(v); len(b) <= MaxValueSize {
			return b, nil
		}
		err = fmt.Errorf("%w: over %d bytes", ErrMalformed, MaxValueSize)
	}
	return nil, fmt.Errorf("checkpoint: encoding a value: %w", err)
}

func decodeValue(b []byte) (v Value, err error) {
	if len(b) > MaxValueSize {
		return v, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(b), MaxValueSize)
	}
	d := newDecoder(b)
	pairs := d.open(10, 11)
	d.key("c")
	v.Control = readControl(d)
	d.key("e")
	v.Recall = list(d, 1, (*decoder).link)
	d.key("h")
	v.Height = d.uint(math.MaxUint64)
	d.key("k")
	v.Clerks = list(d, MaxClerks, readClerk)
	d.key("m")
	v.Metastate = d.link()
	if pairs == 11 {
		d.key("p")
		v.Prev = d.link()
	}
	d.key("r")
	v.StateRoot = d.digest()
	d.key("s")
	v.Subjects = list(d, MaxSubjects, readSubject)
	d.key("t")
	v.AsOf = int64(d.uint(MaxAsOf))
	d.key("v")
	v.Version = d.uint(Version)
	d.key("x")
	v.Closings = list(d, MaxClosings, readClosing)
	return v, d.end()
}

func readControl(d *decoder) (c Control) {
	d.open(4, 4)
	d.key("c")
	c.Chunks = list(d, maxChunks, (*decoder).link)
	d.key("d")
	c.Digest = d.digest()
	d.key("f")
	c.Frontier = list(d, MaxFrontier, (*decoder).link)
	d.key("n")
	c.Count = d.uint(math.MaxUint64)
	return c
}

func readSubject(d *decoder) (s Subject) {
	d.open(4, 4)
	d.key("c")
	s.Chunks = list(d, maxChunks, (*decoder).link)
	d.key("d")
	s.Digest = d.digest()
	d.key("n")
	s.Count = d.uint(math.MaxUint64)
	d.key("s")
	s.Subject = d.link()
	return s
}

func readClosing(d *decoder) (c Closing) {
	d.open(4, 4)
	d.key("d")
	c.Digest = d.digest()
	d.key("n")
	c.Count = d.uint(math.MaxUint64)
	d.key("p")
	c.Poll = d.link()
	d.key("r")
	c.Result = d.link()
	return c
}

func readClerk(d *decoder) (c Clerk) {
	d.open(2, 2)
	d.key("k")
	c.Key = d.publicKey()
	d.key("p")
	c.Persona = d.link()
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
