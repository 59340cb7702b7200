package charter

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

var update = flag.Bool("update", false, "rewrite the templates' comments and the golden hashes")

func mustTemplate(t testing.TB, name string) Charter {
	t.Helper()
	c, err := Template(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The encoding of a template stands in the genesis of whoever founds with it.
// A change must be meant: go test -update.
func TestTemplateGolden(t *testing.T) {
	var got strings.Builder
	for _, name := range Templates() {
		b, err := dagcbor.Marshal(mustTemplate(t, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%x  %d  %s\n", sha256.Sum256(b), len(b), name)
	}
	const path = "testdata/templates.sha256"
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("a template's encoding changed; if that is meant, go test -update\ngot:\n%swant:\n%s", got.String(), want)
	}
}

// A template's file reads just as its charter is shown.
func TestTemplateFileIsWritten(t *testing.T) {
	for _, name := range Templates() {
		path := "templates/" + name + ".yaml"
		want := YAML(mustTemplate(t, name))
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not as YAML writes it (error %v); go test -update", path, err)
		}
	}
}

func TestTemplatePromises(t *testing.T) {
	if Templates()[0] != DefaultTemplate || len(Templates()) != 5 {
		t.Errorf("templates are %v", Templates())
	}
	for _, name := range Templates() {
		c := mustTemplate(t, name)
		if c.Template != name || c.Version != 1 || c.Admission.Policy != PolicyInvite {
			t.Errorf("%s: template %q, version %d, policy %q", name, c.Template, c.Version, c.Admission.Policy)
		}
		if officers := c.Admission.Invites == InvitesOfficers; officers != (name == "exiles") {
			t.Errorf("%s: invites by %s", name, c.Admission.Invites)
		}
		ordinary, _ := c.Class(ClassOrdinary)
		if want := (Class{Name: ClassOrdinary, Threshold: Fraction{1, 2}, Strict: true, Of: OfVotes, Quorum: Fraction{0, 1}}); ordinary != want {
			t.Errorf("%s: ordinary is %+v", name, ordinary)
		}
		for _, o := range []string{"clerk", "registrar", "treasurer", "organiser", "steward", "trustee"} {
			if _, ok := c.Office(o); !ok {
				t.Errorf("%s: no office %s", name, o)
			}
		}
		for _, k := range []string{ClassBudget, ClassCharter, ClassElection, ClassEntrenched, ClassExpulsion} {
			if _, ok := c.Class(k); !ok {
				t.Errorf("%s: no class %s", name, k)
			}
		}
		if e, _ := c.Class(ClassExpulsion); e.Passes(2, 150) || e.Passes(75, 150) || !e.Passes(150, 150) {
			t.Errorf("%s: expulsion passes with too few of 150, or not with all", name)
		}
		if n := strings.Count(c.Statutes, "\n"); n < 15 || n > 50 {
			t.Errorf("%s: statutes have %d lines", name, n)
		}
	}
}

func TestTemplateUnknown(t *testing.T) {
	for _, name := range []string{"", "../charter", "Union", "union.yaml"} {
		_, err := Template(name)
		if err == nil || !strings.Contains(err.Error(), "union, exiles, coop, founders, club") {
			t.Errorf("Template(%q): %v", name, err)
		}
	}
}

func TestCBORRoundTrip(t *testing.T) {
	for _, name := range Templates() {
		want := mustTemplate(t, name)
		b, err := dagcbor.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Charter
		if err := dagcbor.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
