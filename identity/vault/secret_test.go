package vault

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
)

func TestWipeAndDaily(t *testing.T) {
	c := sample()
	citizenships, detached := c.Citizenships, c.Citizenships[1].Detached
	daily := c.Daily()
	c.Wipe()
	if *detached != (identity.Entropy{}) || !reflect.DeepEqual(citizenships, make([]Citizenship, 2)) || !reflect.DeepEqual(c, new(Contents)) {
		t.Error("secrets are left")
	}
	for i, want := range sample().Citizenships {
		if daily[i] != want.Daily {
			t.Error("the day-to-day part went with the rest")
		}
	}
	if daily[0].Wipe(); daily[0] != (Daily{}) {
		t.Error("Daily.Wipe leaves something")
	}
}

func TestNothingPrintsSecrets(t *testing.T) {
	s := Secret(bytes.Repeat([]byte{0xa7}, 32))
	e := identity.Entropy(s)
	c := Contents{Entropy: e, Citizenships: []Citizenship{{Daily: Daily{Alias: "x", Device: s}, Detached: &e}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		for _, v := range []any{s, c, &c, c.Daily()} {
			out := fmt.Sprintf(verb, v)
			for _, leak := range []string{"a7a7", "A7A7", "167", "0xa7", "\xa7"} {
				if strings.Contains(out, leak) {
					t.Errorf("%s of %T prints %q", verb, v, out)
				}
			}
		}
	}
	if _, err := s.MarshalText(); err == nil || s.LogValue().String() != redacted {
		t.Error("a Secret marshals or logs")
	}
}
