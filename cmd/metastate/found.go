package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) foundCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "found NAME", Short: "Found a metastate",
		Long: "Found a metastate, with the charter of a template or one of your own:\n" +
			"metastate charter templates union prints one to begin from.",
		Args: arguments(1, 1),
	}
	req := node.FoundRequest{}
	var file string
	f := c.Flags()
	f.StringVar(&req.Template, "template", "", "charter to begin with: metastate charter templates lists them (default union)")
	f.StringVar(&file, "charter", "", "file of a charter of your own, in YAML")
	f.StringVar(&req.As, "as", "", "what you are called there")
	c.PreRunE = func(c *cobra.Command, _ []string) error { return oneOf(c, "template", "charter") }
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Membership, error) {
		req.Name = args[0]
		if file != "" {
			text, _, err := readCharter(file)
			if err != nil {
				return node.Membership{}, err
			}
			req.Charter = text
		}
		return unlocking(a, func(pass []byte) (node.Membership, error) {
			req.Passphrase = pass
			return n.Found(ctx, req)
		})
	}, func(p *page, m node.Membership) {
		p.line("%s is founded, and you are its first member.", req.Name)
		p.fields("metastate", m.Metastate.String(), "you are", m.Persona.String())
		p.next("metastate invite create")
	})
}

// maxLink bounds a file that holds an invite.
const maxLink = 64 << 10

func (a *app) joinCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "join LINK|FILE", Short: "Join a metastate with an invite",
		Long: "Join a metastate with an invite: its link, the file that holds it, or - to read it\n" +
			"from stdin. Joining goes on in the node; with --wait this command waits until you\n" +
			"are a member for good.",
		Args: arguments(1, 1),
	}
	req := node.JoinRequest{}
	c.Flags().StringVar(&req.As, "as", "", "what you are called there")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (m node.Membership, err error) {
		if req.Link, err = a.readLink(args[0]); err != nil {
			return m, err
		}
		m, err = unlocking(a, func(pass []byte) (node.Membership, error) {
			req.Passphrase = pass
			return n.Join(ctx, req)
		})
		if err != nil || !a.opts.waitGiven {
			return m, err
		}
		return a.awaitMember(ctx, n, m)
	}, showJoined)
}

func showJoined(p *page, m node.Membership) {
	if m.Standing == "member" {
		p.line("You are a member.")
	} else {
		p.line("The invite is saved, and joining goes on in the node.")
	}
	p.fields("metastate", m.Metastate.String(), "you are", m.Persona.String(), "standing", m.Standing)
	if m.Standing != "member" {
		p.next("metastate status --until metastates.standing=member --wait 10m")
	}
}

// readLink returns the link that an argument is, or that its file holds.
func (a *app) readLink(arg string) (string, error) {
	var in io.Reader = a.stdin
	if arg != "-" {
		f, err := openFile(arg)
		switch {
		case err == nil:
			defer f.Close()
			in = f
		case strings.HasPrefix(arg, "metastate:") || strings.Contains(arg, "://"):
			return arg, nil
		default:
			return "", err
		}
	}
	b, err := io.ReadAll(io.LimitReader(in, maxLink+1))
	if err != nil {
		return "", fmt.Errorf("reading the invite: %w", err)
	}
	link := strings.TrimSpace(string(b))
	if link == "" || len(b) > maxLink {
		return "", &failure{
			Code: "bad-invite", Exit: node.ExitUsage,
			Message: fmt.Sprintf("%s holds no invite: it is empty or too long", arg),
			Hint:    "ask for the invite again",
		}
	}
	return link, nil
}

// joining is where joining stands. It ends at final membership.
type joining struct {
	node.Membership
	Final bool `json:"final"`
}

// awaitMember waits for the end of joining.
func (a *app) awaitMember(ctx context.Context, n *httpapi.Client, m node.Membership) (node.Membership, error) {
	wait := time.Duration(a.opts.wait)
	cond := condition{text: "final", path: []string{"final"}}
	end, err := await(ctx, wait, cond, func(ctx context.Context) (joining, error) {
		list, err := n.Status(ctx, m.Metastate.String())
		if err != nil {
			return joining{}, err
		}
		final := false
		for _, s := range list.Metastates {
			m.Standing = s.Standing
			final = s.Standing == "member" // a status tells of what is final only
		}
		return joining{Membership: m, Final: final}, nil
	})
	if f, ok := errors.AsType[*failure](err); ok && f.Code == "timed-out" {
		f.Message = fmt.Sprintf("after %v you are not a member for good yet: your standing is %q, and joining goes on in the node", wait, m.Standing)
		f.Hint = "metastate status --metastate " + m.Metastate.String() + " says how far it got"
	}
	return end.Membership, err
}

func (a *app) leaveCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "leave", Short: "Leave a metastate for good",
		Long: "Leave a metastate for good. On a terminal it asks first, unless --yes is given.",
		Args: arguments(0, 0),
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.RecordRef, error) {
		if err := a.confirm("Leave for good? Coming back takes a new invite."); err != nil {
			return node.RecordRef{}, err
		}
		return n.In(a.opts.metastate).Leave(ctx)
	}, showRecord("You have left."))
}

// confirm asks before what cannot be undone, where there is somebody to ask.
func (a *app) confirm(question string) error {
	if a.opts.yes || !a.onTerminal() {
		return nil
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	line, err := a.readLine()
	if err != nil {
		return err
	}
	if line = strings.ToLower(line); line == "y" || line == "yes" {
		return nil
	}
	return &failure{Code: "not-confirmed", Exit: node.ExitFailed, Message: "nothing was done", Hint: "answer y, or give --yes"}
}

// showRecord says what was done, and the record that it made.
func showRecord(done string) func(*page, node.RecordRef) {
	return func(p *page, r node.RecordRef) {
		p.line("%s", done)
		p.fields("record", r.Record.String(), "taken over by", fmt.Sprintf("%d peers", r.Sent))
	}
}
