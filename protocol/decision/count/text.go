package count

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/identity"
)

// MaxName is the bytes of a name or title in a file of ballots.
const MaxName = 1000

// CheckText refuses a name or title, which what calls it, that can't be shown in
// one line: it is UTF-8 without characters that can't be seen, at most MaxName
// bytes, and without space around it.
func CheckText(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("the %s is not UTF-8 text: save the file as UTF-8", what)
	}
	if len(s) > MaxName || s != strings.TrimSpace(s) {
		return fmt.Errorf("the %s is longer than %d bytes or has space around it", what, MaxName)
	}
	for _, r := range s {
		if identity.Hidden(r) {
			return fmt.Errorf("the %s has a character that can't be seen, %U: take it out", what, r)
		}
	}
	return nil
}

// Distinct refuses names in files of ballots that are empty or not their own.
func Distinct(name string, seen map[string]bool) error {
	if name == "" {
		return fmt.Errorf("a name is empty: results go by name, give each its own")
	}
	if seen[name] {
		return fmt.Errorf("the name %q stands twice: results go by name, give each its own", name)
	}
	seen[name] = true
	return CheckText("name", name)
}
