package main

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/node"
)

func TestInWords(t *testing.T) {
	for text, want := range map[string]string{
		"state: decision: the name must be short":     "the name must be short",
		"vault: opening: wrong passphrase":            "opening: wrong passphrase",
		"vault: updating the vault: wrong passphrase": "wrong passphrase",
		"charter: line 1: x\ncharter: line 2: y":      "line 1: x; line 2: y",
		"estate: mine":                                "estate: mine",
		"the state: decision":                         "the state: decision",
		"node":                                        "node",
	} {
		if got := inWords(text); got != want {
			t.Errorf("%q is told as %q, not %q", text, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	short := strings.Repeat("ы", maxMessage)
	if clip(short) != short {
		t.Error("what is short enough is cut")
	}
	long := "no persona " + strings.Repeat("ы", 30000) + ": look at the roll"
	got := clip(long)
	if n := utf8.RuneCountInString(got); n > maxMessage || !utf8.ValidString(got) {
		t.Errorf("%d runes are left", n)
	}
	if !strings.HasPrefix(got, "no persona ы") || !strings.HasSuffix(got, "ы: look at the roll") {
		t.Errorf("what happened or why is lost: %s", got)
	}
}

func TestFileFailures(t *testing.T) {
	for _, test := range []struct {
		err  error
		code string
		exit int
		want string
	}{
		{fs.ErrNotExist, "file-not-found", node.ExitNotFound, "there is no such file or folder: f"},
		{syscall.ENOTDIR, "file-not-found", node.ExitNotFound, "there is no such file or folder: f"},
		{syscall.ENAMETOOLONG, "path-too-long", node.ExitUsage, "the path is longer than this system takes: f"},
		{fs.ErrPermission, "file-denied", node.ExitFailed, "you may not open f"},
		{syscall.ENOSPC, "disk-full", node.ExitFailed, "the disk is full: f could not be written"},
		{syscall.EIO, "file-failed", node.ExitFailed, "cannot open f: " + syscall.EIO.Error()},
	} {
		f := asFailure(fmt.Errorf("bundle: reading: %w", &fs.PathError{Op: "open", Path: "f", Err: test.err}))
		if f.Code != test.code || f.Exit != test.exit || f.Message != test.want || f.Hint == "" {
			t.Errorf("%v: %+v", test.err, *f)
		}
	}
}
