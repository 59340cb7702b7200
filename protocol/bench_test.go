package protocol

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// benchRecords makes n control records of usual size (about 450 bytes), by 64
// keys.
func benchRecords(b *testing.B, n int) [][]byte {
	b.Helper()
	keys := make([]identity.SigningKey, 64)
	for i := range keys {
		seed := sha256.Sum256([]byte{byte(i)})
		keys[i] = identity.NewSigningKey(&seed)
	}
	body := struct {
		Words string `cbor:"words"`
	}{"that the hall be open on Sundays"}
	inners := make([][]byte, n)
	for i := range inners {
		k := keys[i%len(keys)]
		r, err := Sign(Header{
			Metastate: Sum([]byte("m")), Kind: Propose, Persona: Sum([]byte{byte(i)}), Key: k.Public(), Seq: uint64(i + 1),
			Prev: Sum([]byte{1, byte(i)}), Parents: []ID{{1}, {2}}, Checkpoint: Ref{9, Sum([]byte("c"))}, Time: 1_800_000_000,
		}, body, nil, k)
		if err != nil {
			b.Fatal(err)
		}
		inners[i] = r.Inner()
	}
	return inners
}

// BenchmarkDecodeShare measures decoding (with hashing) against the batch
// verification of the same records in the same run, on one thread. The bar is
// decode/verify ≤ 0.15.
func BenchmarkDecodeShare(b *testing.B) {
	inners := benchRecords(b, 1024)
	recs := make([]*Record, len(inners))
	var decoding, verifying time.Duration
	rounds := 0
	for b.Loop() {
		start := time.Now()
		for i, in := range inners {
			r, err := decodeInner(in, 0)
			if err != nil {
				b.Fatal(err)
			}
			recs[i] = r
		}
		decoded := time.Now()
		v := verification{batch: new(identity.Batch)}
		for i, r := range recs {
			v.add(i, r)
		}
		if bad := v.failed(); len(bad) > 0 {
			b.Fatal("bad signatures")
		}
		decoding += decoded.Sub(start)
		verifying += time.Since(decoded)
		rounds++
	}
	per := float64(rounds * len(inners))
	b.ReportMetric(float64(decoding.Nanoseconds())/per, "decode-ns/record")
	b.ReportMetric(float64(verifying.Nanoseconds())/per, "verify-ns/record")
	b.ReportMetric(float64(decoding)/float64(verifying), "decode/verify")
}

// BenchmarkParseBatch measures what it saves to know the signers' keys, by how
// many records come together: gossip brings few, sync a thousand.
func BenchmarkParseBatch(b *testing.B) {
	inners := benchRecords(b, 1024)
	for _, n := range []int{1, 4, 16, 1024} {
		for name, keys := range map[string]*identity.Verifier{"new keys": nil, "known keys": identity.NewVerifier(64)} {
			b.Run(fmt.Sprintf("%d of %s", n, name), func(b *testing.B) {
				for at := 0; b.Loop(); at = (at + n) % len(inners) {
					_, errs := ParseBatch(keys, inners[at:at+n])
					if err := errors.Join(errs...); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
			})
		}
	}
}

// mapPayload is a payload as the CBOR library would read it into a struct.
type mapPayload struct {
	Body       cbor.RawMessage      `cbor:"b"`
	Carried    [][]byte             `cbor:"c,omitempty"`
	Key        identity.PublicKey   `cbor:"d"`
	Checkpoint cbor.RawMessage      `cbor:"h,omitempty"`
	Kind       Kind                 `cbor:"k"`
	Metastate  ID                   `cbor:"m,omitzero"`
	Cosigners  []identity.PublicKey `cbor:"o,omitempty"`
	Persona    ID                   `cbor:"p,omitzero"`
	Seq        uint64               `cbor:"q"`
	Prev       ID                   `cbor:"r,omitzero"`
	Subject    ID                   `cbor:"s,omitzero"`
	Time       int64                `cbor:"t"`
	Parents    []ID                 `cbor:"u,omitempty"`
	Version    uint64               `cbor:"v"`
}

// BenchmarkDecoders documents why payloads are read by hand: both decoders
// take the same payload, in the same run.
func BenchmarkDecoders(b *testing.B) {
	payload, _, err := SplitInner(benchRecords(b, 1)[0])
	if err != nil {
		b.Fatal(err)
	}
	const batch = 256
	var byHand, byLibrary time.Duration
	rounds := 0
	for b.Loop() {
		start := time.Now()
		for range batch {
			r := &Record{payload: payload}
			if err := r.decodePayload(0); err != nil {
				b.Fatal(err)
			}
		}
		middle := time.Now()
		for range batch {
			var p mapPayload
			if err := dagcbor.Unmarshal(payload, &p); err != nil {
				b.Fatal(err)
			}
		}
		byHand += middle.Sub(start)
		byLibrary += time.Since(middle)
		rounds += batch
	}
	b.ReportMetric(float64(byHand.Nanoseconds())/float64(rounds), "by-hand-ns/payload")
	b.ReportMetric(float64(byLibrary.Nanoseconds())/float64(rounds), "library-ns/payload")
	b.ReportMetric(float64(byLibrary)/float64(byHand), "library/by-hand")
}
