package node

import (
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
)

func TestAliasFor(t *testing.T) {
	for _, name := range []string{
		"Free Coders", "Вольныя праграмісты Беларусі ў выгнанні і іх сябры", strings.Repeat("é", 60), " leading", "\u0085",
	} {
		taken := map[string]bool{}
		for range 12 {
			alias := aliasFor(name, func(a string) bool { return taken[a] })
			if err := identity.ValidName(alias); err != nil || taken[alias] {
				t.Fatalf("alias %q of %q: %v", alias, name, err)
			}
			taken[alias] = true
		}
	}
}
