package protocol_test

import (
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// testKey returns the n-th signing key of the tests.
func testKey(n byte) identity.SigningKey {
	seed := sha256.Sum256([]byte{'k', 'e', 'y', n})
	return identity.NewSigningKey(&seed)
}

// sortedKeys returns n keys ascending by public key, as co-signers stand.
func sortedKeys(n int) []identity.SigningKey {
	keys := make([]identity.SigningKey, n)
	for i := range keys {
		keys[i] = testKey(byte(100 + i))
	}
	slices.SortFunc(keys, func(a, b identity.SigningKey) int {
		pa, pb := a.Public(), b.Public()
		return slices.Compare(pa[:], pb[:])
	})
	return keys
}

// testID returns the n-th id of the tests, ascending with n.
func testID(n byte) protocol.ID { return protocol.ID{n, 31: 1} }

// A draft is a record in the making that nothing checks: an encoder written
// apart from the package's, so that a payload of any shape gets a signature
// that holds. The record it makes is refused for its shape or not at all.
type draft struct {
	kind      protocol.Kind
	metastate protocol.ID
	fields    map[string][]byte // encoded values
	signers   []identity.SigningKey
}

func (d draft) with(name string, value []byte) draft {
	d.fields = maps.Clone(d.fields)
	d.fields[name] = value
	return d
}

func (d draft) without(names ...string) draft {
	d.fields = maps.Clone(d.fields)
	for _, n := range names {
		delete(d.fields, n)
	}
	return d
}

func (d draft) signedBy(keys ...identity.SigningKey) draft {
	d.signers = keys
	return d
}

func (d draft) ofKind(k protocol.Kind) draft {
	d.kind = k
	return d.with("k", text(string(k)))
}

func (d draft) payload() []byte {
	b := dagcbor.AppendMap(nil, len(d.fields))
	for _, name := range slices.SortedFunc(maps.Keys(d.fields), func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	}) {
		b = append(dagcbor.AppendText(b, name), d.fields[name]...)
	}
	return b
}

func (d draft) inner() []byte { return sealPayload(d.kind, d.metastate, d.payload(), d.signers...) }

// sealPayload signs any payload, as SPEC §2.4 has it, into an inner form.
func sealPayload(kind protocol.Kind, metastate protocol.ID, payload []byte, keys ...identity.SigningKey) []byte {
	digest := sha256.Sum256(payload)
	msg := slices.Concat([]byte("metastate/record/v1\x00"), []byte{byte(len(kind))}, []byte(kind), metastate[:], digest[:])
	var sigs []byte
	for _, k := range keys {
		s := k.Sign(msg)
		sigs = append(sigs, s[:]...)
	}
	return protocol.EncodeInner(payload, sigs)
}

func text(s string) []byte              { return dagcbor.AppendText(nil, s) }
func number(n uint64) []byte            { return dagcbor.AppendUint(nil, n) }
func bytesOf(b []byte) []byte           { return dagcbor.AppendBytes(nil, b) }
func link(id protocol.ID) []byte        { return dagcbor.AppendLink(nil, id) }
func multikey(k identity.Signer) []byte { return bytesOf(k.Public().Multikey()) }

func array(items ...[]byte) []byte {
	return append(dagcbor.AppendArray(nil, len(items)), slices.Concat(items...)...)
}

func ref(height uint64, id protocol.ID) []byte { return array(number(height), link(id)) }

func links(n int) []byte {
	var items [][]byte
	for i := range n {
		items = append(items, link(testID(byte(i+1))))
	}
	return array(items...)
}

// bodyOf is a body map whose encoding takes size bytes.
func bodyOf(size int) []byte {
	b := append(dagcbor.AppendMap(nil, 1), text("x")...)
	for n := size; ; n-- {
		if out := append(slices.Clone(b), bytesOf(make([]byte, n))...); len(out) <= size {
			return out
		}
	}
}

// control is a valid record in the middle of a device's chain.
func control() draft {
	m := testID(1)
	return draft{kind: protocol.Propose, metastate: m, signers: []identity.SigningKey{testKey(1)}, fields: map[string][]byte{
		"b": {0xa0}, "d": multikey(testKey(1)), "h": ref(3, testID(2)), "k": text("propose"), "m": link(m),
		"p": link(testID(3)), "q": number(1), "r": link(testID(4)), "t": number(1_800_000_000), "u": links(2), "v": number(1),
	}}
}

// bulk is a valid record of a subject.
func bulk() draft {
	return control().ofKind(protocol.Ballot).without("r", "u").with("s", link(testID(9)))
}

func genesis() draft {
	d := control().ofKind(protocol.Genesis).without("h", "m", "p", "r", "u").with("q", number(0))
	d.metastate = protocol.ID{}
	return d
}

func inception() draft {
	return control().ofKind(protocol.Inception).without("p", "r").with("q", number(0))
}

// admission carries the inner forms given.
func admission(carried ...[]byte) draft {
	var items [][]byte
	for _, c := range carried {
		items = append(items, bytesOf(c))
	}
	return control().ofKind(protocol.Admit).with("c", array(items...))
}

// cosigned is d signed by n more keys.
func cosigned(d draft, n int) draft {
	keys := sortedKeys(n)
	var list [][]byte
	for _, k := range keys {
		list = append(list, multikey(k))
	}
	return d.with("o", array(list...)).signedBy(append([]identity.SigningKey{testKey(1)}, keys...)...)
}

func mustParse(t testing.TB, inner []byte) *protocol.Record {
	t.Helper()
	r, err := protocol.Parse(inner)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantRefusal requires that inner is refused as malformed, and in words that
// name the reason: a record with more wrong than was meant tests nothing.
func wantRefusal(t testing.TB, inner []byte, says string) {
	t.Helper()
	r, err := protocol.Parse(inner)
	switch {
	case r != nil || err == nil:
		t.Errorf("taken, should be refused with %q", says)
	case !errors.Is(err, protocol.ErrMalformed) || errors.Is(err, protocol.ErrBadSignature):
		t.Errorf("refused with %v, not as malformed", err)
	case !strings.Contains(err.Error(), says):
		t.Errorf("refused with %q, should say %q", err, says)
	}
}
