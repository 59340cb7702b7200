package protocol

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Errors that callers tell apart. Both mean that no honest node could have
// sent these bytes.
var (
	// ErrMalformed is wrapped when bytes are not a record: not canonical, over
	// a cap, or of an impossible shape.
	ErrMalformed = errors.New("malformed record")
	// ErrBadSignature is wrapped when a signature does not hold.
	ErrBadSignature = errors.New("bad signature")
)

// A Ref names a checkpoint by height and id. The zero Ref is the time before
// the first checkpoint.
type Ref struct {
	Height uint64
	ID     ID
}

// A Header is the part of a payload that every kind has (SPEC §2.2).
type Header struct {
	Metastate  ID                   // zero in a genesis
	Kind       Kind                 //
	Persona    ID                   // the author; zero in a genesis and an inception
	Key        identity.PublicKey   // signs; the author's device key, or persona key
	Cosigners  []identity.PublicKey // sign besides, in this order; strictly ascending
	Seq        uint64               // place in the key's chain; in bulk, the highest counts
	Prev       ID                   // the record before it in its chain; zero at seq 0 and in bulk
	Parents    []ID                 // the author's control heads; strictly ascending; none in bulk
	Checkpoint Ref                  // the latest final checkpoint the author held
	Subject    ID                   // bulk only: what the record belongs to
	Time       int64                // when the author says it was made, seconds since 1970; orders nothing
}

// A Record is a signed, content-addressed statement. It is immutable and safe
// for concurrent use. Make one with [Sign], [Parse] or [ParseBatch].
type Record struct {
	id      ID
	header  Header
	body    []byte
	sealed  bool
	carried []*Record
	inner   []byte
	payload []byte
	sigs    []byte
	memo    atomic.Pointer[memo]
}

// A memo is what somebody found out about a record.
type memo struct{ key, value any }

// Recall is what [Record.Remember] kept under a key, nil if it kept nothing or
// something else since.
func (r *Record) Recall(key any) any {
	if m := r.memo.Load(); m != nil && m.key == key {
		return m.value
	}
	return nil
}

// Remember keeps the value of a pure function of the record, which costs much, as
// long as the record is there. The key is comparable and names the function with
// its other arguments.
func (r *Record) Remember(key, value any) { r.memo.Store(&memo{key, value}) }

// ID is the SHA-256 of the payload.
func (r *Record) ID() ID { return r.id }

// Header is the record's header. Its slices must not be changed.
func (r *Record) Header() Header { return r.header }

// Kind says what the record does.
func (r *Record) Kind() Kind { return r.header.Kind }

// Plane says how the record is held: bulk if it has a subject.
func (r *Record) Plane() Plane {
	if r.header.Subject.IsZero() {
		return Control
	}
	return Bulk
}

// Author is the persona that speaks: the header's persona, or for an inception
// the persona that it begins.
func (r *Record) Author() ID {
	if r.header.Kind == Inception {
		return r.id
	}
	return r.header.Persona
}

// Sealed reports whether the body is ciphertext.
func (r *Record) Sealed() bool { return r.sealed }

// Carried are the records inside this one, each as good as if parsed alone: an
// admission carries the newcomer's inception and grant.
func (r *Record) Carried() []*Record { return r.carried }

// Inner is the inner form, as received. It must not be changed.
func (r *Record) Inner() []byte { return r.inner }

// Payload is the signed content, as received. It must not be changed.
func (r *Record) Payload() []byte { return r.payload }

// Signatures are the signatures, 64 bytes for each signer in order, as
// received. They must not be changed.
func (r *Record) Signatures() []byte { return r.sigs }

// Body decodes the body of r, which must fit T exactly.
func Body[T any](r *Record) (body T, err error) {
	if r.sealed {
		return body, fmt.Errorf("protocol: the body of %s is sealed", r.id)
	}
	if err := dagcbor.Unmarshal(r.body, &body); err != nil {
		return body, fmt.Errorf("protocol: body of %s %s: %w", r.header.Kind, r.id, err)
	}
	return body, nil
}

// Sign makes a record. The first signer must be h.Key's, the others
// h.Cosigners' in order. body is encoded as a map; carried records may be at
// most [MaxCarried] and carry nothing themselves.
func Sign(h Header, body any, carried []*Record, signers ...identity.Signer) (*Record, error) {
	if len(signers) != 1+len(h.Cosigners) || signers[0].Public() != h.Key {
		return nil, fmt.Errorf("protocol: signing %s: signers differ from those the header names", h.Kind)
	}
	for i, c := range h.Cosigners {
		if signers[i+1].Public() != c {
			return nil, fmt.Errorf("protocol: signing %s: co-signers differ from those the header names", h.Kind)
		}
	}
	b, err := dagcbor.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("protocol: signing %s: %w", h.Kind, err)
	}
	return sign(h, b, carried, signers)
}

// SignAgain makes a record that says what r does, in another place or as of
// another checkpoint: h is its header, with r's kind, author and co-signers. Where
// its body names a record that anew has another for, it names that.
func SignAgain(r *Record, h Header, anew map[ID]ID, signers ...identity.Signer) (*Record, error) {
	if h.Kind != r.Kind() || h.Persona != r.header.Persona || len(signers) != 1+len(h.Cosigners) || signers[0].Public() != h.Key {
		return nil, fmt.Errorf("protocol: signing %s again: the header is another's", h.Kind)
	}
	body := r.body
	for was, is := range anew { // a link is its bytes, of one length
		body = bytes.ReplaceAll(body, was[:], is[:])
	}
	return sign(h, body, r.carried, signers)
}

func sign(h Header, body []byte, carried []*Record, signers []identity.Signer) (*Record, error) {
	payload := encodePayload(h, body, carried)
	msg := signedMessage(h.Kind, h.Metastate, Sum(payload))
	sigs := make([]byte, 0, len(signers)*signatureSize)
	for _, s := range signers {
		sig := s.Sign(msg)
		sigs = append(sigs, sig[:]...)
	}
	r, err := Parse(EncodeInner(payload, sigs))
	if err != nil {
		return nil, fmt.Errorf("protocol: signing %s: %w", h.Kind, err)
	}
	return r, nil
}

// Parse reads a record from its inner form and verifies it. The record keeps
// and shares b, which must not be changed afterwards.
func Parse(b []byte) (*Record, error) {
	recs, errs := ParseBatch(nil, [][]byte{b})
	return recs[0], errs[0]
}

// ParseBatch reads and verifies many records at once, several times faster
// than one by one and with the same verdicts. For each input either the record
// or the error is nil. keys remembers the signers' for the next time; nil: nobody
// does.
func ParseBatch(keys *identity.Verifier, inners [][]byte) ([]*Record, []error) {
	recs, errs := make([]*Record, len(inners)), make([]error, len(inners))
	v := verification{batch: keys.Batch()}
	signatures := 0
	for i, b := range inners {
		if recs[i], errs[i] = decodeInner(b, 0); errs[i] == nil {
			signatures += recs[i].signatures()
		}
	}
	v.batch.Expect(signatures)
	v.owner = make([]int, 0, signatures)
	for i, r := range recs {
		if r != nil {
			v.add(i, r)
		}
	}
	for _, i := range v.failed() {
		if errs[i] == nil {
			errs[i] = fmt.Errorf("protocol: record %s: %w", recs[i].id, ErrBadSignature)
			recs[i] = nil
		}
	}
	return recs, errs
}

// signatures is how many a record has, with those of what it carries.
func (r *Record) signatures() (n int) {
	n = len(r.sigs) / signatureSize
	for _, c := range r.carried {
		n += c.signatures()
	}
	return n
}

// verification collects signatures of many records and remembers whose they
// are.
type verification struct {
	batch *identity.Batch
	owner []int
}

func (v *verification) add(owner int, r *Record) {
	msg := signedMessage(r.header.Kind, r.header.Metastate, r.id)
	for i := range len(r.sigs) / signatureSize {
		key := r.header.Key
		if i > 0 {
			key = r.header.Cosigners[i-1]
		}
		v.batch.Add(key, msg, r.sigs[i*signatureSize:(i+1)*signatureSize])
		v.owner = append(v.owner, owner)
	}
	for _, c := range r.carried {
		v.add(owner, c)
	}
}

// failed returns the owners of signatures that do not hold.
func (v *verification) failed() (owners []int) {
	if len(v.owner) == 0 {
		return nil
	}
	ok, each := v.batch.Verify()
	if ok {
		return nil
	}
	for i, good := range each {
		if !good && !slices.Contains(owners[max(0, len(owners)-1):], v.owner[i]) {
			owners = append(owners, v.owner[i])
		}
	}
	return owners
}

// signedMessage is what signatures of a record cover (SPEC §2.4).
func signedMessage(kind Kind, metastate, payload ID) []byte {
	const domain = "metastate/record/v1\x00"
	b := make([]byte, 0, len(domain)+1+len(kind)+2*len(payload))
	b = append(b, domain...)
	b = append(b, byte(len(kind)))
	b = append(b, kind...)
	b = append(b, metastate[:]...)
	return append(b, payload[:]...)
}
