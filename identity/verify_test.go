package identity_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
)

// triple is a signature to judge.
type triple struct {
	pub      identity.PublicKey
	msg, sig []byte
}

// judges are all the ways a signature can be verified. Each gets the triples
// together and answers for each; all must agree.
func judges() map[string]func([]triple) []bool {
	one := func(verify func(identity.PublicKey, []byte, []byte) bool) func([]triple) []bool {
		return func(ts []triple) (got []bool) {
			for _, t := range ts {
				got = append(got, verify(t.pub, t.msg, t.sig))
			}
			return got
		}
	}
	batch := func(newBatch func() *identity.Batch) func([]triple) []bool {
		return func(ts []triple) []bool {
			b := newBatch()
			for _, t := range ts {
				b.Add(t.pub, t.msg, t.sig)
			}
			ok, each := b.Verify()
			if ok == slices.Contains(each, false) {
				panic("ok does not sum up each")
			}
			return each
		}
	}
	alone := func(judge func([]triple) []bool) func([]triple) []bool {
		return func(ts []triple) (got []bool) {
			for _, t := range ts {
				got = append(got, judge([]triple{t})...)
			}
			return got
		}
	}
	warm, tiny := identity.NewVerifier(1024), identity.NewVerifier(1)
	plain := batch(func() *identity.Batch { return new(identity.Batch) })
	return map[string]func([]triple) []bool{
		"single":               one(identity.Verify),
		"single, cold keys":    one(tiny.Verify),
		"single, no Verifier":  one((*identity.Verifier)(nil).Verify),
		"single, known keys":   func(ts []triple) []bool { one(warm.Verify)(ts); return one(warm.Verify)(ts) },
		"batch":                plain,
		"batches of one":       alone(plain),
		"batch, known keys":    batch(warm.Batch),
		"batch, cold keys":     batch(tiny.Batch),
		"batches of one known": alone(batch(warm.Batch)),
		"told that it is one":  alone(batch(toldOf(1))),
		"told too few":         batch(toldOf(1)),
	}
}

// toldOf makes batches that were told how many signatures come.
func toldOf(n int) func() *identity.Batch {
	return func() *identity.Batch {
		b := new(identity.Batch)
		b.Expect(n)
		return b
	}
}

// wantAll checks every judge on all the triples together, and on the good ones
// alone, so that the batch equation decides and not its fallback.
func wantAll(t *testing.T, ts []triple, want []bool, name func(int) string) {
	t.Helper()
	var good []triple
	for i, ok := range want {
		if ok {
			good = append(good, ts[i])
		}
	}
	for who, judge := range judges() {
		for i, got := range judge(ts) {
			if got != want[i] {
				t.Errorf("%s: %s: accepted %v, want %v", name(i), who, got, want[i])
			}
		}
		if slices.Contains(judge(good), false) {
			t.Errorf("%s refuses a good signature among good ones", who)
		}
	}
}

// The accept set on the 914 CCTV vectors follows from their flags. Each vector's
// equation holds with the cofactor, except where k was hashed over re-encoded
// points.
func TestVerifyCCTV(t *testing.T) {
	var vectors []struct {
		Number        int
		Key, Sig, Msg string
		Flags         []string
	}
	readShared(t, "ed25519/cctv.json.gz", &vectors)
	if len(vectors) != 914 {
		t.Fatalf("%d vectors, want 914", len(vectors))
	}
	var ts []triple
	var want []bool
	accepted := 0
	for _, v := range vectors {
		ts = append(ts, triple{identity.PublicKey(unhex(t, v.Key)), []byte(v.Msg), unhex(t, v.Sig)})
		ok := !slices.ContainsFunc(v.Flags, func(f string) bool {
			return f == "low_order_A" || f == "non_canonical_A" || f == "reencoded_k"
		})
		want = append(want, ok)
		if ok {
			accepted++
		}
	}
	if accepted != 300 {
		t.Errorf("the flags allow %d, pinned 300", accepted)
	}
	wantAll(t, ts, want, func(i int) string { return fmt.Sprint("vector ", vectors[i].Number, vectors[i].Flags) })
}

func TestVerifySpeccheck(t *testing.T) {
	var vectors []struct {
		Message   string
		PubKey    string `json:"pub_key"`
		Signature string
	}
	readShared(t, "ed25519/speccheck.json", &vectors)
	// 0, 1: A of small order. 2: R of small order. 3: mixed orders. 4, 5: only
	// the cofactored equation holds. 6, 7: s not reduced. 8, 9: R not canonical
	// (8 hashes its reduced form). 10, 11: A not canonical.
	want := []bool{false, false, true, true, true, true, false, false, false, true, false, false}
	if len(vectors) != len(want) {
		t.Fatalf("%d vectors, want %d", len(vectors), len(want))
	}
	var ts []triple
	for _, v := range vectors {
		ts = append(ts, triple{identity.PublicKey(unhex(t, v.PubKey)), unhex(t, v.Message), unhex(t, v.Signature)})
	}
	wantAll(t, ts, want, func(i int) string { return fmt.Sprint("case ", i) })
}

func TestVerifyWycheproof(t *testing.T) {
	var file struct {
		TestGroups []struct {
			PublicKey struct{ PK string }
			Tests     []struct {
				TcID             int
				Msg, Sig, Result string
			}
		}
	}
	readShared(t, "wycheproof/ed25519.json.gz", &file)
	var ts []triple
	var want []bool
	var ids []int
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			ts = append(ts, triple{identity.PublicKey(unhex(t, g.PublicKey.PK)), unhex(t, v.Msg), unhex(t, v.Sig)})
			// Only the cofactored equation holds for 151; the file's rule is
			// cofactorless.
			want = append(want, v.Result == "valid" || v.TcID == 151)
			ids = append(ids, v.TcID)
		}
	}
	if len(ts) != 151 {
		t.Fatalf("%d vectors, want 151", len(ts))
	}
	wantAll(t, ts, want, func(i int) string { return fmt.Sprint("tcId ", ids[i]) })
}

// With A the identity, R the identity and s = 0, the equation holds for every
// message; crypto/ed25519 accepts it.
func TestVerifyRefusesIdentityKey(t *testing.T) {
	pub := identity.PublicKey{1}
	sig := append([]byte{1}, make([]byte, 63)...)
	msg := []byte("any record")
	if !ed25519.Verify(pub[:], msg, sig) {
		t.Error("crypto/ed25519 refuses the case: it does not show what it is meant to")
	}
	wantAll(t, []triple{{pub, msg, sig}}, []bool{false}, func(int) string { return "identity key" })
}

func TestVerifyRefusesWrongLengths(t *testing.T) {
	k := identity.GenerateSigningKey()
	sig := k.Sign(nil)
	for _, s := range [][]byte{nil, sig[:63], append(sig[:], 0), sig[:32]} {
		wantAll(t, []triple{{k.Public(), nil, s}}, []bool{false}, func(int) string { return fmt.Sprint(len(s), " bytes") })
	}
}

func TestBatchGroups(t *testing.T) {
	k := identity.GenerateSigningKey()
	for _, n := range []int{0, 1, 94, 255, 256, 257, 520} {
		b := identity.NewVerifier(4).Batch()
		for range 2 { // a batch is used again after Verify
			for i := range n {
				msg := []byte{byte(i)}
				sig := k.Sign(msg)
				if i%200 == 5 {
					sig[40] ^= 1
				}
				b.Add(k.Public(), msg, sig[:])
			}
			ok, each := b.Verify()
			if len(each) != n || ok != (n < 6) {
				t.Fatalf("n=%d: ok=%v, %d answers", n, ok, len(each))
			}
			for i, good := range each {
				if good != (i%200 != 5) {
					t.Errorf("n=%d: signature %d: %v", n, i, good)
				}
			}
		}
	}
}

// torsion are the encodings, canonical or not, of the eight points of small
// order and of y coordinates past the field's size.
func torsion(t interface{ Fatal(...any) }) (all [][]byte) {
	for _, p := range curve.EIGHT_TORSION {
		var c curve.CompressedEdwardsY
		c.SetEdwardsPoint(p)
		all = append(all, slices.Clone(c[:]))
		flipped := slices.Clone(c[:])
		flipped[31] ^= 0x80
		all = append(all, flipped)
	}
	for low := 0xed; low <= 0xff; low++ {
		c := slices.Repeat([]byte{0xff}, 32)
		c[0] = byte(low)
		all = append(all, slices.Clone(c))
		c[31] = 0x7f
		all = append(all, c)
	}
	if len(all) < 16 {
		t.Fatal("no torsion points")
	}
	return all
}

// adversarial makes signatures by someone who knows the secret scalar and picks
// A and R with torsion in them, or in odd encodings, then signs as well as can
// be done for them.
func adversarial(t *rapid.T) triple {
	var wide [64]byte
	copy(wide[:], rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "scalars"))
	a, r := new(scalar.Scalar), new(scalar.Scalar)
	_, _ = a.SetBytesModOrder(wide[:32])
	_, _ = r.SetBytesModOrder(wide[32:])
	if rapid.Bool().Draw(t, "a is zero") {
		a.Zero()
	}
	if rapid.Bool().Draw(t, "r is zero") {
		r.Zero()
	}
	encode := func(s *scalar.Scalar, name string) (b [32]byte) {
		if odd := torsion(t); rapid.IntRange(0, 3).Draw(t, name+" odd") == 0 {
			copy(b[:], rapid.SampledFrom(odd).Draw(t, name+" encoding"))
			return b
		}
		var p curve.EdwardsPoint
		p.MulBasepoint(curve.ED25519_BASEPOINT_TABLE, s)
		p.Add(&p, curve.EIGHT_TORSION[rapid.IntRange(0, 7).Draw(t, name+" torsion")])
		var c curve.CompressedEdwardsY
		c.SetEdwardsPoint(&p)
		return c
	}
	pub, R := encode(a, "A"), encode(r, "R")
	msg := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "msg")
	s := new(scalar.Scalar)
	s.Add(r, s.Mul(hram(R[:], pub[:], msg), a))
	sig := make([]byte, 64)
	copy(sig, R[:])
	_ = s.ToBytes(sig[32:])
	if rapid.IntRange(0, 3).Draw(t, "spoil") == 0 {
		sig[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	}
	return triple{pub, msg, sig}
}

// Law: however a signature is verified, the answer is the same, and the same as
// that of the rule written out with the curve's own operations.
func TestVerifyAgrees(t *testing.T) {
	all := judges()
	accepted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		ts := rapid.SliceOfN(rapid.Custom(adversarial), 1, 6).Draw(t, "triples")
		for i, ok := range all["single"](ts) {
			if ok != ruleByHand(ts[i]) {
				t.Fatalf("single says %v, the rule says %v: %v", ok, !ok, ts[i])
			}
			if ok {
				accepted++
			} else {
				refused++
			}
		}
		want := all["single"](ts)
		for who, judge := range all {
			if got := judge(ts); !slices.Equal(got, want) {
				t.Fatalf("%s says %v, single says %v: %v", who, got, want, ts)
			}
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: the generator is one-sided", accepted, refused)
	}
}

func FuzzVerifyAgrees(f *testing.F) {
	k := identity.GenerateSigningKey()
	pub, sig := k.Public(), k.Sign([]byte("x"))
	f.Add(pub[:], []byte("x"), sig[:])
	f.Add(append([]byte{1}, make([]byte, 31)...), []byte{}, append([]byte{1}, make([]byte, 63)...))
	all := judges()
	f.Fuzz(func(t *testing.T, pub, msg, sig []byte) {
		if len(pub) != 32 {
			t.Skip()
		}
		other := k.Sign(msg)
		ts := []triple{{identity.PublicKey(pub), msg, sig}, {k.Public(), msg, other[:]}}
		want := all["single"](ts)
		if !want[1] {
			t.Fatal("a good signature refused")
		}
		for who, judge := range all {
			if got := judge(ts); !slices.Equal(got, want) {
				t.Fatalf("%s says %v, single says %v", who, got, want)
			}
		}
	})
}

func TestVerifierConcurrent(t *testing.T) {
	v := identity.NewVerifier(2) // fewer than the keys, so entries come and go
	keys := []identity.SigningKey{identity.GenerateSigningKey(), identity.GenerateSigningKey(), identity.GenerateSigningKey()}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 30 {
				k := keys[i%3]
				sig := k.Sign([]byte{byte(i)})
				if !v.Verify(k.Public(), []byte{byte(i)}, sig[:]) || v.Verify(k.Public(), []byte{byte(i + 1)}, sig[:]) {
					t.Error("wrong answer")
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkVerify(b *testing.B) {
	msg := make([]byte, 32)
	keys := make([]identity.SigningKey, 64)
	sigs := make([][64]byte, len(keys))
	for i := range keys {
		keys[i] = identity.GenerateSigningKey()
		sigs[i] = keys[i].Sign(msg)
	}
	warm := identity.NewVerifier(len(keys))
	for name, verify := range map[string]func(identity.PublicKey, []byte, []byte) bool{
		"stdlib":           func(k identity.PublicKey, m, s []byte) bool { return ed25519.Verify(k[:], m, s) },
		"single":           identity.Verify,
		"single-known-key": warm.Verify,
	} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if n := i % len(keys); !verify(keys[n].Public(), msg, sigs[n][:]) {
					b.Fatal("refused")
				}
			}
		})
	}
	for name, newBatch := range map[string]func() *identity.Batch{
		"batch-64":            func() *identity.Batch { return new(identity.Batch) },
		"batch-64-known-keys": warm.Batch,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				batch := newBatch()
				for i, k := range keys {
					batch.Add(k.Public(), msg, sigs[i][:])
				}
				if ok, _ := batch.Verify(); !ok {
					b.Fatal("refused")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/sig")
		})
	}
}
