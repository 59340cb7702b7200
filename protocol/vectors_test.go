package protocol_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

const vectorsFile = "testdata/vectors/records.json"

// hexBytes is bytes written in hex.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// recordVectors is the file's form. It is for readers in any language: all
// bytes in hex, ids as CIDs.
type recordVectors struct {
	Note        string          `json:"note"`
	EpochSecret hexBytes        `json:"epochSecret"`
	EpochTag    hexBytes        `json:"epochTag"`
	Valid       []validVector   `json:"valid"`
	Refused     []refusedVector `json:"refused"`
}

type validVector struct {
	Name         string      `json:"name"`
	Seeds        []hexBytes  `json:"seeds"` // Ed25519 seeds of the signers, in order
	Keys         []string    `json:"keys"`
	Payload      hexBytes    `json:"payload"`
	ID           protocol.ID `json:"id"`
	Signatures   hexBytes    `json:"signatures"`
	Inner        hexBytes    `json:"inner"`
	OuterClear   hexBytes    `json:"outerClear"`
	OuterWrapped hexBytes    `json:"outerWrapped"`
}

type refusedVector struct {
	Name  string   `json:"name"`
	Error string   `json:"error"` // "malformed" or "signature"
	Inner hexBytes `json:"inner"`
}

func vectorSecret() (s [32]byte) {
	for i := range s {
		s[i] = byte(i)
	}
	return s
}

func makeVectors() recordVectors {
	secret := vectorSecret()
	tag := protocol.NewEpoch(secret, true).Tag()
	v := recordVectors{
		Note: "Records of envelope version 1 (SPEC §2). id: the CID of payload. inner: payload and signatures. " +
			"outerClear and outerWrapped: inner as content 1 under epochSecret (SPEC §3).",
		EpochSecret: secret[:], EpochTag: tag[:],
	}
	inc, grant := inception(), control().ofKind(protocol.Grant).with("q", number(0)).without("r")
	for _, c := range []struct {
		name string
		d    draft
	}{
		{"genesis of three founders", cosigned(genesis(), 2)},
		{"inception", inc},
		{"grant", grant},
		{"proposal in mid-chain", control()},
		{"proposal before any checkpoint, first of its chain", control().without("h", "r", "u").with("q", number(0))},
		{"proposal with the most parents", control().with("u", links(protocol.MaxParents))},
		{"proposal with the most co-signers", cosigned(control(), protocol.MaxCosigners)},
		{"admission that carries an inception and a grant", admission(inc.inner(), grant.inner())},
		{"ballot", bulk().with("b", bodyOf(100))},
		{"sealed body", control().with("b", bytesOf([]byte("ciphertext")))},
		{"unknown kind", control().ofKind("strike.call")},
		{"unknown kind of the bulk plane", bulk().ofKind("strike.vote")},
	} {
		v.Valid = append(v.Valid, makeVector(c.name, c.d))
	}
	p := control().payload()
	v.Refused = []refusedVector{
		{"flipped payload byte", "signature", flip(control().inner(), 30)},
		{"flipped signature byte", "signature", flip(control().inner(), len(control().inner())-1)},
		{"signature for another metastate", "signature", sealPayload(protocol.Propose, testID(7), p, testKey(1))},
		{"signature for another kind", "signature", sealPayload(protocol.Leave, testID(1), p, testKey(1))},
		{"bad signature inside an admission", "signature", admission(inc.signedBy(testKey(2)).inner()).inner()},
		{"bytes after the payload's map", "malformed", sealPayload(protocol.Propose, testID(1), append(p, 0), testKey(1))},
		{"number not in shortest form", "malformed", control().with("q", []byte{0x18, 1}).inner()},
		{"parents not ascending", "malformed", control().with("u", array(link(testID(2)), link(testID(1)))).inner()},
		{"17 parents", "malformed", control().with("u", links(17)).inner()},
		{"empty parents written", "malformed", control().with("u", array()).inner()},
		{"unknown field", "malformed", control().with("z", number(1)).inner()},
		{"version 2", "malformed", control().with("v", number(2)).inner()},
		{"no persona", "malformed", control().without("p").inner()},
		{"ballot without subject", "malformed", control().ofKind(protocol.Ballot).inner()},
		{"seq 0 with prev", "malformed", control().with("q", number(0)).inner()},
		{"carried inside carried", "malformed", admission(admission(inc.inner()).inner()).inner()},
		{"float in the body", "malformed", control().with("b", []byte{0xa1, 0x61, 'x', 0xf9, 0, 0}).inner()},
	}
	return v
}

func makeVector(name string, d draft) validVector {
	inner := d.inner()
	v := validVector{Name: name, Payload: d.payload(), ID: protocol.Sum(d.payload()), Inner: inner}
	for _, k := range d.signers {
		seed := k.Seed()
		v.Seeds = append(v.Seeds, seed[:])
		v.Keys = append(v.Keys, k.Public().String())
	}
	v.Signatures = inner[len(inner)-len(d.signers)*identity.SignatureSize:]
	v.OuterClear = protocol.NewEpoch(vectorSecret(), false).Seal(protocol.ContentRecord, inner)
	v.OuterWrapped = protocol.NewEpoch(vectorSecret(), true).Seal(protocol.ContentRecord, inner)
	return v
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}

// The vectors are pinned: a change of any byte of the wire form fails here.
func TestVectors(t *testing.T) {
	made, err := json.MarshalIndent(makeVectors(), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	made = append(made, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(vectorsFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pinned, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, pinned) {
		t.Error("the wire form has changed: if that is meant, run go test -run TestVectors -update")
	}
	var v recordVectors
	if err := json.Unmarshal(pinned, &v); err != nil || len(v.Valid) == 0 || len(v.Refused) == 0 {
		t.Fatal(err, len(v.Valid), len(v.Refused))
	}
	for _, c := range v.Valid {
		t.Run(c.Name, func(t *testing.T) { checkVector(t, [32]byte(v.EpochSecret), c) })
	}
	for _, c := range v.Refused {
		want := map[string]error{"malformed": protocol.ErrMalformed, "signature": protocol.ErrBadSignature}[c.Error]
		if _, err := protocol.Parse(c.Inner); !errors.Is(err, want) || err == nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// checkVector checks a pinned vector against the package alone.
func checkVector(t *testing.T, secret [32]byte, c validVector) {
	r := mustParse(t, c.Inner)
	if r.ID() != c.ID || !bytes.Equal(r.Payload(), c.Payload) || !bytes.Equal(r.Signatures(), c.Signatures) {
		t.Errorf("parsed as %s", r.ID())
	}
	h := r.Header()
	for i, seed := range c.Seeds {
		k := identity.NewSigningKey((*[32]byte)(seed)).Public()
		if k.String() != c.Keys[i] || (i == 0 && k != h.Key) || (i > 0 && k != h.Cosigners[i-1]) {
			t.Errorf("signer %d is %s", i, k)
		}
	}
	for _, o := range []struct {
		wrap  bool
		outer []byte
	}{{false, c.OuterClear}, {true, c.OuterWrapped}} {
		e := protocol.NewEpoch(secret, o.wrap)
		if got, err := e.Open(protocol.ContentRecord, o.outer); err != nil || !bytes.Equal(got, c.Inner) {
			t.Errorf("outer form, wrapped %v: %v", o.wrap, err)
		}
	}
}
