package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/metastate-p2p/metastate/identity/vault"
)

// TestMain makes the program itself a command of the scripts. It differs from
// the real one in one thing only, which no flag or variable can change there:
// passphrases are cheap to try, so that a script takes no minutes.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"metastate": func() {
			harden()
			cheap := vault.Params{MemoryKiB: vault.MinMemoryKiB, Passes: 1, Lanes: 1}
			os.Exit(newApp(cheap).run(os.Args[1:]))
		},
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("METASTATE_DATA", env.WorkDir+"/node")
			env.Setenv("LONG", strings.Repeat("a", 5000))
			env.Setenv("DEEP", strings.Repeat("a/", 1500))
			env.Setenv("LATIN1", "caf\xe9") // no UTF-8
			if err := os.WriteFile(env.WorkDir+"/latin1", []byte("caf\xe9\n"), 0o600); err != nil {
				return err
			}
			// As a person keeps it: files that others can read are refused.
			return os.WriteFile(env.WorkDir+"/pass", []byte("correct horse\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  scriptExits,
			"json":   scriptJSON,
			"field":  scriptField,
			"mode":   scriptMode,
			"write":  scriptWrite,
			"drop":   scriptDrop,
			"damage": scriptDamage,
			"spoil":  scriptSpoil,
		},
	})
}

// scriptExits runs a command that must exit as said. An exit other than 0 must
// be told in one object with --json, else in one line and one for the hint.
//
//	exits CODE COMMAND ARG…
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("running it: %v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if asksForJSON(args[2:]) {
		checkEnvelope(ts, stdout, got)
		return
	}
	if got == 0 {
		return
	}
	if !strings.HasPrefix(stderr, "error: ") || stdout != "" {
		ts.Fatalf("a failure is told on stderr alone, from 'error: ' on")
	}
	if !strings.Contains(stderr, "\nnext:  ") {
		ts.Fatalf("a failure does not say what to do next")
	}
	checkWords(ts, stderr)
}

// internals are what people are not to be told: names of packages and functions.
var internals = regexp.MustCompile(`strconv\.|(error:|;) (identity|vault|protocol|charter|roll|decision|state|bundle|store|node|p2p|httpapi): `)

func checkWords(ts *testscript.TestScript, told string) {
	if found := internals.FindString(told); found != "" {
		ts.Fatalf("a failure tells of the program's inside: %q", found)
	}
}

// checkEnvelope holds stdout against what every command's --json must be.
func checkEnvelope(ts *testscript.TestScript, stdout string, exit int) {
	if strings.Count(stdout, "\n") != 1 || !strings.HasSuffix(stdout, "\n") {
		ts.Fatalf("stdout is not one line")
	}
	var e struct {
		V     int             `json:"v"`
		OK    bool            `json:"ok"`
		Data  json.RawMessage `json:"data"`
		Error *struct {
			Code    string  `json:"code"`
			Exit    int     `json:"exit"`
			Message string  `json:"message"`
			Hint    *string `json:"hint"`
		} `json:"error"`
	}
	ts.Check(json.Unmarshal([]byte(stdout), &e))
	if exit == 0 {
		if e.V != 1 || !e.OK || e.Data == nil || e.Error != nil {
			ts.Fatalf("not the object of a success")
		}
		return
	}
	if e.V != 1 || e.OK || e.Error == nil || e.Error.Code == "" || e.Error.Hint == nil {
		ts.Fatalf("not the object of a failure")
	}
	if *e.Error.Hint == "" {
		ts.Fatalf("a failure does not say what to do next")
	}
	checkWords(ts, "error: "+e.Error.Message)
	if e.Error.Exit != exit || strings.ContainsAny(e.Error.Message, "\n") || e.Error.Message == "" {
		ts.Fatalf("the error does not say what happened: exit %d, message %q", e.Error.Exit, e.Error.Message)
	}
}

// scriptJSON holds the object on stdout against conditions as of --until, over
// the whole of it.
//
//	json data.members=3 ok=true
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	tree := decodeStdout(ts)
	for _, text := range args {
		cond, err := parseCondition(text)
		ts.Check(err)
		if cond.holds(tree) == neg {
			ts.Fatalf("%s: %v", text, !neg)
		}
	}
}

func decodeStdout(ts *testscript.TestScript) (tree any) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	ts.Check(d.Decode(&tree))
	return tree
}

// scriptField puts a field of the object on stdout into a variable.
//
//	field NAME data.members.0.persona
func scriptField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field NAME PATH")
	}
	found := descend(decodeStdout(ts), strings.Split(args[1], "."))
	if len(found) != 1 {
		ts.Fatalf("%s leads to %d values", args[1], len(found))
	}
	ts.Setenv(args[0], fmt.Sprint(found[0]))
}

// scriptMode checks the mode of a file.
//
//	mode 0600 FILE
func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode MODE FILE")
	}
	info, err := os.Lstat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// scriptWrite writes a line to a file.
//
//	write FILE TEXT
func scriptWrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: write FILE TEXT")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+"\n"), 0o600))
}

// scriptDrop copies a file without its first line.
//
//	drop FROM TO
func scriptDrop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: drop FROM TO")
	}
	_, rest, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(rest), 0o600))
}

// scriptDamage copies a file with one byte changed, at an offset that counts
// from the end if negative, or cut there with 'cut'.
//
//	damage FROM TO flip|cut OFFSET
func scriptDamage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: damage FROM TO flip|cut OFFSET")
	}
	b := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[3])
	ts.Check(err)
	if at < 0 {
		at += len(b)
	}
	switch args[2] {
	case "flip":
		b = bytes.Clone(b)
		b[at] ^= 1
	case "cut":
		b = b[:at]
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o600))
}

// scriptSpoil flips a bit in the middle of the largest file that holds records
// under a folder.
//
//	spoil FOLDER
func scriptSpoil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: spoil FOLDER")
	}
	var largest string
	var size int64
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".sst" {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	}))
	if largest == "" {
		ts.Fatalf("nothing to spoil")
	}
	b, err := os.ReadFile(largest)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(largest, b, 0o600))
}
