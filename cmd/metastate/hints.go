package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// ofNode are the commands that --metastate says nothing to.
var ofNode = []string{"init", "run", "doctor", "list", "found", "join", "bench", "version", "completion", "help"}

// commandsIn finds the program's commands in a text: what is before one, and its
// name.
func commandsIn(root *cobra.Command) *regexp.Regexp {
	var paths []string
	for _, c := range root.Commands() {
		for _, sub := range c.Commands() {
			paths = append(paths, c.Name()+" "+sub.Name())
		}
		paths = append(paths, c.Name()) // after its own, which begin with it
	}
	return regexp.MustCompile(`(^|[ :;(])metastate (` + strings.Join(paths, "|") + `)\b`)
}

// byAnother marks a command for somebody else, on a node of their own.
const byAnother = "the other side runs"

// asTyped makes the commands in a text of ours work as they stand. Texts, the
// node's too, name them as for one who gives neither --data nor --metastate; it
// puts in what this person gave.
func (a *app) asTyped(text string) string { return a.typedIn(text, a.opts.metastate) }

// typedIn is asTyped with another metastate than the one that was given, if any.
func (a *app) typedIn(text, metastate string) string {
	if a.commands == nil || strings.HasSuffix(text, " --help") || strings.Contains(text, byAnother) { // help needs neither
		return text
	}
	data := a.dataFlag(strings.Contains(text, "in another terminal"))
	inside := ""
	if metastate != "" && !strings.Contains(text, "--metastate ") {
		inside = " --metastate " + quote(metastate)
	}
	return a.commands.ReplaceAllStringFunc(text, func(found string) string {
		path := a.commands.FindStringSubmatch(found)[2]
		if first, _, _ := strings.Cut(path, " "); slices.Contains(ofNode, first) {
			return found + data
		}
		return found + data + inside
	})
}

// dataFlag is --data with the folder that was given, as an absolute path: it
// holds wherever the command is typed. In another terminal METASTATE_DATA may
// not be set, so that it stands for itself only here.
func (a *app) dataFlag(elsewhere bool) string {
	dir := a.opts.data
	if dir == "" && elsewhere {
		dir = os.Getenv("METASTATE_DATA")
	}
	if dir == "" {
		return ""
	}
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return " --data " + quote(dir)
}

// quote writes an argument as a POSIX shell takes it back.
func quote(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
