package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// answer is as a command's data is.
type answer struct {
	Final   bool              `json:"final"`
	Name    string            `json:"name"`
	Count   uint64            `json:"count"`
	Half    float64           `json:"half"`
	Nothing *string           `json:"nothing"`
	Votes   map[string]uint64 `json:"votes"`
	None    map[string]uint64 `json:"none"`
	Empty   []string          `json:"empty"`
	Members []member          `json:"members"`
}

type member struct {
	Name    string   `json:"name"`
	Offices []string `json:"offices"`
}

var sample = answer{
	Final: true, Name: "Testers", Count: 3, Half: 2.5, Votes: map[string]uint64{"yes": 2, "no": 0},
	None: map[string]uint64{}, Empty: []string{},
	Members: []member{{"Anna", []string{"clerk"}}, {"Ben", []string{}}},
}

func TestConditions(t *testing.T) {
	tree, err := asTree(sample)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		// A bare field: true or non-empty.
		"final": true, "name": true, "count": true, "votes": true, "members": true,
		"nothing": false, "empty": false, "none": false, "votes.no": false, "absent": false, "votes.absent": false,
		// FIELD=V.
		"final=true": true, "final=false": false, "name=Testers": true, "name=testers": false, "name=": false,
		"count=3": true, "count=3.0": true, "count=4": false, "count=three": false, "half=2.5": true,
		"nothing=": true, "nothing=null": true, "absent=": false, "votes.yes=2": true,
		// FIELD>=N.
		"count>=3": true, "count>=2": true, "count>=4": false, "half>=2.5": true, "half>=2.6": false, "name>=0": false, "count>=-1": true,
		// An array is its length.
		"members=2": true, "members=1": false, "members>=2": true, "members>=3": false, "empty=0": true,
		// Dots descend; a number picks, a name looks in every element.
		"members.0.name=Anna": true, "members.1.name=Anna": false, "members.2.name": false, "members.-1.name": false,
		"members.name=Ben": true, "members.name=Carl": false, "members.offices=1": true, "members.offices.0=clerk": true,
		"name.more": false,
		// The value may hold what the syntax uses.
		"name=a=b": false, "name=a>=b": false,
	} {
		c, err := parseCondition(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := c.holds(tree); got != want {
			t.Errorf("%q holds: %v", text, got)
		}
	}
	for _, text := range []string{"", "=", "=1", ">=1", ".", "a.", ".a", "a..b", "a==b", "a>b", "a<b", "a!=b", "a>=", "a>=b", "a>=1e999999999", "a>=1/2"} {
		if c, err := parseCondition(text); err == nil {
			t.Errorf("%q is taken for %+v", text, c)
		}
	}
}

func TestAwait(t *testing.T) {
	members, err := parseCondition("count>=3")
	if err != nil {
		t.Fatal(err)
	}
	notFound := &node.Error{Code: "not-found", Exit: node.ExitNotFound, Message: "there is nothing"}
	unreachable := &node.Error{Code: "node-not-running", Exit: node.ExitUnreachable, Message: "no node is running"}
	refused := &node.Error{Code: "refused", Exit: node.ExitRefused, Message: "no"}

	// Each test is a list of what happens when asked; the last goes on for ever.
	for name, test := range map[string]struct {
		says []any
		want int
		text string
	}{
		"at once":           {[]any{3}, 0, ""},
		"in time":           {[]any{0, 1, 2, 3}, 0, ""},
		"not found yet":     {[]any{notFound, notFound, 5}, 0, ""},
		"not running yet":   {[]any{unreachable, 5}, 0, ""},
		"never":             {[]any{2}, node.ExitTimeout, `after 2s, "count>=3" does not hold yet`},
		"never found":       {[]any{notFound}, node.ExitTimeout, "there is nothing"},
		"never running":     {[]any{unreachable}, node.ExitTimeout, "no node is running"},
		"refused":           {[]any{0, refused}, node.ExitRefused, "no"},
		"hangs":             {[]any{nil}, node.ExitTimeout, "did not answer"},
		"hangs after a bit": {[]any{1, nil}, node.ExitTimeout, "does not hold yet"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin, asked := time.Now(), 0
				_, err := await(t.Context(), 2*time.Second, members, func(ctx context.Context) (answer, error) {
					say := test.says[min(asked, len(test.says)-1)]
					asked++
					switch say := say.(type) {
					case int:
						return answer{Count: uint64(say)}, nil
					case error:
						return answer{}, say
					}
					<-ctx.Done()
					return answer{}, ctx.Err()
				})
				got := 0
				if err != nil {
					got = asFailure(err).Exit
					if !strings.Contains(err.Error(), test.text) {
						t.Errorf("says %q, not %q", err, test.text)
					}
				}
				if got != test.want {
					t.Errorf("exit %d (%v), want %d", got, err, test.want)
				}
				if took := time.Since(begin); test.want == node.ExitTimeout && took != 2*time.Second {
					t.Errorf("timed out after %v", took)
				}
			})
		})
	}
}

func TestAwaitInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := await(ctx, time.Hour, condition{path: []string{"final"}}, func(context.Context) (answer, error) {
		cancel()
		return answer{}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ends with %v", err)
	}
}

// A timeout tells what there was instead, in a few words; all of the answer is
// in the data.
func TestTimeoutSaysWhatThereWas(t *testing.T) {
	tree := map[string]any{
		"final": false, "phase": "voting", "members": []any{"a", "b"}, "checkpoint": nil, "clerks": map[string]any{"count": json.Number("1")},
		"name": strings.Repeat("ы", 5000), "list": []any{map[string]any{"x": "1"}, map[string]any{"x": "2"}},
	}
	for path, want := range map[string]string{
		"final":        `after 1s, "COND" does not hold yet: final is false`,
		"phase":        `phase is "voting"`,
		"members":      "members has 2 elements",
		"checkpoint":   "checkpoint is null",
		"clerks":       "clerks is an object",
		"clerks.count": "clerks.count is 1",
		"name":         "name is something else",
		"list.x":       "none of the 2 values of list.x is so",
		"nope":         "the answer has no field nope; it has checkpoint, clerks, final, list, members, name, phase",
		"clerks.nope":  "the answer has no field clerks.nope",
	} {
		last := lastAnswer{cond: condition{text: "COND", path: strings.Split(path, ".")}, wait: time.Second, tree: tree}
		f := asFailure(last.timedOut())
		if !strings.HasSuffix(f.Message, want) {
			t.Errorf("%s: says %q, not %q", path, f.Message, want)
		}
		if f.Hint != "wait longer with --wait" || len(f.Message) > maxMessage {
			t.Errorf("%s: hint %q, message of %d bytes", path, f.Hint, len(f.Message))
		}
		if !strings.Contains(string(f.data), "ыы") {
			t.Errorf("%s: the data lacks the answer", path)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"a", "a=b", "a.b>=2", "members.0.name=Anna", "a>=1e9", "..", "=", "count>=3"} {
		f.Add(s)
	}
	tree, err := asTree(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCondition(s)
		if err != nil {
			return
		}
		if got := strings.Join(c.path, ".") + c.op + c.value; got != s {
			t.Errorf("%q is read as %q", s, got)
		}
		c.holds(tree)
	})
}
