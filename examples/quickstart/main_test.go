package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// golden is the story with what differs from run to run named in <>.
const golden = `
1. Anna founds a union
   "Free Coders" is <id>: the fingerprint of its founding record, charter included.
   It lives on Anna's computer, and on that of whoever joins.

2. Boris and Cveta join by invite
   Anna sends Boris a link of <n> letters. It names no member and works once.
   Boris is a member. On the roll he is persona <id>.
   Boris invites Cveta: in this union every member may. She is a member, persona <id>.

3. Boris also plays chess, and that is nobody's business
   In Free Coders he is <id>, in the Chess Club <id>.
   Nobody can link the two: each has its own keys, network identity, ports and
   encrypted store. They come from Boris's vault in ways that only the vault can retrace,
   and nothing of his in one is found in the other. (Who watches his internet line
   still sees one address: hiding that takes Tor.)

4. Anna appoints two more clerks
   Clerks sign checkpoints, which make records final. They can delay, never forge:
   every node recomputes what they sign. Any 2 of 3 are enough.

5. A vote, and a computer that dies in the middle of it
   Anna asks: "Shall we meet on Fridays?" (<id>, open for 5s)
   Boris votes yes and keeps the receipt. That moment his node is killed (SIGKILL): nothing
   is finished, nobody is told. It was at checkpoint <n>.
   Anna votes yes, Cveta no. Two clerks of three make it final without him, in checkpoint <n>.
   Boris starts it again: passphrase, and it takes up both memberships.
   It fetches what it missed, verifies it, and is where the others are.
   The vote has closed. Each node counts for itself: yes 2, no 1, passed.
   Boris's receipt proves that his ballot is in, from checkpoint <n> on.

6. The founder is away, and a newcomer comes in
   Anna's computer is off. Boris sends Dora an invite of his own.
   Dora is a member, persona <id>, admitted by Boris's invite.
   Her node fetched the whole history and verified it: it counts the vote alike.
   Anna comes back and finds Dora on the roll: 4 members.

7. Everyone has the same books
   Anna   checkpoint <n>, state root <root>
   Boris  checkpoint <n>, state root <root>
   Cveta  checkpoint <n>, state root <root>
   Dora   checkpoint <n>, state root <root>
   That was <n> seconds. Nobody had to ask a server, because there is none.
`

// varying is what no two runs share, and its name in golden.
var varying = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`bafy[a-z2-7]{10}…`), "<id>"},
	{regexp.MustCompile(`state root [0-9a-f]{16}…`), "state root <root>"},
	{regexp.MustCompile(`link of \d+`), "link of <n>"},
	{regexp.MustCompile(`checkpoint \d+`), "checkpoint <n>"},
	{regexp.MustCompile(`was \d+ seconds`), "was <n> seconds"},
}

// The story starts its own program again for each node: here that is the test.
func TestMain(m *testing.M) {
	if os.Getenv(nodeFolder) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestStory(t *testing.T) {
	var out strings.Builder
	start := time.Now()
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log("told in", time.Since(start).Round(time.Millisecond))
	got := out.String()
	roots := regexp.MustCompile(`checkpoint \d+, state root [0-9a-f]{16}`).FindAllString(got, -1)
	if len(roots) != 4 {
		t.Fatalf("%d state roots told, want 4", len(roots))
	}
	for _, r := range roots {
		if r != roots[0] {
			t.Errorf("%q told of one node, %q of another", r, roots[0])
		}
	}
	personas := regexp.MustCompile(`In Free Coders he is (\S+), in the Chess Club (\S+)\.`).FindStringSubmatch(got)
	if personas == nil || personas[1] == personas[2] {
		t.Errorf("Boris's personas: %q", personas)
	}
	for _, v := range varying {
		got = v.re.ReplaceAllString(got, v.as)
	}
	for i, want := range strings.Split(golden, "\n") {
		lines := strings.Split(got, "\n")
		if i >= len(lines) || lines[i] != want {
			t.Fatalf("line %d is not\n%s\nThe story:\n%s", i+1, want, got)
		}
	}
}
