package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) bundleCommands() *cobra.Command {
	return group("bundle", "Carry records in files",
		a.bundleExportCommand(), a.bundleImportCommand(), a.bundleVerifyCommand(), a.bundleInspectCommand())
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
	var out string
	req := node.BundleRequest{}
	c.Flags().StringVar(&out, "out", "", "the file to write")
	c.Flags().Uint64Var(&req.Since, "since", 0, "leave out what the checkpoint of this height covers")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if out == "" {
			return usage(c, "--out is needed: the file to write")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (v exported, err error) {
		if v.File, err = filepath.Abs(out); err != nil {
			return v, fmt.Errorf("bundle: %w", err)
		}
		err = writeFile(out, func(f *os.File) error {
			var err error
			if v.Records, err = n.In(a.opts.metastate).Export(ctx, f, req); err != nil {
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
		p.line("%d records, %d bytes, are in %s.", v.Records, v.Bytes, v.File)
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
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what it would bring, and take in nothing")
	show := func(p *page, r node.ImportReport) {
		done := "taken in"
		if dryRun {
			done = "would be taken in"
		}
		p.line("%d records %s; %d were there already.", r.Imported, done, r.Duplicate)
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.ImportReport, err error) {
		f, err := openFile(args[0])
		if err != nil {
			return r, err
		}
		defer f.Close()
		if r, err = n.In(a.opts.metastate).Import(ctx, f, dryRun); err != nil || len(r.Refused) == 0 {
			return r, err
		}
		return r, with(importFailure(args[0], r), r)
	}, show)
}

// importFailure is that of a bundle of which not everything was taken in.
func importFailure(file string, r node.ImportReport) *failure {
	f := refusals(fmt.Sprintf("%s: %d records taken in, %d were there already, %d refused", file, r.Imported, r.Duplicate, len(r.Refused)), r.Refused)
	if r.Damaged > 0 {
		return f
	}
	f.Code, f.Exit = "partial", node.ExitPartial
	if r.Imported+r.Duplicate == 0 {
		f.Code, f.Exit = "refused", node.ExitRefused
	}
	f.Hint = "the file is sound, and the rest of it is taken in; metastate sync now brings what others hold"
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

// refusals is the failure of a bundle that is not wholly sound. It names the
// first record at fault, or where that lies, and lists the others.
func refusals(what string, all []node.Refusal) *failure {
	first := all[0]
	f := &failure{
		Code: "bundle-damaged", Exit: node.ExitVerify,
		Message: fmt.Sprintf("%s: %s: %s", what, place(first), inWords(first.Reason)),
		Hint:    "get the file again; bundle import takes in what is sound of it",
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

func place(r node.Refusal) string {
	switch {
	case r.ID != "":
		return "record " + r.ID
	case r.Offset != nil:
		return fmt.Sprintf("offset %d", *r.Offset)
	}
	return "somewhere"
}
