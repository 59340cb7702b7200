package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity/vault"
)

func TestCommandsAsTyped(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ data, env, inside, text, want string }{
		{text: "metastate list", want: "metastate list"},
		{env: "/n", text: "metastate list", want: "metastate list"},
		{env: "/n", text: "in another terminal: metastate run", want: "in another terminal: metastate run --data /n"},
		{data: "/n", env: "/m", text: "in another terminal: metastate run", want: "in another terminal: metastate run --data /n"},
		{data: "/n", text: "metastate found NAME, or metastate join LINK", want: "metastate found --data /n NAME, or metastate join --data /n LINK"},
		{data: "/it's $HOME", text: "metastate status", want: `metastate status --data '/it'\''s $HOME'`},
		{data: "anna", text: "metastate status", want: "metastate status --data " + quote(filepath.Join(here, "anna"))},
		{data: "/n", text: "metastate status --help", want: "metastate status --help"},
		{data: "/n", text: "say which with --metastate; metastate list shows them", want: "say which with --metastate; metastate list --data /n shows them"},
		{data: "/n", text: "a metastate is listed; metastates run", want: "a metastate is listed; metastates run"},
		{inside: "Free Coders", text: "metastate invite create", want: "metastate invite create --metastate 'Free Coders'"},
		{inside: "X", text: "metastate list", want: "metastate list"},
		{inside: "X", text: "metastate found NAME, or metastate join LINK", want: "metastate found NAME, or metastate join LINK"},
		{inside: "X", text: "metastate status --metastate Y says how far it got", want: "metastate status --metastate Y says how far it got"},
		{inside: "X", data: "/n", text: "ask again: the other side runs metastate roll prove", want: "ask again: the other side runs metastate roll prove"},
		{inside: "X", data: "/n", text: "metastate propose list", want: "metastate propose list --data /n --metastate X"},
	} {
		t.Setenv("METASTATE_DATA", test.env)
		a := newApp(vault.Params{})
		a.root()
		a.opts.data, a.opts.metastate = test.data, test.inside
		if got := a.asTyped(test.text); got != test.want {
			t.Errorf("%+v\n got %s", test, got)
		}
	}
}

// A shell reads what is quoted as the one argument it was.
func TestQuote(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("there is no POSIX shell here")
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune(`ab/. '"$`+"`"+`\*~#&;|<>()!é`+"\n")), -1, 20, -1).Draw(t, "argument")
		out, err := exec.Command(sh, "-c", "printf '%s.' "+quote(s)).Output()
		if err != nil || strings.TrimSuffix(string(out), ".") != s {
			t.Fatalf("%q is quoted as %s and read as %q: %v", s, quote(s), out, err)
		}
	})
	if got := quote("/home/anna/data-1"); got != "/home/anna/data-1" {
		t.Errorf("a plain path is quoted: %s", got)
	}
}
