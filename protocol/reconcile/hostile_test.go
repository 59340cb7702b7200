package reconcile

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

func encode(tb rapid.TB, v any) []byte {
	tb.Helper()
	b, err := dagcbor.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Damaged replies end a session within its limits, with a typed error or a
// result; they never make it panic or run on.
func TestDamagedReplies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawPair(t, 31)
		limits := Limits{Messages: 50, Bytes: 1 << 20, Differences: 2000}
		la, lb := a.local(), b.local()
		if rapid.Bool().Draw(t, "sketched") {
			la, lb = a.sketched(), b.sketched()
		}
		i := NewInitiator(la, [16]byte{}, limits)
		c, err := talk(t, i, NewResponder(lb, Limits{}), func(b []byte) []byte {
			for range rapid.IntRange(0, 2).Draw(t, "flips") {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			}
			return b
		})
		// A reply damaged without contradiction may make the next question one
		// an honest responder refuses; that too is ErrProtocol.
		if err != nil && !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrLimit) {
			t.Fatal(err)
		}
		if c.messages > limits.Messages || int64(c.bytes) > limits.Bytes+MaxReply {
			t.Fatalf("spent %+v", c)
		}
	})
}

// tale answers every question with something that fits: more to split.
func tale(tb rapid.TB, msg []byte, salt byte) []byte {
	q, err := parseRequest(msg)
	if err != nil {
		tb.Fatal(err)
	}
	r := reply{Version: version}
	for _, g := range q.Groups {
		var a answer
		for range g.Splits {
			s := split{Shorts: bytes.Repeat([]byte{salt}, fanOut*shortSize)}
			for range fanOut {
				s.Counts = append(s.Counts, maxCount)
			}
			a.Splits = append(a.Splits, s)
		}
		r.Answers = append(r.Answers, a)
	}
	return encode(tb, r)
}

// A peer who claims no end of differences is stopped: by its contradictions
// in a set, whose count it named, and by the depth or limits in the index.
func TestEndlessTale(t *testing.T) {
	a := subjects(3)
	for _, limits := range []Limits{{}, {Messages: 5}, {Bytes: 10_000}} {
		i := NewInitiator(a.local(), [16]byte{}, limits)
		n := 0
		for {
			msg, err := i.Message()
			if err == nil {
				err = i.Receive(tale(t, msg, byte(n)))
			}
			if err != nil {
				if !errors.Is(err, ErrProtocol) && !errors.Is(err, ErrLimit) {
					t.Errorf("%+v: %v", limits, err)
				}
				if again, e := i.Message(); again != nil || !errors.Is(e, err) || i.Diffs() != nil {
					t.Errorf("%+v: the session goes on after %v", limits, err)
				}
				break
			}
			if n++; n > limits.orDefaults().Messages || len(i.todo) > maxDepth*fanOut*MaxRequest/splitCost {
				t.Fatalf("%+v: %d messages, %d questions queued", limits, n, len(i.todo))
			}
		}
	}
}

func repeat(n int, b ...byte) []byte { return bytes.Repeat(b, n) }

// Requests that a responder refuses.
func TestResponderRefuses(t *testing.T) {
	a, _ := large(2000, 2)
	name, s := [32]byte{1}, repeat(saltSize, 0)
	ask := func(g group) request { return request{Version: version, Salt: s, Groups: []group{g}} }
	one := func(g group) []byte { g.Name = name[:]; return encode(t, ask(g)) }
	root := []byte{}
	many := make([][]byte, MaxRequest/splitCost+1)
	for what, msg := range map[string][]byte{
		"garbage":             {0xff},
		"nothing":             nil,
		"trailing bytes":      append(one(group{}), 0),
		"another version":     encode(t, request{Version: 2, Salt: s}),
		"a short salt":        encode(t, request{Version: version, Salt: s[1:]}),
		"a short fingerprint": encode(t, request{Version: version, Salt: s, Index: s[:7]}),
		"a short name":        encode(t, ask(group{Name: s})),
		"over the cap":        repeat(MaxRequest+1, 0x81),
		"more than a reply":   one(group{Splits: many}),
		"a digit over 15":     one(group{Splits: [][]byte{{16}}}),
		"a split of an id":    one(group{Splits: [][]byte{repeat(maxDepth, 0)}}),
		"a list too long":     one(group{Lists: [][]byte{root}}),
		"ids too long":        one(group{Fulls: [][]byte{root}}),
		"ids of the index":    encode(t, ask(group{Fulls: [][]byte{root}})),
		"ids of the index ii": encode(t, ask(group{Resolves: []resolve{{}}})),
		"an unlisted id":      one(group{Resolves: []resolve{{Prefix: repeat(9, 1), Shorts: s[:8]}}}),
		"half a fingerprint":  one(group{Resolves: []resolve{{Prefix: repeat(9, 1), Shorts: s[:4]}}}),
	} {
		if _, err := NewResponder(a.local(), Limits{}).Respond(msg); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", what, err)
		}
	}
	names := encode(t, ask(group{Lists: [][]byte{root}}))
	for n, want := range map[int]int{namesMax: namesMax * entrySize, namesMax + 1: 0} {
		b, err := NewResponder(subjects(n).local(), Limits{}).Respond(names)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := parseReply(b); err != nil || len(r.Answers) != 1 || len(r.Answers[0].Lists) != 1 || len(r.Answers[0].Lists[0]) != want {
			t.Errorf("a list of %d names: %v, %v", n, r, err)
		}
	}
	// The fullest request that is allowed has a reply that fits.
	full := one(group{Splits: many[:(MaxRequest-baseCost-groupCost)/splitCost]})
	if b, err := NewResponder(a.local(), Limits{}).Respond(full); err != nil || len(b) > MaxRequest {
		t.Errorf("the fullest request: %d bytes, %v", len(b), err)
	}
}

// liar runs a session in which edit changes the first reply it can.
func liar(t *testing.T, a, b node, edit func(*answer) bool) error {
	t.Helper()
	done := false
	_, err := talk(t, NewInitiator(a.local(), [16]byte{}, Limits{}), NewResponder(b.local(), Limits{}), func(msg []byte) []byte {
		r, err := parseReply(msg)
		if err != nil {
			t.Fatal(err)
		}
		for n := range r.Answers {
			if !done {
				done = edit(&r.Answers[n])
			}
		}
		return encode(t, r)
	})
	if !done {
		t.Error("the lie was not told")
	}
	return err
}

// Each thing a responder can say that contradicts itself or the form.
func TestInitiatorRefuses(t *testing.T) {
	lists := func(size int, f func([]byte) []byte) func(*answer) bool {
		return func(a *answer) bool {
			if len(a.Lists) == 0 || len(a.Lists[0]) < 2*size || (len(a.Lists[0])%entrySize == 0) != (size == entrySize) {
				return false // a list of another kind
			}
			a.Lists[0] = f(slices.Clone(a.Lists[0]))
			return true
		}
	}
	ids := func(field func(*answer) [][]byte, f func([]byte) []byte) func(*answer) bool {
		return func(a *answer) bool {
			l := field(a)
			if len(l) == 0 || len(l[0]) < 64 {
				return false
			}
			l[0] = f(slices.Clone(l[0]))
			return true
		}
	}
	splits := func(f func(*split)) func(*answer) bool {
		return func(a *answer) bool {
			if len(a.Splits) > 0 {
				f(&a.Splits[0])
			}
			return len(a.Splits) > 0
		}
	}
	setSplits := func(f func(*split)) func(*answer) bool { // past the index's
		seen := 0
		return func(a *answer) bool {
			if seen++; seen < 3 || len(a.Splits) == 0 {
				return false
			}
			f(&a.Splits[0])
			return true
		}
	}
	fulls := func(a *answer) [][]byte { return a.Fulls }
	resolves := func(a *answer) [][]byte { return a.Resolves }
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[n:] } }
	swap := func(n int) func([]byte) []byte {
		return func(b []byte) []byte { return slices.Concat(b[n:2*n], b[:n], b[2*n:]) }
	}
	twice := func(n int) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[n:2*n], b); return b }
	}
	stray := func(b []byte) []byte { b[0] ^= 0x80; return b }
	two := func() (a, b node) { return large(3000, 3000) }
	names := func() (a, b node) { return node{}, subjects(30) }
	fresh := func() (a, b node) { _, b = large(500, 2); return node{}, b }
	for _, c := range []struct {
		name string
		pair func() (a, b node)
		edit func(*answer) bool
	}{
		{"an answer too many", two, func(a *answer) bool { a.Fulls = append(a.Fulls, nil); return true }},
		{"a split too few", two, splitsGone},
		{"a split of 15", two, splits(func(s *split) { s.Counts = s.Counts[1:] })},
		{"fingerprints of 15", two, splits(func(s *split) { s.Shorts = s.Shorts[shortSize:] })},
		{"a count past all bounds", two, splits(func(s *split) { s.Counts[0] = maxCount + 1 })},
		{"parts more than the whole", two, setSplits(func(s *split) { s.Counts[3]++ })},
		{"a list too short", two, lists(shortSize, cut(shortSize))},
		{"half a fingerprint more", two, lists(shortSize, func(b []byte) []byte { return append(b, 1, 2, 3, 4) })},
		{"a fingerprint twice", two, lists(shortSize, twice(shortSize))},
		{"a list too many", two, func(a *answer) bool { a.Lists = append(a.Lists, nil); return true }},
		{"resolved too many", two, func(a *answer) bool { a.Resolves = append(a.Resolves, nil); return true }},
		{"a resolved id gone", two, ids(resolves, func(b []byte) []byte { return b[:len(b)-32] })},
		{"ids too few", fresh, ids(fulls, cut(32))},
		{"ids out of order", fresh, ids(fulls, swap(32))},
		{"an id twice", fresh, ids(fulls, twice(32))},
		{"an id out of range", fresh, ids(fulls, stray)},
		{"resolved too few", two, ids(resolves, cut(32))},
		{"resolved out of order", two, ids(resolves, swap(32))},
		{"resolved to another", two, ids(resolves, func(b []byte) []byte { b[31] ^= 1; return b })},
		{"names too few", names, lists(entrySize, cut(entrySize))},
		{"names out of order", names, lists(entrySize, swap(entrySize))},
		{"a name twice", names, lists(entrySize, twice(entrySize))},
		{"a name out of range", names, lists(entrySize, stray)},
		{"a set's count past all bounds", names, lists(entrySize, func(b []byte) []byte { b[40] = 0xff; return b })},
	} {
		a, b := c.pair()
		if err := liar(t, a, b, c.edit); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func splitsGone(a *answer) bool {
	had := len(a.Splits) > 0
	a.Splits = nil
	return had
}

// Lies that a later question might also bring to light are refused at once.
func TestInitiatorRefusesAtOnce(t *testing.T) {
	set, id := [32]byte{1}, [32]byte{0xff}
	counts := make([]uint64, fanOut)
	counts[0] = maxCount + 1
	all := split{Shorts: make([]byte, fanOut*shortSize), Counts: counts}
	entry := func(count byte) []byte { return slices.Concat(id[:], repeat(shortSize, 0), repeat(8, count)) }
	rising := func(n int) (b []byte) {
		for k := range n {
			b = slices.Concat(b, []byte{byte(k + 1)}, make([]byte, entrySize-1))
		}
		return b
	}
	zero := prefix{}.child(0)
	for name, lie := range map[string]func(i *Initiator) error{
		"a count past all bounds": func(i *Initiator) error {
			return i.onSplit(source{index: i.local.Index}, ask{count: unknown}, all)
		},
		"a set's count past all bounds": func(i *Initiator) error { return i.onNames(ask{count: 1}, entry(0xff)) },
		"a name out of range":           func(i *Initiator) error { return i.onNames(ask{prefix: zero, count: 1}, entry(0)) },
		"more names than are listed":    func(i *Initiator) error { return i.onNames(ask{count: unknown}, rising(namesMax+1)) },
		"half a name":                   func(i *Initiator) error { return i.onNames(ask{count: unknown}, rising(1)[1:]) },
		"many with one id": func(i *Initiator) error {
			return i.descend(source{}, ask{set: &set, prefix: prefix{depth: maxDepth}, count: ListMax + 1}, 1)
		},
		"a resolved id out of range": func(i *Initiator) error {
			return i.onResolve(ask{set: &set, prefix: zero, shorts: []short{i.salt.short(id)}}, id[:])
		},
	} {
		i := NewInitiator(node{}.local(), [16]byte{}, Limits{})
		if err := lie(i); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A reply has an answer for each group: none means equality, at first only.
func TestAnswersMatchGroups(t *testing.T) {
	a, b := large(300, 300)
	for _, n := range []int{0, 2} {
		i, turn := NewInitiator(a.local(), [16]byte{}, Limits{}), 0
		_, err := talk(t, i, NewResponder(b.local(), Limits{}), func(msg []byte) []byte {
			if turn++; turn == 2 {
				return encode(t, reply{Version: version, Answers: make([]answer, n)})
			}
			return msg
		})
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%d answers to one group: %v", n, err)
		}
	}
}

func TestParseReplyRefuses(t *testing.T) {
	big := reply{Version: version, Answers: []answer{{}}}
	for range MaxReply / (ListMax * 32) {
		big.Answers[0].Fulls = append(big.Answers[0].Fulls, repeat(ListMax*32, 0))
	}
	for name, msg := range map[string][]byte{
		"over the cap":    encode(t, big),
		"a tuple of one":  {0x81, version, 0x80},
		"half an id":      encode(t, reply{Version: version, Answers: []answer{{Fulls: [][]byte{{1}}}}}),
		"another version": encode(t, reply{Version: 2}),
	} {
		if _, err := parseReply(msg); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseReply(encode(t, reply{Version: version})); err != nil {
		t.Error(err)
	}
}

func TestCallsOutOfTurn(t *testing.T) {
	i := NewInitiator(subjects(1).local(), [16]byte{}, Limits{})
	if i.Diffs() != nil {
		t.Error("differences before the session")
	}
	if _, err := i.Message(); err != nil {
		t.Fatal(err)
	}
	if msg, err := i.Message(); msg != nil || err == nil {
		t.Error("a second message before the reply")
	}
	i = NewInitiator(subjects(1).local(), [16]byte{}, Limits{})
	if err := i.Receive([]byte{0x82, 1, 0x80}); err == nil {
		t.Error("a reply before the message")
	}
}
