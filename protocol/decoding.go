package protocol

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// decodeInner reads a record without verifying its signatures. depth is 1
// inside another record.
func decodeInner(b []byte, depth int) (*Record, error) {
	payload, sigs, err := SplitInner(b)
	if err != nil {
		return nil, err
	}
	r := &Record{id: Sum(payload), inner: b, payload: payload, sigs: sigs}
	err = r.decodePayload(depth)
	if err == nil {
		err = r.checkShape()
	}
	if err != nil {
		return nil, fmt.Errorf("protocol: record %s: %w: %w", r.id, ErrMalformed, err)
	}
	return r, nil
}

const requiredFields = "bdkqtv"

// decodePayload reads the map of fields, each at most once and in order
// (SPEC §2.2).
func (r *Record) decodePayload(depth int) error {
	d := payloadDecoder{Reader: dagcbor.NewReader(r.payload)}
	var prev []byte
	var seen uint32
	for n := d.Map(16); n > 0 && d.Err() == nil && d.err == nil; n-- {
		key := d.Key(prev)
		if d.Err() != nil {
			break
		}
		if len(key) != 1 || key[0] < 'a' || key[0] > 'z' {
			return fmt.Errorf("unknown field %q", key)
		}
		d.field(r, key[0], depth)
		seen |= 1 << (key[0] - 'a')
		prev = key
	}
	if d.err != nil {
		return d.err
	}
	if err := d.End(); err != nil {
		return err
	}
	for _, f := range requiredFields {
		if seen&(1<<(f-'a')) == 0 {
			return fmt.Errorf("field %q is missing", f)
		}
	}
	return nil
}

// A payloadDecoder reads fields; err is the first that is canonical but not
// allowed.
type payloadDecoder struct {
	dagcbor.Reader
	err error
}

func (d *payloadDecoder) refuse(format string, args ...any) {
	if d.err == nil && d.Err() == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *payloadDecoder) field(r *Record, name byte, depth int) {
	h := &r.header
	switch name {
	case 'b':
		d.body(r)
	case 'c':
		d.carried(r, depth)
	case 'd':
		h.Key = d.key()
	case 'h':
		if d.Array(2) != 2 {
			d.refuse("a checkpoint is a height and a link")
		}
		h.Checkpoint.Height = d.number(MaxHeight, "height")
		h.Checkpoint.ID = d.link()
		if h.Checkpoint.Height == 0 {
			d.refuse("checkpoints begin at height 1")
		}
	case 'k':
		h.Kind = Kind(d.Text(MaxKind))
		if h.Kind == "" {
			d.refuse("the kind is empty")
		}
	case 'm':
		h.Metastate = d.link()
	case 'o':
		for n := d.items(MaxCosigners); n > 0 && d.Err() == nil; n-- {
			h.Cosigners = append(h.Cosigners, d.key())
		}
	case 'p':
		h.Persona = d.link()
	case 'q':
		h.Seq = d.number(MaxSeq, "seq")
	case 'r':
		h.Prev = d.link()
	case 's':
		h.Subject = d.link()
	case 't':
		h.Time = int64(d.number(MaxTime, "time"))
	case 'u':
		for n := d.items(MaxParents); n > 0 && d.Err() == nil; n-- {
			h.Parents = append(h.Parents, d.link())
		}
	case 'v':
		if v := d.Uint(); v != Version {
			d.refuse("version %d, this program reads %d", v, Version)
		}
	default:
		d.refuse("unknown field %q", name)
	}
}

func (d *payloadDecoder) body(r *Record) {
	const bytesMajor, mapMajor = 2, 5
	r.body = d.Raw()
	if d.Err() != nil {
		return
	}
	switch r.body[0] >> 5 {
	case mapMajor:
	case bytesMajor:
		r.sealed = true
	default:
		d.refuse("the body is neither a map nor sealed")
	}
}

func (d *payloadDecoder) carried(r *Record, depth int) {
	for n := d.items(MaxCarried); n > 0 && d.Err() == nil && d.err == nil; n-- {
		b := d.Bytes(defaultPayload)
		switch {
		case d.Err() != nil:
		case depth > 0:
			d.refuse("a carried record carries another")
		default:
			c, err := decodeInner(b, depth+1)
			if err != nil {
				d.refuse("carried: %w", err)
				return
			}
			r.carried = append(r.carried, c)
		}
	}
}

func (d *payloadDecoder) key() (k identity.PublicKey) {
	b := d.Bytes(34)
	if d.Err() != nil {
		return k
	}
	k, err := identity.ParseMultikey(b)
	if err != nil {
		d.refuse("%w", err)
	}
	return k
}

// number reads an unsigned integer of at most limit.
func (d *payloadDecoder) number(limit uint64, what string) uint64 {
	n := d.Uint()
	if n > limit {
		d.refuse("%s %d is over the cap", what, n)
	}
	return n
}

// link reads a link. The zero id means absence, so a link may not be zero.
func (d *payloadDecoder) link() ID {
	id := ID(d.Link())
	if id.IsZero() {
		d.refuse("a link to nothing")
	}
	return id
}

// items reads the head of an array that is left out when empty.
func (d *payloadDecoder) items(limit int) int {
	n := d.Array(limit)
	if n == 0 {
		d.refuse("an empty array must be left out")
	}
	return n
}

// checkShape refuses combinations of fields that no record has (SPEC §2.5).
func (r *Record) checkShape() error {
	h := &r.header
	if limit := h.Kind.maxPayload(); len(r.payload) > limit {
		return fmt.Errorf("payload of %d bytes, the cap of %q is %d", len(r.payload), h.Kind, limit)
	}
	if want := (1 + len(h.Cosigners)) * signatureSize; len(r.sigs) != want {
		return fmt.Errorf("%d bytes of signatures, wanted %d", len(r.sigs), want)
	}
	if !ascending(h.Cosigners) || !ascending(h.Parents) {
		return errors.New("co-signers or parents are not strictly ascending")
	}
	for _, c := range h.Cosigners {
		if c == h.Key {
			return errors.New("the signer co-signs")
		}
	}
	if h.Kind == Genesis {
		return r.checkGenesis()
	}
	if h.Metastate.IsZero() {
		return errors.New("no metastate")
	}
	if h.Persona.IsZero() != (h.Kind == Inception) {
		return errors.New("all but an inception name their persona, and an inception names none")
	}
	if k, ok := kinds[h.Kind]; ok && k.plane != r.Plane() {
		return errors.New("a subject on the control plane, or none on the bulk plane")
	}
	return r.checkPlane()
}

func (r *Record) checkGenesis() error {
	h := &r.header
	if !h.Metastate.IsZero() || !h.Persona.IsZero() || !h.Subject.IsZero() || h.Checkpoint != (Ref{}) ||
		h.Seq != 0 || !h.Prev.IsZero() || len(h.Parents) > 0 || len(r.carried) > 0 {
		return errors.New("a genesis has nothing before it")
	}
	return nil
}

func (r *Record) checkPlane() error {
	h := &r.header
	if r.Plane() == Bulk {
		if !h.Prev.IsZero() || len(h.Parents) > 0 || len(r.carried) > 0 {
			return errors.New("a bulk record has no prev, parents or carried records")
		}
		if h.Seq > MaxBulkSeq {
			return fmt.Errorf("seq %d of a bulk record, the cap is %d", h.Seq, MaxBulkSeq)
		}
		return nil
	}
	if h.Prev.IsZero() != (h.Seq == 0) {
		return errors.New("the first record of a chain has seq 0 and no prev, every other has both")
	}
	if len(r.carried) > 0 && h.Kind != Admit {
		return errors.New("only an admission carries records")
	}
	return nil
}

// ascending reports whether list is strictly ascending by bytes.
func ascending[T ~[32]byte](list []T) bool {
	for i := 1; i < len(list); i++ {
		a, b := [32]byte(list[i-1]), [32]byte(list[i])
		if bytes.Compare(a[:], b[:]) >= 0 {
			return false
		}
	}
	return true
}
