package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/node/qr"
	"github.com/metastate-p2p/metastate/protocol/slip"
)

// outbox is the answer of bundle outbox.
type outbox struct {
	Records int      `json:"records"`
	Bytes   int      `json:"bytes"`
	Frames  []string `json:"frames"`
	File    string   `json:"file,omitempty"`
}

// turnEvery is how long each of several QR codes is shown.
const turnEvery = 400 * time.Millisecond

func (a *app) bundleOutboxCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "outbox", Short: "Show what you wrote and nobody may have yet, as QR codes",
		Long: "Show what you wrote and no checkpoint covers yet, such as a vote, as texts for QR codes: for\n" +
			"somebody with a camera, where no network is. They save the texts that they read, one a line, and\n" +
			"give them to metastate bundle import --frames FILE, in any order, as often as they came.\n\n" +
			"It is for a few records; metastate bundle export takes any number to a file.",
		Args: arguments(0, 0),
	}
	req := node.BundleRequest{Own: true}
	draw, out := false, ""
	c.Flags().BoolVar(&draw, "qr", false, "show the codes here; several one after the other, until interrupted")
	c.Flags().StringVar(&out, "out", "", "write them to this file: FILE.gif shows one after the other, FILE.png is for one, FILE.txt has the texts")
	c.Flags().BoolVar(&req.Sealed, "sealed", false, "encrypt it for the metastate's members")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if out != "" && outboxForms[strings.ToLower(filepath.Ext(out))] == nil {
			return usage(c, "--out needs a file that ends in .gif, .png or .txt")
		}
		return nil
	}
	var codes []qr.Code
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (v outbox, err error) {
		if v, codes, err = a.outbox(ctx, n, req); err != nil || v.Records == 0 {
			return v, err
		}
		if out != "" {
			if v.File, err = filepath.Abs(out); err != nil {
				return v, fmt.Errorf("bundle: %w", err)
			}
			err = writeFile(out, func(f *os.File) error {
				return outboxForms[strings.ToLower(filepath.Ext(out))](f, v.Frames, codes)
			})
		}
		if err == nil && draw && len(codes) > 1 && a.width() > 0 && !a.opts.json && !a.opts.quiet {
			err = a.turn(ctx, codes)
			codes = nil // they were shown
		}
		return v, err
	}, func(p *page, v outbox) {
		switch {
		case v.Records == 0:
			p.line("Nothing that you wrote waits to be final.")
			return
		case draw:
			for _, c := range codes {
				p.picture(c.Lines())
			}
		case out == "":
			for _, f := range v.Frames {
				p.line("%s", f)
			}
		}
		if p.plain {
			return
		}
		p.line("%s, %d bytes, in %s.", node.Counted(v.Records, "record"), v.Bytes, node.Counted(len(v.Frames), "code"))
		p.line("next: the other side saves the texts that a camera reads, one a line, and runs: metastate bundle import --frames FILE")
	})
}

// outbox gets the node's own records that wait, as texts for QR codes.
func (a *app) outbox(ctx context.Context, n *httpapi.Client, req node.BundleRequest) (v outbox, codes []qr.Code, err error) {
	v.Frames = []string{}
	var b bytes.Buffer
	if v.Records, err = n.In(a.opts.metastate).Export(ctx, &b, req); err != nil || v.Records == 0 {
		return v, nil, err
	}
	v.Bytes = b.Len()
	v.Frames, err = slip.Split(b.Bytes())
	if errors.Is(err, slip.ErrTooMuch) {
		return v, nil, &failure{
			Code: "too-long", Exit: node.ExitFailed,
			Message: fmt.Sprintf("%d records, %d bytes, wait: too many for QR codes, which take %d bytes", v.Records, b.Len(), slip.MaxMessage),
			Hint:    "metastate bundle export --out FILE",
		}
	}
	for _, f := range v.Frames {
		c, err := qrOf(f, qr.Medium)
		if err != nil {
			return v, nil, err
		}
		codes = append(codes, c)
	}
	return v, codes, err
}

// outboxForms write an outbox to a file, by how its name ends.
var outboxForms = map[string]func(f *os.File, texts []string, codes []qr.Code) error{
	".gif": func(f *os.File, _ []string, codes []qr.Code) error { return qr.GIF(f, codes, turnEvery) },
	".png": func(f *os.File, _ []string, codes []qr.Code) error {
		if len(codes) > 1 {
			return &failure{
				Code: "too-long", Exit: node.ExitUsage, Message: fmt.Sprintf("it takes %d codes, and a PNG image shows one", len(codes)), Hint: "give --out FILE.gif",
			}
		}
		return codes[0].PNG(f)
	},
	".txt": func(f *os.File, texts []string, _ []qr.Code) error {
		_, err := f.WriteString(strings.Join(texts, "\n") + "\n")
		return err
	},
}

// turn shows codes on a terminal, one after the other, until interrupted.
func (a *app) turn(ctx context.Context, codes []qr.Code) error {
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		k := i % len(codes)
		p := &page{width: a.width()}
		p.picture(codes[k].Lines())
		p.line("%d of %d; end with Ctrl-C", k+1, len(codes))
		if err := a.write(append(p.buf.Bytes(), "\x1b[J"...)); err != nil { // wipes what a larger one left
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := a.write(fmt.Appendf(nil, "\x1b[%dA", len(codes[k].Lines())+1)); err != nil {
			return err
		}
	}
}
