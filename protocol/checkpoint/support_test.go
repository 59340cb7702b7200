package checkpoint

import (
	"encoding/binary"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

var testMetastate = protocol.Sum([]byte("a metastate"))

var testKeys = func() (keys [certificate.MaxClerks + 1]identity.SigningKey) {
	for i := range keys {
		var seed [32]byte
		binary.BigEndian.PutUint64(seed[:], uint64(i)+1)
		keys[i] = identity.NewSigningKey(&seed)
	}
	return keys
}()

func testKey(i int) identity.SigningKey { return testKeys[i] }

func testClerks(n int) []certificate.Clerk {
	clerks := make([]certificate.Clerk, n)
	for i := range clerks {
		clerks[i] = certificate.Clerk{Persona: protocol.ID{31: byte(i + 1)}, Key: testKey(i).Public()}
	}
	return clerks
}

func testValue(n int, label string) certificate.Value {
	return certificate.Value{
		Version: certificate.Version, Metastate: testMetastate, Height: 1, AsOf: 1_700_000_000,
		Control:   certificate.Control{Frontier: []protocol.ID{protocol.Sum([]byte("head"))}, Count: 1},
		Clerks:    testClerks(n),
		StateRoot: [32]byte(protocol.Sum([]byte(label))),
	}
}

func mustEncode(t testing.TB, v certificate.Value) []byte {
	t.Helper()
	b, err := v.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
