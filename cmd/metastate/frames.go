package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/slip"
)

// maxFrames bounds a file of texts read from QR codes.
const maxFrames = 1 << 20

// importFrames has the node take in what texts read from QR codes make.
func (a *app) importFrames(ctx context.Context, n httpapi.Inside, path string, dryRun bool) (r node.ImportReport, err error) {
	pile, refused, err := a.readFrames(path)
	if err != nil {
		return r, err
	}
	r.Refused, r.Damaged = refused, len(refused)
	var lacking []string
	for _, m := range pile.Messages() {
		switch {
		case m.Err != nil:
			r.Refused, r.Damaged = append(r.Refused, node.Refusal{Reason: inWords(m.Err.Error())}), r.Damaged+1
		case m.Body == nil:
			lacking = append(lacking, fmt.Sprintf("codes %s of %d are missing", listed(m.Missing), m.Count))
		default:
			part, err := n.Import(ctx, bytes.NewReader(m.Body), dryRun)
			if err != nil {
				return r, err
			}
			r.Imported, r.Duplicate, r.Damaged = r.Imported+part.Imported, r.Duplicate+part.Duplicate, r.Damaged+part.Damaged
			r.Refused = append(r.Refused, part.Refused...)
		}
	}
	if len(lacking) > 0 {
		return r, with(&failure{
			Code: "frames-missing", Exit: node.ExitPartial,
			Message: fmt.Sprintf("%s: %s; of what is whole, %s", path, strings.Join(lacking, ", "), importWords(r, dryRun)),
			Hint:    "read these codes, too, add their texts to the file, and import it again",
		}, r)
	}
	return r, nil
}

// readFrames reads texts, one a line. What is no sound one is named by its line.
func (a *app) readFrames(path string) (pile slip.Pile, refused []node.Refusal, err error) {
	refused = []node.Refusal{}
	in := io.Reader(a.stdin)
	if path != "-" {
		f, err := openFile(path)
		if err != nil {
			return pile, nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFrames))
	if err != nil {
		return pile, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	found := false
	for i, line := range strings.Split(string(text), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		err := pile.Add(line)
		found = found || !errors.Is(err, slip.ErrNotSlip)
		if err != nil {
			refused = append(refused, node.Refusal{Reason: fmt.Sprintf("line %d: %s", i+1, inWords(err.Error()))})
		}
	}
	if !found {
		return pile, nil, noFrames(path, text)
	}
	return pile, refused, nil
}

// noFrames is the failure of a file that is to hold texts of QR codes, and holds
// nothing like one.
func noFrames(path string, text []byte) *failure {
	f := &failure{
		Code: "no-frames", Exit: node.ExitUsage, Message: path + " holds no texts of QR codes", Hint: "save each text that the camera reads as a line of its own",
	}
	if path != "-" && beginsAsBundle(text) {
		f.Message, f.Hint = path+" is a bundle, and holds no texts of QR codes", "metastate bundle import "+quote(path)
	}
	return f
}

// beginsAsBundle reports whether a file begins as a bundle does, sealed or not.
func beginsAsBundle(text []byte) bool {
	in := bufio.NewReader(bytes.NewReader(text))
	if bundle.IsSealed(in) {
		return true
	}
	_, err := bundle.NewReader(in)
	return err == nil
}

// holdsSlips reports whether a file begins with a text of a QR code.
func holdsSlips(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4<<10)
	n, _ := io.ReadFull(f, head)
	return strings.HasPrefix(strings.ToUpper(strings.TrimSpace(string(head[:n]))), slip.Prefix)
}

// listed writes numbers for people.
func listed(numbers []int) string {
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = fmt.Sprint(n)
	}
	return strings.Join(words, ", ")
}
