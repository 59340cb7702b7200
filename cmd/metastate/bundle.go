package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

func (a *app) bundleCommands() *cobra.Command {
	return group("bundle", "Carry records in files",
		a.bundleExportCommand(), a.bundleOutboxCommand(), a.bundleImportCommand(), a.bundleVerifyCommand(), a.bundleInspectCommand())
}

// exported is the answer of bundle export.
type exported struct {
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"`
	File    string `json:"file"`
}

func (a *app) bundleExportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "export", Short: "Write records to a file",
		Long: "Write records to a file, whole or not at all; one that is there is replaced.",
		Args: arguments(0, 0),
	}
	var out, seal string
	req := node.BundleRequest{}
	c.Flags().StringVar(&out, "out", "", "the file to write")
	c.Flags().Uint64Var(&req.Since, "since", 0, "leave out what the checkpoint of this height covers")
	c.Flags().BoolVar(&req.Sealed, "sealed", false, "encrypt it for the metastate's members: any of their nodes opens it")
	c.Flags().StringVar(&seal, "seal-with-passphrase-file", "", "encrypt it with the passphrase in this file")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if out == "" {
			return usage(c, "--out is needed: the file to write")
		}
		return oneOf(c, "sealed", "seal-with-passphrase-file")
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (v exported, err error) {
		if v.File, err = filepath.Abs(out); err != nil {
			return v, fmt.Errorf("bundle: %w", err)
		}
		err = writeFile(out, func(f *os.File) error {
			to, end := io.Writer(f), func() error { return nil }
			var err error
			if seal != "" {
				if to, end, err = sealing(f, seal); err != nil {
					return err
				}
			}
			if v.Records, err = n.In(a.opts.metastate).Export(ctx, to, req); err != nil {
				return err
			}
			if err := end(); err != nil {
				return err
			}
			info, err := f.Stat()
			if err == nil {
				v.Bytes = info.Size()
			}
			return err
		})
		return v, err
	}, func(p *page, v exported) {
		p.line("%s, %d bytes, %s in %s.", node.Counted(v.Records, "record"), v.Bytes, either(v.Records, "is", "are"), v.File)
		if seal == "" && !req.Sealed && !p.plain {
			p.line("Whoever has the file can read it: --sealed encrypts it for the members.")
		}
		p.next("metastate bundle verify %s", quote(v.File))
	})
}

func (a *app) bundleImportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "import FILE", Short: "Take in the records of a file",
		Long: "Take in the records of a file. What is sound is taken in even if other parts are\n" +
			"damaged or against the rules; the answer names what was refused. Then the exit\n" +
			"code is 6 if anything is damaged, else 3, or 5 if nothing could be taken.",
		Args: arguments(1, 1),
	}
	dryRun := false
	passphrase, frames := openFlag(c), false
	c.Flags().BoolVar(&frames, "frames", false, "the file holds texts read from QR codes, one a line")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what it would bring, and take in nothing")
	show := func(p *page, r node.ImportReport) {
		p.line("%s.", importWords(r, dryRun))
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.ImportReport, err error) {
		if frames {
			r, err = a.importFrames(ctx, n.In(a.opts.metastate), args[0], dryRun)
		} else {
			r, err = a.importFile(ctx, n.In(a.opts.metastate), args[0], *passphrase, dryRun)
		}
		if err != nil || len(r.Refused) == 0 {
			return r, err
		}
		return r, with(importFailure(args[0], r, dryRun), r)
	}, show)
}

// either chooses a word for one thing, or for another number of them.
func either(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// importWords says what became of the sound records of a bundle.
func importWords(r node.ImportReport, dryRun bool) string {
	done, there := "taken in", either(r.Duplicate, "was", "were")
	if dryRun {
		done, there = "would be taken in", either(r.Duplicate, "is", "are")
	}
	return fmt.Sprintf("%s %s; %d %s there already", node.Counted(r.Imported, "record"), done, r.Duplicate, there)
}

// importFailure is that of a bundle of which not everything was taken in.
func importFailure(file string, r node.ImportReport, dryRun bool) *failure {
	hint, rest := "get the file again", "the rest of it is taken in"
	switch {
	case dryRun:
		hint, rest = "get the file again; without --dry-run what is sound of it is taken in", "without --dry-run the rest of it is taken in"
	case r.Imported+r.Duplicate > 0:
		hint = "get the file again; what is sound of this one is taken in already"
	}
	f := refusals(file, fmt.Sprintf("%s: %s; %d refused", file, importWords(r, dryRun), len(r.Refused)), r.Refused, hint)
	if r.Damaged > 0 {
		return f
	}
	f.Code, f.Exit = "partial", node.ExitPartial
	if r.Imported+r.Duplicate == 0 {
		f.Code, f.Exit = "refused", node.ExitRefused
	}
	f.Hint = "the file is sound, and " + rest + "; metastate sync now brings what others hold"
	return f
}

// openFile opens a file to read; a folder is refused, as reading one fails late
// and without its name.
func openFile(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, &failure{
			Code: "not-a-file", Exit: node.ExitUsage, Message: path + " is a folder, not a file", Hint: "check the path",
		}
	}
	return f, nil
}

// maxDetails is how many refusals an error lists; the answer has them all.
const maxDetails = 20

// getAgain is what to do about a damaged file that nothing was taken in of.
const getAgain = "get the file again; metastate bundle import takes in what is sound of it"

// refusals is the failure of a bundle that is not wholly sound, which what says.
// It names the first record at fault, or where that lies, and lists the others.
func refusals(file, what string, all []node.Refusal, hint string) *failure {
	first := all[0]
	if len(all) == 1 && isAlien(first) {
		return alien(file, first)
	}
	f := &failure{
		Code: "bundle-damaged", Exit: node.ExitVerify,
		Message: fmt.Sprintf("%s: %s: %s", what, place(first), inWords(first.Reason)),
		Hint:    hint,
		Record:  first.ID,
	}
	if first.ID == "" {
		f.Offset = first.Offset
	}
	for i, r := range all {
		if len(all) == 1 {
			break
		}
		if i == maxDetails {
			f.Details = append(f.Details, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		f.Details = append(f.Details, place(r)+": "+inWords(r.Reason))
	}
	return f
}

// isAlien reports whether all that is wrong with a file is that it is no bundle.
func isAlien(r node.Refusal) bool {
	return r.Reason == bundle.ErrNotCAR.Error() || r.Reason == bundle.ErrNotBundle.Error()
}

// alien is the failure of a file that is no bundle.
func alien(file string, r node.Refusal) *failure {
	f := &failure{
		Code: "bundle-damaged", Exit: node.ExitVerify, Message: file + " is " + r.Reason, Offset: new(int64),
		Hint: "see whether it is the file that was meant; if so, get it again",
	}
	if info, err := os.Stat(file); err == nil && info.Size() == 0 {
		f.Message = file + " is empty"
	}
	if holdsSlips(file) {
		f.Message, f.Hint = file+" holds texts of QR codes, and is no bundle", "metastate bundle import --frames "+quote(file)
	}
	return f
}

func place(r node.Refusal) string {
	switch {
	case r.ID != "":
		return "record " + r.ID
	case r.Offset != nil:
		return fmt.Sprintf("offset %d", *r.Offset)
	}
	return "somewhere"
}
