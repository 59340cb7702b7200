package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/node/qr"
)

// preparedVote is the answer of vote prepare.
type preparedVote struct {
	node.PreparedBallot
	QR []string `json:"qr,omitempty"` // of the code, a line each
}

func (a *app) votePrepareCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "prepare PROPOSAL", Short: "Make a secret ballot without sending it",
		Long: "Make a secret ballot without sending it, and show its code. Note the code; then either\n" +
			"cast that ballot (vote cast --prepared), or have it opened (vote challenge): it is\n" +
			"never cast then, and anyone's node can check that it said what you chose. A device\n" +
			"that makes other ballots than it is told can't know which of them will be opened.\n" +
			"The choice is read as by vote cast; there is no flag for it.",
		Args: arguments(1, 1),
	}
	fromStdin, asQR := false, false
	c.Flags().BoolVar(&fromStdin, "choice-stdin", false, "read the choice, one line, from stdin")
	c.Flags().BoolVar(&asQR, "qr", false, "show the code as a QR code, too")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (v preparedVote, err error) {
		choice, err := a.readChoice(c, fromStdin)
		if err != nil {
			return v, err
		}
		if v.PreparedBallot, err = n.In(a.opts.metastate).PrepareVote(ctx, args[0], node.VoteRequest{Choice: choice}); err != nil || !asQR {
			return v, err
		}
		code, err := qrOf(v.Code, qr.Low)
		if err == nil {
			v.QR = code.Lines()
		}
		return v, err
	}, func(p *page, v preparedVote) {
		p.line("Your ballot is prepared, and NOT sent yet.")
		p.fields("ballot code", v.Code)
		p.picture(v.QR)
		p.next("metastate vote cast %s --prepared", v.Proposal)
		p.line("to see what it says instead, and then prepare another: metastate vote challenge %s --out FILE", v.Proposal)
	})
}

// challenged is the answer of vote challenge.
type challenged struct {
	node.BallotOpening
	File string `json:"file,omitempty"`
}

func (a *app) voteChallengeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "challenge PROPOSAL", Short: "Open the ballot that is prepared, which is then never cast",
		Long: "Open the ballot that is prepared, which is then never cast. Check the opening on another\n" +
			"device: metastate vote check-opening FILE. It shows what that ballot says; do not tell\n" +
			"from it how you vote.",
		Args: arguments(1, 1),
	}
	out := ""
	c.Flags().StringVar(&out, "out", "", "write the opening to this file")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (v challenged, err error) {
		ask := func() (err error) {
			v.BallotOpening, err = n.In(a.opts.metastate).ChallengeVote(ctx, args[0])
			return err
		}
		if out == "" {
			return v, ask()
		}
		v.File = out
		// The file first: an opening that could not be written would be lost.
		return v, filling(out, ask, func(f *os.File) error {
			b, err := json.MarshalIndent(v.BallotOpening, "", "  ")
			if err == nil {
				_, err = f.Write(append(b, '\n'))
			}
			return err
		})()
	}, func(p *page, v challenged) {
		if v.File == "" {
			b, err := json.Marshal(v.BallotOpening)
			if err == nil {
				p.line("%s", b)
			}
			return
		}
		p.line("The ballot %s is opened, and will never be cast.", v.Code)
		p.fields("opening", v.File)
		p.line("next: on another device, with a node of this metastate: metastate vote check-opening %s", quote(filepath.Base(v.File)))
	})
}

// maxOpening bounds a file with an opening: a ballot of 48 KiB, in base64, and some.
const maxOpening = 128 << 10

func (a *app) voteCheckOpeningCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check-opening FILE", Short: "Say what a challenged ballot says",
		Long: "Say what a challenged ballot says: that it has the code that was shown when it was\n" +
			"prepared, that it is one of its voter in its vote, and the choice in it. The node of\n" +
			"this device needs to hold the vote, and trusts nothing in the file.",
		Args: arguments(1, 1),
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (v node.OpenedBallot, err error) {
		o, err := readOpening(args[0])
		if err != nil {
			return v, err
		}
		return n.In(a.opts.metastate).CheckOpening(ctx, o)
	}, func(p *page, v node.OpenedBallot) {
		p.line("The opening holds: this is what the ballot says.")
		p.fields("choice", v.Choice, "ballot code", v.Code, "voter", orDash(v.Name), "in", v.Title)
		if v.Cast {
			p.line("This ballot is cast: its opening shows how somebody votes. Pass it on to nobody.")
			return
		}
		p.line("Compare the code with the one that was shown when the ballot was prepared. It is not cast.")
	})
}

// readOpening reads a file that vote challenge wrote.
func readOpening(path string) (o node.BallotOpening, err error) {
	f, err := openFile(path)
	if err != nil {
		return o, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxOpening+1))
	if err != nil {
		return o, err
	}
	if err = json.Unmarshal(b, &o); err == nil && (len(b) > maxOpening || o.Proposal.IsZero()) {
		err = errors.New("it is of another kind")
	}
	if err != nil {
		return o, &failure{
			Code: "not-valid", Exit: node.ExitVerify, Message: fmt.Sprintf("%s is no opening of a ballot, or it is damaged", path),
			Hint: "metastate vote challenge PROPOSAL --out FILE writes one",
		}
	}
	return o, nil
}
