package certificate

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

var testMetastate = protocol.Sum([]byte("a metastate"))

func testKey(i int) identity.SigningKey {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(i)+1)
	return identity.NewSigningKey(&seed)
}

func testClerks(n int) []Clerk {
	clerks := make([]Clerk, n)
	for i := range clerks {
		clerks[i] = Clerk{Persona: protocol.ID{31: byte(i + 1)}, Key: testKey(i).Public()}
	}
	return clerks
}

func testValue(n int, label string) Value {
	return Value{
		Version: Version, Metastate: testMetastate, Height: 1, AsOf: 1_700_000_000,
		Control:   Control{Frontier: []protocol.ID{protocol.Sum([]byte("head"))}, Count: 1},
		Clerks:    testClerks(n),
		StateRoot: [32]byte(protocol.Sum([]byte(label))),
	}
}

func mustEncode(t testing.TB, v Value) []byte {
	t.Helper()
	b, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// certify returns a certificate of value by the clerks named.
func certify(value []byte, height uint64, round uint32, who ...int) Certificate {
	c := Certificate{Value: value, Round: round}
	s := protocol.Statement{Kind: protocol.AgreePrecommit, Height: height, Round: round, Value: protocol.Sum(value), ValidRound: -1}
	for _, i := range who {
		c.Signatures = append(c.Signatures, Signature{Clerk: uint8(i), Sig: testKey(i).Sign(s.Bytes(testMetastate))})
	}
	return c
}

func TestCertificate(t *testing.T) {
	value := mustEncode(t, testValue(4, "v"))
	clerks := testClerks(4)
	good := certify(value, 1, 3, 0, 2, 3)
	c, err := ParseCertificate(good.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Verify(testMetastate, Signers{Clerks: clerks}); err != nil || v.Height != 1 || c.ID() != protocol.Sum(value) {
		t.Fatalf("height %d, %v", v.Height, err)
	}

	votes := certify(value, 1, 3, 0, 2, 3)
	for i := range votes.Signatures { // prevotes are not precommits
		h := protocol.Statement{Kind: protocol.AgreePrevote, Height: 1, Round: 3, Value: protocol.Sum(value)}
		votes.Signatures[i].Sig = testKey(int(votes.Signatures[i].Clerk)).Sign(h.Bytes(testMetastate))
	}
	twice := certify(value, 1, 3, 0, 2, 2)
	unordered := certify(value, 1, 3, 2, 0, 3)
	otherRound := certify(value, 1, 3, 0, 2, 3)
	otherRound.Round = 4
	otherValue := certify(value, 1, 3, 0, 2, 3)
	otherValue.Value = mustEncode(t, testValue(4, "w"))
	junk := certify(value, 1, 3, 0, 1, 2, 3)
	junk.Signatures[1].Sig[0] ^= 1
	stranger := certify(value, 1, 3, 0, 1, 4)
	for name, tc := range map[string]struct {
		c    Certificate
		want error
	}{
		"too few":         {certify(value, 1, 3, 0, 2), ErrNoQuorum},
		"none":            {certify(value, 1, 3), ErrNoQuorum},
		"one clerk twice": {twice, ErrMalformed},
		"unordered":       {unordered, ErrMalformed},
		"prevotes":        {votes, ErrSignature},
		"another round":   {otherRound, ErrSignature},
		"another height":  {certify(value, 2, 3, 0, 2, 3), ErrSignature},
		"another value":   {otherValue, ErrSignature},
		"a bad signature": {junk, ErrSignature},
		"a stranger":      {stranger, ErrSignature},
		"no value":        {Certificate{Round: 1, Signatures: good.Signatures}, ErrMalformed},
	} {
		if _, err := tc.c.Verify(testMetastate, Signers{Clerks: clerks}); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := good.Verify(testMetastate, Signers{Era: protocol.Sum([]byte("recall")), Clerks: clerks}); !errors.Is(err, ErrSignature) {
		t.Errorf("of another era: %v", err)
	}
	if _, err := good.Verify(protocol.Sum([]byte("another")), Signers{Clerks: clerks}); !errors.Is(err, ErrMalformed) {
		t.Errorf("another metastate: %v", err)
	}
	shared := testClerks(4)
	shared[1].Key = shared[0].Key
	if _, err := good.Verify(testMetastate, Signers{Clerks: shared}); !errors.Is(err, ErrMalformed) {
		t.Errorf("clerks sharing a key: %v", err)
	}
	if _, err := good.Verify(testMetastate, Signers{Clerks: testClerks(7)}); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("a larger clerk set: %v", err)
	}
	for name, c := range map[string]Certificate{"unordered": unordered, "twice": twice, "no value": {}} {
		if _, err := ParseCertificate(c.Encode()); !errors.Is(err, ErrMalformed) {
			t.Errorf("parsing, %s: %v", name, err)
		}
	}
}

// A founding certificate is one whose clerks are the founders, by founding key.
func TestFoundingCertificate(t *testing.T) {
	var founders []Clerk
	for i := range 2 {
		founders = append(founders, Clerk{Key: testKey(i).Public()}) // no persona yet
	}
	value := mustEncode(t, testValue(3, "founding"))
	if _, err := certify(value, 1, 0, 0, 1).Verify(testMetastate, Signers{Clerks: founders}); err != nil {
		t.Fatal(err)
	}
	if _, err := certify(value, 1, 0, 0).Verify(testMetastate, Signers{Clerks: founders}); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("one of two founders: %v", err)
	}
}
