package protocol_test

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// FuzzParse mutates the payload and signs what comes of it, so that the fuzzer
// gets past the signature. What is taken holds every promise of the package.
func FuzzParse(f *testing.F) {
	for _, d := range []draft{
		control(), bulk(), genesis(), inception(), cosigned(control(), 2), admission(inception().inner()),
		control().with("b", bytesOf([]byte("sealed"))), control().ofKind("strike.call"),
	} {
		f.Add(d.payload(), string(d.kind), d.metastate[:], false)
		f.Add(d.inner(), string(d.kind), d.metastate[:], true)
	}
	f.Fuzz(func(t *testing.T, b []byte, kind string, metastate []byte, whole bool) {
		inner := b
		if !whole && len(kind) <= protocol.MaxKind && len(metastate) == 32 {
			inner = sealPayload(protocol.Kind(kind), protocol.ID(metastate), b, testKey(1))
		}
		r, err := protocol.Parse(inner)
		if err != nil {
			if r != nil || (!errors.Is(err, protocol.ErrMalformed) && !errors.Is(err, protocol.ErrBadSignature)) {
				t.Fatalf("%v, %v", r, err)
			}
			return
		}
		h := r.Header()
		if !bytes.Equal(r.Inner(), inner) || r.ID() != protocol.Sum(r.Payload()) || len(inner) > protocol.MaxInner ||
			len(h.Parents) > protocol.MaxParents || len(h.Cosigners) > protocol.MaxCosigners ||
			len(r.Carried()) > protocol.MaxCarried || h.Time < 0 || h.Time > protocol.MaxTime ||
			h.Seq > protocol.MaxSeq || (r.Plane() == protocol.Bulk && h.Seq > protocol.MaxBulkSeq) {
			t.Fatalf("taken: %x", inner)
		}
	})
}

func FuzzOpenOuter(f *testing.F) {
	for _, e := range epochs() {
		f.Add(e.Seal(protocol.ContentRecord, control().inner()), byte(protocol.ContentRecord))
		f.Add(e.Seal(protocol.ContentBinding, nil), byte(protocol.ContentBinding))
	}
	f.Fuzz(func(t *testing.T, outer []byte, kind byte) {
		for _, e := range epochs() {
			content, err := e.Open(protocol.Content(kind), outer)
			check := e.Check(protocol.Content(kind), outer)
			if (err == nil) != (check == nil) || (err != nil && content != nil) {
				t.Fatalf("Open %v, Check %v", err, check)
			}
			if err == nil && (len(outer) > protocol.MaxOuter || !bytes.Equal(e.Seal(protocol.Content(kind), content), outer)) {
				t.Fatalf("opened what sealing does not give: %x", outer)
			}
		}
	})
}

// Claimed lengths allocate nothing: what a refusal costs in memory is bounded
// by what was received.
func TestHostileLengthsAllocateNothing(t *testing.T) {
	huge := []byte{0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	hugeMap := append([]byte{0xbb}, huge[1:]...)
	hugeBytes := append([]byte{0x5b}, huge[1:]...)
	for name, inner := range map[string][]byte{
		"parents":      control().with("u", huge).inner(),
		"co-signers":   control().with("o", huge).inner(),
		"carried":      control().ofKind(protocol.Admit).with("c", huge).inner(),
		"body":         control().with("b", hugeMap).inner(),
		"sealed body":  control().with("b", hugeBytes).inner(),
		"key":          control().with("d", hugeBytes).inner(),
		"fields":       sealPayload("", protocol.ID{}, hugeMap, testKey(1)),
		"inner":        huge,
		"payload":      append(dagcbor.AppendArray(nil, 2), hugeBytes...),
		"long garbage": make([]byte, 1<<20),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const runs = 100
		for range runs {
			if _, err := protocol.Parse(inner); err == nil {
				t.Fatalf("%s: taken", name)
			}
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 16<<10 {
			t.Errorf("%s: %d bytes allocated for each refusal", name, n)
		}
	}
}
