package roll

import (
	"testing"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// TestStandingWords: leaves have the words that SPEC §5 gives standings, each
// its own, and no others are read.
func TestStandingWords(t *testing.T) {
	for s, word := range map[Standing]string{
		Pending: "pending", Full: "member", Suspended: "suspended", Frozen: "frozen", Expelled: "expelled", Left: "left",
	} {
		b, err := dagcbor.Marshal(s)
		if want, _ := dagcbor.Marshal(word); err != nil || string(b) != string(want) {
			t.Errorf("%s is written as %x: %v", word, b, err)
		}
		var back Standing
		if err := dagcbor.Unmarshal(b, &back); err != nil || back != s {
			t.Errorf("%s is read as %s: %v", word, back, err)
		}
	}
	for _, word := range []any{"", "Member", "members", "absent", 2, []byte("left"), nil} {
		b, err := dagcbor.Marshal(word)
		if err != nil {
			t.Fatal(err)
		}
		var s Standing
		if err := dagcbor.Unmarshal(b, &s); err == nil {
			t.Errorf("%v is read as %q", word, s)
		}
	}
}
