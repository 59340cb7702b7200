package charter

import (
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// ID names the charter: SHA-256 of its encoding.
func (c Charter) ID() protocol.ID {
	return protocol.Sum(dagcbor.Encode(c))
}

// AmendedBy is the class of decision that changes a charter into another: the
// class entrenched, where the charter has it, if an entrenched article or one of
// the rules by which charters change is touched; else the class charter.
func AmendedBy(from, to Charter) string {
	if _, ok := from.Class(ClassEntrenched); !ok {
		return ClassCharter
	}
	for _, name := range []string{ClassCharter, ClassEntrenched, ClassExpulsion} {
		a, _ := from.Class(name)
		if b, _ := to.Class(name); a != b {
			return ClassEntrenched
		}
	}
	if !slices.Equal(entrenched(from.Statutes), entrenched(to.Statutes)) {
		return ClassEntrenched
	}
	return ClassCharter
}

// entrenched are the articles of the statutes that say so, with the text up to
// the next article, white space apart. An article begins with a line that begins
// with a number and a full stop.
func entrenched(statutes string) (articles []string) {
	var article []string
	flush := func() {
		text := strings.Join(article, " ")
		if strings.Contains(text, "entrenched") {
			articles = append(articles, text)
		}
		article = nil
	}
	for line := range strings.Lines(statutes) {
		words := strings.Fields(line)
		if len(words) > 0 && strings.TrimLeft(words[0], "0123456789") == "." {
			flush()
		}
		article = append(article, words...)
	}
	flush()
	return articles
}
