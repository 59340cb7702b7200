package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// packages are the names that errors begin with, for programmers: "store:
// opening: …". A person is told what comes after them, and of the vault not what
// was being done with it: they know that.
var packages = regexp.MustCompile(`^(?:(?:identity|vault|protocol|dagcbor|charter|roll|decision|state|checkpoint|reconcile|bundle|audit|count|blt|csv|secret|committee|keygen|store|node|p2p|httpapi): )+(?:[a-z]+ing the vault: )?`)

// inWords makes one line for people of an error's text.
func inWords(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = packages.ReplaceAllString(line, "")
	}
	return clip(strings.Join(lines, "; "))
}

// Bounds on a message, in runes. What made it too long is in the middle, mostly:
// a name or a path; the reason is at the end.
const (
	maxMessage = 500
	keptHead   = 200
	keptTail   = 200
)

// clip takes the middle out of what is too long for one line to be read.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= maxMessage {
		return s
	}
	r := []rune(s)
	return string(r[:keptHead]) + " … " + string(r[len(r)-keptTail:])
}

// flagNeeds says what a flag takes, by the type of its value.
var flagNeeds = map[string]string{
	"uint64":      "a whole number, 0 or more",
	"int":         "a whole number",
	"bool":        "true or false",
	"DURATION":    "a duration, such as 30s, 10m, 72h or 3d",
	"stringSlice": "a list with commas between, such as a,b,c",
}

// flagWords says what is wrong with a flag, without what the parser of its value
// says of itself.
func flagWords(err error) string {
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err.Error()
	}
	f := bad.GetFlag()
	needs, ok := flagNeeds[f.Value.Type()]
	switch {
	case !ok:
		return err.Error()
	case errors.Is(err, strconv.ErrRange):
		return fmt.Sprintf("--%s: %s is out of range", f.Name, bad.GetValue())
	}
	return fmt.Sprintf("--%s needs %s, not %q", f.Name, needs, bad.GetValue())
}

// pathFlags name files, whose names may be any bytes.
var pathFlags = map[string]bool{"data": true, "passphrase-file": true, "words-out": true, "out": true, "charter": true}

// onlyText refuses arguments that are not UTF-8, but for names of files: on the
// way to the node their bytes would be replaced, and a name signed that nobody
// typed.
func onlyText(c *cobra.Command, args []string) error {
	if !strings.Contains(c.Use, "FILE") {
		for _, s := range args {
			if !utf8.ValidString(s) {
				return usage(c, "the argument %q is not UTF-8 text", s)
			}
		}
	}
	var err error
	c.Flags().Visit(func(f *pflag.Flag) {
		if s := f.Value.String(); err == nil && !pathFlags[f.Name] && !utf8.ValidString(s) {
			err = usage(c, "--%s: %q is not UTF-8 text", f.Name, s)
		}
	})
	return err
}
