package protocol_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

func drawID(t *rapid.T, label string) (id protocol.ID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
	id[0] |= 1 // not zero
	return id
}

// drawHeader draws any header that a record may have, and its signers.
func drawHeader(t *rapid.T) (protocol.Header, []identity.Signer) {
	h := protocol.Header{Key: testKey(1).Public(), Time: rapid.Int64Range(0, protocol.MaxTime).Draw(t, "time")}
	signers := []identity.Signer{testKey(1)}
	for _, k := range sortedKeys(rapid.IntRange(0, protocol.MaxCosigners).Draw(t, "cosigners")) {
		h.Cosigners = append(h.Cosigners, k.Public())
		signers = append(signers, k)
	}
	h.Kind = rapid.SampledFrom([]protocol.Kind{
		protocol.Genesis, protocol.Inception, protocol.Grant, protocol.Propose, protocol.Ballot, "strike.call", "ü",
	}).Draw(t, "kind")
	if h.Kind == protocol.Genesis {
		return h, signers
	}
	h.Metastate = drawID(t, "metastate")
	if h.Kind != protocol.Inception {
		h.Persona = drawID(t, "persona")
	}
	if rapid.Bool().Draw(t, "checkpointed") {
		h.Checkpoint = protocol.Ref{Height: rapid.Uint64Range(1, protocol.MaxHeight).Draw(t, "height"), ID: drawID(t, "checkpoint")}
	}
	if h.Kind == protocol.Ballot || (!h.Kind.Known() && rapid.Bool().Draw(t, "bulk")) {
		h.Subject = drawID(t, "subject")
		h.Seq = rapid.Uint64Range(0, protocol.MaxBulkSeq).Draw(t, "seq")
		return h, signers
	}
	if h.Seq = rapid.Uint64Range(0, protocol.MaxSeq).Draw(t, "seq"); h.Seq > 0 {
		h.Prev = drawID(t, "prev")
	}
	for range rapid.IntRange(0, protocol.MaxParents).Draw(t, "parents") {
		h.Parents = append(h.Parents, drawID(t, "parent"))
	}
	slices.SortFunc(h.Parents, protocol.ID.Compare)
	h.Parents = slices.Compact(h.Parents)
	if len(h.Parents) == 0 {
		h.Parents = nil
	}
	return h, signers
}

// What is signed is what is read back, and another encoder writes it alike.
func TestSignParseRoundTrip(t *testing.T) {
	type body struct {
		Words string `cbor:"words"`
	}
	rapid.Check(t, func(t *rapid.T) {
		h, signers := drawHeader(t)
		words := body{rapid.String().Draw(t, "words")}
		r, err := protocol.Sign(h, words, nil, signers...)
		if err != nil {
			t.Fatal(err)
		}
		back, err := protocol.Parse(slices.Clone(r.Inner()))
		if err != nil {
			t.Fatal(err)
		}
		if back.ID() != r.ID() || back.ID() != protocol.Sum(r.Payload()) || !reflect.DeepEqual(back.Header(), h) {
			t.Fatalf("read back as %s %+v\nsigned      %s %+v", back.ID(), back.Header(), r.ID(), h)
		}
		if got, err := protocol.Body[body](back); err != nil || got != words {
			t.Fatalf("body %+v, %v", got, err)
		}
		if err := dagcbor.Check(back.Payload()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(protocol.EncodeInner(back.Payload(), back.Signatures()), back.Inner()) {
			t.Fatal("payload and signatures do not give the inner form")
		}
		p, s, err := protocol.SplitInner(back.Inner())
		if err != nil || !bytes.Equal(p, back.Payload()) || !bytes.Equal(s, back.Signatures()) {
			t.Fatalf("split: %v", err)
		}
	})
}

func TestRecordAccessors(t *testing.T) {
	inc := mustParse(t, inception().inner())
	if inc.Author() != inc.ID() || inc.Plane() != protocol.Control {
		t.Error("an inception is not its own author")
	}
	b := mustParse(t, bulk().inner())
	if b.Author() != testID(3) || b.Plane() != protocol.Bulk || b.Sealed() {
		t.Errorf("ballot by %s on plane %d", b.Author(), b.Plane())
	}
	sealed := mustParse(t, control().with("b", bytesOf([]byte("x"))).inner())
	if b, err := protocol.Body[[]byte](sealed); !sealed.Sealed() || err == nil { // ciphertext is no body
		t.Errorf("sealed %v, body %x", sealed.Sealed(), b)
	}
	if _, err := protocol.Body[struct{}](mustParse(t, control().with("b", bodyOf(9)).inner())); err == nil {
		t.Error("a body with a field its type lacks was decoded")
	}
}

// Not a byte of the inner form can change: what is not malformed no longer
// holds under its signature.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	for name, d := range map[string]draft{
		"control": cosigned(control(), 1), "bulk": bulk(), "genesis": genesis(),
		"admission": admission(inception().inner(), control().inner()),
		"sealed":    control().with("b", bytesOf([]byte("ciphertext"))),
	} {
		t.Run(name, func(t *testing.T) {
			inner := d.inner()
			payload, sigs, err := protocol.SplitInner(inner)
			if err != nil {
				t.Fatal(err)
			}
			id := mustParse(t, inner).ID()
			for i := range inner {
				for _, mask := range []byte{1, 0x20, 0x80, 0xff} {
					b := slices.Clone(inner)
					b[i] ^= mask
					r, err := protocol.Parse(b)
					if r != nil || err == nil {
						t.Fatalf("taken with byte %d changed by %02x", i, mask)
					}
					if inSigs := i >= len(inner)-len(sigs); inSigs && !errors.Is(err, protocol.ErrBadSignature) {
						t.Fatalf("byte %d of the signatures: %v", i, err)
					}
				}
			}
			// The same with the payload's id: a changed payload is another record.
			for i := range payload {
				b := slices.Clone(payload)
				b[i] ^= 1
				if protocol.Sum(b) == id {
					t.Fatal("two payloads of one id")
				}
			}
		})
	}
}

// SPEC §2.3: a signer who makes many signatures has still made one record.
func TestTwoSignaturesOneRecord(t *testing.T) {
	d := control()
	inner := d.inner()
	payload, sigs, err := protocol.SplitInner(inner)
	if err != nil {
		t.Fatal(err)
	}
	second := resign(t, testKey(1), d)
	if bytes.Equal(sigs, second) {
		t.Fatal("the signatures are one")
	}
	a, b := mustParse(t, inner), mustParse(t, protocol.EncodeInner(payload, second))
	if a.ID() != b.ID() {
		t.Errorf("ids %s and %s", a.ID(), b.ID())
	}
}

// SPEC §2.4: a signature says which kind and which metastate it is for, so it
// holds nowhere else, though the payload's bytes were the same.
func TestSpec2_4SignatureReplay(t *testing.T) {
	d := control()
	for name, inner := range map[string][]byte{
		"another metastate": sealPayload(d.kind, testID(7), d.payload(), testKey(1)),
		"no metastate":      sealPayload(d.kind, protocol.ID{}, d.payload(), testKey(1)),
		"another kind":      sealPayload(protocol.Leave, d.metastate, d.payload(), testKey(1)),
		"another key":       sealPayload(d.kind, d.metastate, d.payload(), testKey(2)),
		"another payload":   protocol.EncodeInner(d.payload(), sigsOf(t, d.with("q", number(2)).inner())),
		"signers swapped":   cosigned(d, 1).signedBy(sortedKeys(1)[0], testKey(1)).inner(),
		"one signs for two": cosigned(d, 1).signedBy(testKey(1), testKey(1)).inner(),
		"moved to another metastate": func() []byte {
			e := d.with("m", link(testID(7)))
			return protocol.EncodeInner(e.payload(), sigsOf(t, d.inner()))
		}(),
		"zero signature": protocol.EncodeInner(d.payload(), make([]byte, identity.SignatureSize)),
	} {
		if r, err := protocol.Parse(inner); r != nil || !errors.Is(err, protocol.ErrBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func sigsOf(t testing.TB, inner []byte) []byte {
	t.Helper()
	_, sigs, err := protocol.SplitInner(inner)
	if err != nil {
		t.Fatal(err)
	}
	return sigs
}

// A key of small order accepts a signature of anything under the bare
// equation: R = identity, s = 0.
func TestSmallOrderKeyIsRefused(t *testing.T) {
	var identityPoint identity.PublicKey
	identityPoint[0] = 1
	sig := make([]byte, identity.SignatureSize)
	sig[0] = 1
	d := control().with("d", bytesOf(identityPoint.Multikey()))
	if _, err := protocol.Parse(protocol.EncodeInner(d.payload(), sig)); !errors.Is(err, protocol.ErrBadSignature) {
		t.Error(err)
	}
}

func TestSignRefuses(t *testing.T) {
	one, two := testKey(1), testKey(2)
	h := mustParse(t, control().inner()).Header()
	long := h
	long.Parents = []protocol.ID{testID(2), testID(1)}
	negative := h
	negative.Time = -1
	half := h
	half.Checkpoint = protocol.Ref{ID: testID(1)}
	inc := mustParse(t, inception().inner())
	for name, sign := range map[string]func() (*protocol.Record, error){
		"no signer":            func() (*protocol.Record, error) { return protocol.Sign(h, struct{}{}, nil) },
		"another signer":       func() (*protocol.Record, error) { return protocol.Sign(h, struct{}{}, nil, two) },
		"a signer too many":    func() (*protocol.Record, error) { return protocol.Sign(h, struct{}{}, nil, one, two) },
		"parents out of order": func() (*protocol.Record, error) { return protocol.Sign(long, struct{}{}, nil, one) },
		"time before 1970":     func() (*protocol.Record, error) { return protocol.Sign(negative, struct{}{}, nil, one) },
		"checkpoint of no height": func() (*protocol.Record, error) {
			return protocol.Sign(half, struct{}{}, nil, one)
		},
		"a body that is no map": func() (*protocol.Record, error) { return protocol.Sign(h, 1, nil, one) },
		"a body with a float":   func() (*protocol.Record, error) { return protocol.Sign(h, map[string]any{"x": 1.5}, nil, one) },
		"carrying":              func() (*protocol.Record, error) { return protocol.Sign(h, struct{}{}, []*protocol.Record{inc}, one) },
		"another co-signer": func() (*protocol.Record, error) {
			c := h
			c.Cosigners = []identity.PublicKey{testKey(3).Public()}
			return protocol.Sign(c, struct{}{}, nil, one, two)
		},
	} {
		if r, err := sign(); r != nil || err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

// A batch gives each record the verdict it gets alone.
func TestBatchEqualsSingle(t *testing.T) {
	good := [][]byte{control().inner(), bulk().inner(), cosigned(genesis(), 3).inner(), admission(inception().inner()).inner()}
	bad := [][]byte{
		nil,
		{0xff},
		control().with("z", number(1)).inner(), control().signedBy(testKey(2)).inner(),
		cosigned(control(), 2).signedBy(testKey(1), sortedKeys(2)[0], testKey(9)).inner(),
		admission(control().signedBy(testKey(2)).inner()).inner(),
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 2, 63, 64, 65, 200} {
		for _, badOf16 := range []int{0, 1, 8, 16} {
			var inners [][]byte
			for range size {
				if rng.IntN(16) < badOf16 {
					inners = append(inners, bad[rng.IntN(len(bad))])
				} else {
					inners = append(inners, good[rng.IntN(len(good))])
				}
			}
			recs, errs := protocol.ParseBatch(nil, inners)
			if len(recs) != size || len(errs) != size {
				t.Fatalf("%d records and %d errors for %d", len(recs), len(errs), size)
			}
			for i, b := range inners {
				r, err := protocol.Parse(b)
				if (recs[i] == nil) != (r == nil) || (recs[i] == nil) == (errs[i] == nil) ||
					(err != nil && err.Error() != errs[i].Error()) || (r != nil && r.ID() != recs[i].ID()) {
					t.Fatalf("record %d of %d: in the batch %v, alone %v", i, size, errs[i], err)
				}
			}
		}
	}
}

// SPEC §2.5: what an admission carries is as good as if parsed alone.
func TestCarried(t *testing.T) {
	inc, grant := inception(), control().ofKind(protocol.Grant)
	r := mustParse(t, admission(inc.inner(), grant.inner()).inner())
	if c := r.Carried(); len(c) != 2 || c[0].ID() != protocol.Sum(inc.payload()) || c[1].Kind() != protocol.Grant ||
		!bytes.Equal(c[0].Inner(), inc.inner()) {
		t.Fatalf("carried %d", len(c))
	}
	signed, err := protocol.Sign(r.Header(), struct{}{}, r.Carried(), testKey(1))
	if err != nil || signed.ID() != r.ID() {
		t.Errorf("signing gives another record: %v", err)
	}
	t.Run("bad signature inside", func(t *testing.T) {
		for _, list := range [][][]byte{
			{inc.signedBy(testKey(2)).inner(), grant.inner()},
			{inc.inner(), grant.signedBy(testKey(2)).inner()},
			{inc.inner(), sealPayload(grant.kind, testID(7), grant.payload(), testKey(1))},
		} {
			if _, err := protocol.Parse(admission(list...).inner()); !errors.Is(err, protocol.ErrBadSignature) {
				t.Error(err)
			}
		}
	})
	t.Run("malformed inside", func(t *testing.T) {
		wantRefusal(t, admission(inc.with("p", link(testID(3))).inner()).inner(), "an inception names none")
		wantRefusal(t, admission(inc.signedBy().inner()).inner(), "0 bytes of signatures")
		wantRefusal(t, admission([]byte{1}).inner(), "expected an array")
		wantRefusal(t, control().ofKind(protocol.Admit).with("c", array(number(1))).inner(), "byte string")
	})
	t.Run("nested", func(t *testing.T) {
		wantRefusal(t, admission(admission(inc.inner()).inner()).inner(), "carries another")
		// Even where the one inside may not carry for another reason too.
		wantRefusal(t, admission(control().with("c", array(bytesOf(inc.inner()))).inner()).inner(), "carries another")
	})
}
