package secret_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A stated is a statement of rule 13's table: sums of numbers, and the lists.
type stated struct {
	of    []map[int]int64
	lists [][]int64
}

func from0(top int) (lists [][]int64) {
	for v := range top + 1 {
		lists = append(lists, []int64{int64(v)})
	}
	return lists
}

// table is rule 13's.
func table(kind string, top, n int) (numbers int, all []stated, opened []int) {
	switch kind {
	case "one":
		one := stated{}
		for i := range n {
			list := make([]int64, n)
			list[i] = 1
			one.of, one.lists, opened = append(one.of, map[int]int64{i: 1}), append(one.lists, list), append(opened, i)
		}
		return n, []stated{one}, opened
	case "quadratic":
		root := 0
		for (root+1)*(root+1) <= top {
			root++
		}
		spent, pairs := map[int]int64{}, [][]int64{}
		for v := range root + 1 {
			pairs = append(pairs, []int64{int64(v), int64(v * v)})
		}
		for i := range n {
			all, opened = append(all, stated{[]map[int]int64{{2 * i: 1}, {2*i + 1: 1}}, pairs}), append(opened, 2*i)
			spent[2*i+1] = 1
		}
		for numbers = 2 * n; 1<<(numbers-2*n) <= top; numbers++ {
			all = append(all, stated{[]map[int]int64{{numbers: 1}}, from0(1)})
			spent[numbers] = 1 << (numbers - 2*n)
		}
		return numbers, append(all, stated{[]map[int]int64{spent}, [][]int64{{int64(top)}}}), opened
	case "ranking":
		numbers = n
		for a := range n {
			for b := a + 1; b < n; b++ {
				p := stated{of: []map[int]int64{{numbers: 1}, {numbers + 1: 1}, {b: 1, a: -1}}}
				for d := int64(1 - n); d <= int64(n)-1; d++ {
					p.lists = append(p.lists, []int64{max(0, min(1, d)), max(0, min(1, -d)), d})
				}
				all, opened, numbers = append(all, p), append(opened, numbers, numbers+1), numbers+2
			}
		}
		return numbers, all, opened
	}
	if kind == "approvals" {
		top = 1
	}
	for i := range n {
		all, opened = append(all, stated{[]map[int]int64{{i: 1}}, from0(top)}), append(opened, i)
	}
	return n, all, opened
}

// A committeeRead is what rules 6 to 11 give.
type committeeRead struct {
	y     element
	x     []element // of the trustees' shares
	dealt []byte
	n     int
	k     int
	q     int
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	b, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil || len(v.Elections) == 0 {
		t.Fatal("no vectors", err)
	}
	return v
}

func TestSecondTranscript(t *testing.T) {
	for _, x := range readVectors(t).Transcript {
		var fields [][]byte
		for _, f := range x.Fields {
			fields = append(fields, f)
		}
		if out := expand(x.Seed, x.Label, fields...); !bytes.Equal(hash(x.Label, fields...), x.H) || !bytes.Equal(out, x.K) || !bytes.Equal(bytesOf(mod(out)), x.Kmod) {
			t.Errorf("%s %x differs", x.Label, fields)
		}
	}
}

func unmarshal[T any](b []byte) (v T) {
	check(dagcbor.Unmarshal(b, &v))
	return v
}

// generated checks the messages of a key generation, rules 6 to 11.
func generated(t *testing.T, v keygenVector) committeeRead {
	t.Helper()
	c := committeeRead{y: r255.Identity(), n: 3*v.Faults + 1, k: v.Faults + 1, q: 2*v.Faults + 1}
	keys, list := make([]element, c.n), [][]byte{v.Committee, u32(c.n), u32(c.k), u32(c.q)}
	secrets := make([]number, c.n)
	for j := range keys {
		a := unmarshal[struct {
			Key   []byte `cbor:"key"`
			Proof []byte `cbor:"proof"`
		}](v.Announcements[j])
		keys[j], list = pointOf(a.Key), append(list, a.Key)
		secrets[j] = mod(expand(v.Seeds[j], "trustee secret", v.Committee, u32(j+1)))
		if !knows("trustee", [][]byte{v.Committee, u32(j + 1)}, keys[j], a.Proof) || !timesG(secrets[j]).IsEqual(keys[j]) {
			t.Errorf("announcement %d", j+1)
		}
	}
	roster := hash("roster", list...)[:32]
	c.x = make([]element, c.n)
	for j := range c.x {
		c.x[j] = r255.Identity()
	}
	dealt := [][]byte{roster}
	for i := range v.Deals {
		d := unmarshal[struct {
			Key         []byte `cbor:"key"`
			Proof       []byte `cbor:"proof"`
			Shares      []byte `cbor:"shares"`
			Sealing     []byte `cbor:"sealing"`
			Commitments []byte `cbor:"commitments"`
		}](v.Deals[i])
		commitment := unmarshal[struct {
			Digest []byte `cbor:"digest"`
		}](v.Commitments[i])
		bound := [][]byte{roster, u32(i + 1)}
		points := slices.Collect(slices.Chunk(d.Commitments, 32))
		all := append(slices.Clone(bound), points...)
		if len(points) != c.k || !bytes.Equal(hash("commitment", all...)[:32], commitment.Digest) || !knows("deal", all, pointOf(points[0]), d.Proof) ||
			!knows("sealing", all, pointOf(d.Key), d.Sealing) {
			t.Errorf("deal %d", i+1)
		}
		qualified := slices.Contains(v.Qualified, i+1)
		if qualified {
			dealt, c.y = append(append(dealt, u32(i+1)), points...), plus(c.y, pointOf(points[0]))
		}
		for j, box := range slices.Collect(slices.Chunk(d.Shares, 48)) {
			value := r255.Identity()
			for m := len(points) - 1; m >= 0; m-- {
				value = plus(times(small(int64(j+1)), value), pointOf(points[m]))
			}
			if share, ok := unsealed(append(slices.Clone(bound), u32(j+1), bytesOf(keys[j]), d.Key), box, times(secrets[j], pointOf(d.Key))); !ok || !timesG(share).IsEqual(value) {
				t.Errorf("deal %d, share %d", i+1, j+1)
			}
			if qualified {
				c.x[j] = plus(c.x[j], value)
			}
		}
		if i == 0 {
			complained(t, v, append(slices.Clone(bound), u32(v.Accuser)), keys[v.Accuser-1], d.Key, d.Shares[48*(v.Accuser-1):])
		}
	}
	c.dealt = hash("dealt", dealt...)[:32]
	for j, x := range c.x {
		if !bytes.Equal(bytesOf(x), v.X[j]) {
			t.Errorf("key of share %d", j+1)
		}
	}
	if !bytes.Equal(bytesOf(c.y), v.Y) || !bytes.Equal(c.dealt, v.Dealt) {
		t.Error("the committee's key, or what was dealt")
	}
	return c
}

// unsealed opens a share, rule 8.
func unsealed(bound [][]byte, box []byte, shared element) (number, bool) {
	key := hash("box", append(bound, bytesOf(shared))...)[:32]
	aead, err := chacha20poly1305.New(key)
	check(err)
	plain, err := aead.Open(nil, make([]byte, 12), box[:48], nil)
	if err != nil {
		return nil, false
	}
	return numberOf(plain), true
}

// complained checks that a complaint of the first deal shows a good share, rule 9.
func complained(t *testing.T, v keygenVector, bound [][]byte, key element, ephemeral, box []byte) {
	t.Helper()
	c := unmarshal[struct {
		Key    []byte `cbor:"key"`
		Proof  []byte `cbor:"proof"`
		Dealer int    `cbor:"dealer"`
	}](v.Complaint)
	shared := pointOf(c.Key)
	if c.Dealer != 1 || !equals("complaint", bound, key, pointOf(ephemeral), shared, c.Proof) {
		t.Error("complaint")
	}
	if _, ok := unsealed(append(slices.Clone(bound), bytesOf(key), ephemeral), box, shared); !ok {
		t.Error("the complaint opens nothing")
	}
}

// TestSecondImplementation checks everything in the vectors.
func TestSecondImplementation(t *testing.T) {
	v := readVectors(t)
	c := generated(t, v.Keygen)
	for _, e := range v.Elections {
		t.Run(e.Terms.Method, func(t *testing.T) { e.verify(t, c) })
	}
}

func (e electionVector) verify(t *testing.T, c committeeRead) {
	x := e.Terms
	list, weighted := u32(len(x.Options)), []byte{0}
	for _, o := range x.Options {
		list = append(append(list, u32(len(o))...), o...)
	}
	if x.Weighted {
		weighted[0] = 1
	}
	eid := hash("election", bytesOf(c.y), c.dealt, u32(c.n), u32(c.k), u32(c.q), x.Roll, x.Question, []byte(x.Method), x.Params,
		list, []byte(x.Kind), u64(x.Top), weighted, u64(x.Opens), u64(x.Closes), u64(x.Least))
	if !bytes.Equal(eid, e.EID) {
		t.Fatal("eid")
	}
	numbers, statements, opened := table(x.Kind, int(x.Top), len(x.Options))
	sums := make([][2]element, len(opened))
	for p := range sums {
		sums[p] = [2]element{r255.Identity(), r255.Identity()}
	}
	for i, b := range e.Ballots {
		ciphertexts, ok := b.verify(eid, x.Question, c.y, numbers, statements)
		if !ok {
			t.Errorf("ballot %d", i)
		}
		for p, at := range opened {
			for half := range 2 {
				sums[p][half] = plus(sums[p][half], times(small(int64(b.Weight)), ciphertexts[at][half]))
			}
		}
	}
	for p, sum := range sums {
		message := sum[1]
		for j := range c.k { // trustees 1 to k
			at := e.Shares[j][96*p:]
			factor := pointOf(at[:32])
			if !equals("decryption", [][]byte{eid, e.Set, x.Question, u32(p), u32(j + 1)}, c.x[j], sum[0], factor, at[32:96]) {
				t.Errorf("share of trustee %d at %d", j+1, p)
			}
			lambda := small(1)
			for i := range c.k {
				if i != j {
					lambda = product(lambda, product(small(int64(i+1)), r255.NewScalar().Inv(small(int64(i-j)))))
				}
			}
			message = plus(message, times(minus(lambda), factor))
		}
		if !message.IsEqual(timesG(small(int64(e.Opened[p])))) {
			t.Errorf("position %d is not %d", p, e.Opened[p])
		}
	}
}

// verify is rule 13, and what rule 14 says of the randomness.
func (b ballotVector) verify(eid, question []byte, y element, numbers int, statements []stated) ([][2]element, bool) {
	ctx := [][]byte{eid, b.Voter, u64(b.Seq), question, bytesOf(y)}
	opening := expand(b.Seed, "opening", eid, b.Voter, u64(b.Seq), ranked(b.Marks, numbers))[:32]
	ok := bytes.Equal(opening, b.Opening)
	var ciphertexts [][2]element
	for i, c := range slices.Collect(slices.Chunk(b.Body[:64*numbers], 64)) {
		ctx = append(ctx, c)
		ciphertexts = append(ciphertexts, [2]element{pointOf(c[:32]), pointOf(c[32:])})
		r := mod(expand(opening, "randomness", eid, b.Voter, u64(b.Seq), u32(i)))
		ok = ok && timesG(r).IsEqual(ciphertexts[i][0])
	}
	rest := slices.Collect(slices.Chunk([]byte(b.Body[64*numbers:]), 64))
	for i, x := range statements {
		of := make([][2]element, len(x.of))
		for n, terms := range x.of {
			of[n] = [2]element{r255.Identity(), r255.Identity()}
			for at, by := range terms {
				for half := range 2 {
					of[n][half] = plus(of[n][half], times(small(by), ciphertexts[at][half]))
				}
			}
		}
		ok = ok && member(hash("ballot", ctx...), i, y, of, x.lists, rest[:len(x.lists)])
		rest = rest[len(x.lists):]
	}
	return ciphertexts, ok && len(rest) == 0
}

// ranked leaves marks as they are, but for a ranking, whose ballots have more
// numbers than marks and here three options, without credits.
func ranked(marks []byte, numbers int) []byte {
	if len(marks) != 3 || numbers != 9 {
		return marks
	}
	out := make([]byte, len(marks))
	for i, m := range marks {
		above := map[byte]bool{}
		for _, other := range marks {
			if other != 0 && (m == 0 || other < m) {
				above[other] = true
			}
		}
		out[i] = byte(len(above) + 1)
	}
	return out
}
