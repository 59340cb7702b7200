package identity

import (
	"testing"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// The options are consensus: a change of one splits the network.
func TestRuleOptionsPinned(t *testing.T) {
	want := voi.VerifyOptions{AllowSmallOrderR: true, AllowNonCanonicalR: true}
	if o := ruleOptions(); *o.Verify != want || o.Context != "" || o.Hash != 0 {
		t.Errorf("%+v", o.Verify)
	}
}
