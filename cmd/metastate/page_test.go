package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node"
)

// What other members wrote must not act on the terminal of whoever reads it.
func TestPageIsHarmless(t *testing.T) {
	evil := "a\x1b[2J\x9b1A\r\nb\tc\u202Ed\u2066\u200F\xff\x00"
	p := &page{}
	p.line("%s", evil)
	p.text(evil)
	p.fields("name", evil)
	p.table("", []string{"NAME", "X"}, [][]string{{evil, "y"}})
	p.next("%s", evil)
	text := p.buf.String()
	if i := strings.IndexFunc(text, func(r rune) bool {
		return r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || strings.ContainsRune("\u202E\u2066\u200F", r)
	}); i >= 0 {
		t.Errorf("%q is left, at %d of %q", text[i], i, text)
	}
	if lines := strings.Count(text, "\n"); lines != 8 {
		t.Errorf("other lines came about: %q", text)
	}
}

func TestColumns(t *testing.T) {
	rows := func() [][]string { return [][]string{{"Żółć", "1"}, {"B", "22"}} }
	p := &page{}
	p.table("none", []string{"NAME", "N"}, rows())
	if got, want := p.buf.String(), "NAME  N\nŻółć  1\nB     22\n"; got != want {
		t.Errorf("%q", got)
	}
	p = &page{plain: true}
	p.table("none", []string{"NAME", "N"}, rows())
	p.table("none", []string{"NAME"}, nil)
	p.next("nothing")
	if got, want := p.buf.String(), "Żółć\t1\nB\t22\n"; got != want {
		t.Errorf("plain: %q", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// An answer that could not be written is no success, however it is printed.
func TestWriteFails(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"charter", "templates"}} {
		var stderr bytes.Buffer
		a := &app{stdin: os.Stdin, stdout: full{}, stderr: &stderr}
		if exit := a.run(args); exit != node.ExitFailed || !strings.Contains(stderr.String(), "error: writing the answer") {
			t.Errorf("%q: exit %d, %q", args, exit, stderr.String())
		}
	}
}

// A command that is interrupted, here while it waits for a node, says so.
func TestInterrupted(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt) // or one that comes early ends the test
	defer signal.Stop(caught)
	var stdout, stderr bytes.Buffer
	a := &app{stdin: os.Stdin, stdout: &stdout, stderr: &stderr}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan int)
	go func() { ended <- a.run([]string{"status", "--data", t.TempDir(), "--wait", "1m", "--json"}) }()
	for again := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case exit := <-ended:
			if exit != exitInterrupted || !strings.Contains(stdout.String(), `"code":"interrupted","exit":130,`) {
				t.Errorf("exit %d, %s", exit, stdout.String())
			}
			return
		case <-again.C:
			if err := self.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestFailures(t *testing.T) {
	_, missing := os.Open("no/such\nfile")
	for _, test := range []struct {
		err  error
		code string
		exit int
	}{
		{fmt.Errorf("x: %w", vault.ErrWrongPassphrase), "vault-wrong-passphrase", 9},
		{fmt.Errorf("x: %w", vault.ErrLocked), "vault-busy", 9},
		{fmt.Errorf("x: %w", vault.ErrPermissions), "vault-permissions", 9},
		{fmt.Errorf("x: %w", vault.ErrTooNew), "vault-too-new", 9},
		{fmt.Errorf("x: %w", vault.ErrDamaged), "vault-damaged", 6},
		{fmt.Errorf("x: %w", vault.ErrNotFound), "vault-not-found", 4},
		{fmt.Errorf("x: %w", vault.ErrExists), "vault-exists", 1},
		{fmt.Errorf("x: %w", vault.ErrPassphrase), "passphrase-unusable", 2},
		{fmt.Errorf("x: %w", &node.Error{Code: "refused", Exit: 5, Message: "m"}), "refused", 5},
		{&node.Error{Code: "odd", Exit: 0, Message: "a failure that would look like success"}, "odd", 1},
		{missing, "file-not-found", 4},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, "file-denied", 1},
		{errNoHome, "usage", 2},
		{errors.New("two\nlines"), "failed", 1},
	} {
		f := asFailure(test.err)
		if f.Code != test.code || f.Exit != test.exit || f.Message == "" || strings.Contains(f.Message+f.Hint, "\n") {
			t.Errorf("%v: %+v", test.err, f)
		}
	}
}

func TestAsksForJSON(t *testing.T) {
	for args, want := range map[string]bool{
		"status --json": true, "--json status": true, "status --json=true": true, "status --json=what": true,
		"status": false, "status --json=false": false, "found -- --json": false, "status --jsonx": false,
	} {
		if got := asksForJSON(strings.Fields(args)); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
}
