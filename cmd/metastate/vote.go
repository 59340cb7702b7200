package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) voteCommands() *cobra.Command {
	return group("vote", "Vote, and check that a vote is counted",
		a.voteCastCommand(), a.votePrepareCommand(), a.voteChallengeCommand(), a.voteCheckOpeningCommand(),
		a.voteReceiptCommand(), a.voteCheckCommand(),
		a.voteDelegateCommand(), a.voteDelegationsCommand())
}

func (a *app) voteCastCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "cast PROPOSAL", Short: "Cast a vote",
		Long: "Cast a vote. The choice is one line: yes, a, or what the method takes. It is read from\n" +
			"stdin with --choice-stdin, else asked for on a terminal. Arguments can be seen by\n" +
			"others on the machine and stay in the shell's history: --choice is for open votes.\n" +
			"Voting again replaces the vote; that you did can be seen, in a secret vote too.",
		Args: arguments(1, 1),
	}
	var choice string
	fromStdin := false
	c.Flags().StringVar(&choice, "choice", "", "the choice, in an open vote")
	c.Flags().BoolVar(&fromStdin, "choice-stdin", false, "read the choice, one line, from stdin")
	var reason, voter string
	asPrepared := false
	c.Flags().BoolVar(&asPrepared, "prepared", false, "cast the secret ballot that vote prepare made")
	c.Flags().StringVar(&reason, "reason", "", "why, at most 1000 bytes; an objection needs it")
	c.Flags().StringVar(&voter, "for", "", "as an officer, cast it for this member, who is told and can replace it")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("choice") && strings.TrimSpace(choice) == "" {
			return usage(c, "--choice is empty")
		}
		return cmp.Or(oneOf(c, "choice", "choice-stdin"), oneOf(c, "prepared", "choice"), oneOf(c, "prepared", "choice-stdin"),
			oneOf(c, "prepared", "for"), oneOf(c, "prepared", "reason"))
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.VoteReceipt, err error) {
		in := n.In(a.opts.metastate)
		if asPrepared {
			return in.Cast(ctx, args[0], node.VoteRequest{Prepared: true})
		}
		if choice != "" {
			if err := refuseOpenChoice(ctx, c, in, args[0]); err != nil {
				return r, err
			}
		} else if choice, err = a.readChoice(c, fromStdin); err != nil {
			return r, err
		}
		req := node.VoteRequest{Choice: strings.TrimSpace(choice), Reason: reason}
		if voter != "" {
			m, err := in.RollMember(ctx, voter)
			if err != nil {
				return r, err
			}
			req.For = m.Persona
		}
		return in.Cast(ctx, args[0], req)
	}, func(p *page, r node.VoteReceipt) {
		p.line("Your vote is cast.")
		if r.Sent == 0 && !r.Final {
			p.line("No other node has it yet: keep this one running until another is connected.")
		}
		if r.Code != "" {
			p.fields("ballot code", r.Code)
		}
		p.fields("receipt", r.Receipt, "final", yesNo(r.Final), "taken over by", node.Counted(r.Sent, "peer"),
			"clerks who signed that they hold it", strconv.Itoa(r.Clerks))
		p.next("metastate vote check %s", r.Receipt)
	})
}

// refuseOpenChoice refuses a secret choice that was given as an argument.
func refuseOpenChoice(ctx context.Context, c *cobra.Command, in httpapi.Inside, ref string) error {
	q, err := in.Proposal(ctx, ref)
	if err == nil && q.Secret {
		return usage(c, "this vote is secret, and arguments can be seen by others: leave out --choice and be asked, or give --choice-stdin")
	}
	return err
}

// maxLine bounds a line that is read from stdin.
const maxLine = 16 << 10

func (a *app) readChoice(c *cobra.Command, fromStdin bool) (string, error) {
	if !fromStdin {
		if !a.onTerminal() {
			return "", usage(c, "a choice is needed: --choice-stdin, or --choice in an open vote")
		}
		fmt.Fprint(a.stderr, "Your choice: ")
	}
	line, err := a.readLine()
	if err == nil && line == "" {
		err = usage(c, "the choice is empty")
	}
	return line, err
}

// readLine reads one line from stdin, without spaces around it.
func (a *app) readLine() (string, error) {
	var b []byte
	var one [1]byte
	for len(b) <= maxLine {
		n, err := a.stdin.Read(one[:])
		if n == 1 && one[0] == '\n' || err == io.EOF {
			if !utf8.Valid(b) {
				return "", &failure{Code: "usage", Exit: node.ExitUsage, Message: "the line on stdin is not UTF-8 text", Hint: "write it again"}
			}
			return strings.TrimSpace(string(b)), nil
		}
		if err != nil {
			return "", fmt.Errorf("reading a line from stdin: %w", err)
		}
		b = append(b, one[:n]...)
	}
	return "", &failure{Code: "usage", Exit: node.ExitUsage, Message: "the line on stdin is too long", Hint: "one line of at most 16 KiB is read"}
}

func (a *app) voteReceiptCommand() *cobra.Command {
	c := &cobra.Command{Use: "receipt PROPOSAL", Short: "Show the receipt of one's own vote", Args: arguments(1, 1)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.VoteReceipt, error) {
		return n.In(a.opts.metastate).Receipt(ctx, args[0])
	}, showReceipt)
}

func (a *app) voteCheckCommand() *cobra.Command {
	c := &cobra.Command{Use: "check CODE", Short: "Say whether the vote of a receipt, or of a ballot's code, is held, and covered by a checkpoint", Args: arguments(1, 1)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.VoteReceipt, error) {
		return n.In(a.opts.metastate).CheckReceipt(ctx, args[0])
	}, showReceipt)
}

func showReceipt(p *page, r node.VoteReceipt) {
	if r.Unsent != "" {
		p.line("Another ballot of yours is prepared and NOT sent yet: %s", r.Unsent)
	}
	if r.Code != "" {
		p.fields("ballot code", r.Code)
	}
	pairs := []string{"receipt", r.Receipt, "held", "yes", "covered by a checkpoint", yesNo(r.Covered)}
	if r.Checkpoint != nil {
		p.fields(append(pairs, "checkpoint", fmt.Sprintf("%d, %s", r.Checkpoint.Height, r.Checkpoint.ID))...)
		return
	}
	p.fields(append(pairs, "clerks who signed that they hold it", strconv.Itoa(r.Clerks))...)
	if len(r.Receipts) > 0 {
		p.line("Should the vote be left out, what they signed shows people who held it: --json prints it.")
	}
}
