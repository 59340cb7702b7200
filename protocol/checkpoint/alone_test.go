package checkpoint

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// Who is a quorum alone decides alone, and nobody else does.
func TestDecideAlone(t *testing.T) {
	for n, ok := range map[int]bool{1: true, 2: false, 4: false} {
		value := mustEncode(t, testValue(n, "v"))
		cert, err := DecideAlone(Config{Metastate: testMetastate, Height: 1, Clerks: testClerks(n), Signer: testKey(0)}, value)
		if (err == nil) != ok {
			t.Errorf("of %d clerks: %v", n, err)
		}
		if _, err := cert.Verify(testMetastate, certificate.Signers{Clerks: testClerks(n)}); (err == nil) != ok {
			t.Errorf("of %d clerks: a certificate: %v", n, err)
		}
	}
}
