package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/charter"
)

// foundingFlags are what a metastate is founded with.
type foundingFlags struct {
	node.FoundRequest
	file string // of a charter
}

// founding gives a command the flags and the checks of founding a metastate.
func founding(c *cobra.Command, template string) *foundingFlags {
	req := new(foundingFlags)
	f := c.Flags()
	f.StringVar(&req.Template, "template", "", template)
	f.StringVar(&req.file, "charter", "", "file of a charter of your own, in YAML")
	f.StringVar(&req.As, "as", founderName, "what you are called there")
	presenceFlag(c, &req.Presence)
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if strings.TrimSpace(args[0]) == "" {
			return usage(c, "the name is empty: %s", c.UseLine())
		}
		if err := oneOf(c, "template", "charter"); err != nil {
			return err
		}
		if err := checkAs(c, req.As); err != nil {
			return err
		}
		if req.Template != "" {
			if _, err := builtIn(req.Template); err != nil {
				return err
			}
		}
		return nil
	}
	return req
}

// read takes in the name and the charter's file, and returns the request.
func (f *foundingFlags) read(name string) (req node.FoundRequest, err error) {
	f.Name = name
	if f.file != "" {
		f.Charter, _, err = readCharter(f.file)
	}
	return f.FoundRequest, err
}

func (a *app) foundCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "found NAME", Short: "Found a metastate",
		Long: "Found a metastate, with the charter of a template or one of your own:\n" +
			"metastate charter templates union prints one to begin from.",
		Args: arguments(1, 1),
	}
	req := founding(c, "charter to begin with: metastate charter templates lists them (default union)")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Membership, error) {
		req, err := req.read(args[0])
		if err != nil {
			return node.Membership{}, err
		}
		m, err := unlocking(a, func(pass []byte) (node.Membership, error) {
			req.Passphrase = pass
			return n.Found(ctx, req)
		})
		a.nameWhich(ctx, n, m)
		return m, err
	}, func(p *page, m node.Membership) {
		p.line("%s is founded, and you are its first member, called %s.", req.Name, req.As)
		if !c.Flags().Changed("as") && !p.plain {
			p.line("Found with --as NAME to be called otherwise.")
		}
		linked(p, req.Presence)
		p.fields("metastate", m.Metastate.String(), "you are", m.Persona.String())
		p.next("metastate invite create")
	})
}

// presenceFlag gives a command the choice of a shared presence.
func presenceFlag(c *cobra.Command, name *string) {
	c.Flags().StringVar(name, "presence", "", "share the presence of this name on the network with other metastates of this node: it takes less of the machine, and links them, as members of one can find out that the same node takes part in the others (default: a presence of its own)")
}

// linked says what a shared presence means.
func linked(p *page, presence string) {
	if presence != "" && !p.plain {
		p.line("It shares the presence %q: members of one metastate on it can find out that your node takes part in the others, and which of them are the same.", presence)
	}
}

// founderName is what a founder is called who does not say. Nothing is taken
// from the system: an account's name could say who somebody is.
const founderName = "Founder"

// checkAs checks what somebody wants to be called.
func checkAs(c *cobra.Command, name string) error {
	if c.Flags().Changed("as") && name == "" {
		return usage(c, "--as is empty: say what you are called there, or leave it out")
	}
	if err := identity.ValidName(name); err != nil {
		return usage(c, "--as cannot be used: %s", err)
	}
	return nil
}

// nameWhich lets what comes next name the metastate that was entered, where the
// node has others: without, the command would be refused.
func (a *app) nameWhich(ctx context.Context, n *httpapi.Client, m node.Membership) {
	if m.Metastate.IsZero() {
		return
	}
	list, err := n.Status(ctx, "")
	if err == nil && len(list.Metastates) > 1 {
		a.opts.metastate = m.Metastate.String()
	}
}

// maxLink bounds a file that holds an invite.
const maxLink = 64 << 10

func (a *app) joinCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "join LINK|FILE", Short: "Join a metastate with an invite",
		Long: "Join a metastate with an invite: its link, the file that holds it, or - to read it\n" +
			"from stdin. Of an invite under a PIN it asks for that. Joining goes on in the node;\n" +
			"with --wait this command waits until you are a member for good.",
		Args: arguments(1, 1),
	}
	req := node.JoinRequest{}
	pinFile := ""
	c.Flags().StringVar(&req.As, "as", "", "what you are called there")
	presenceFlag(c, &req.Presence)
	c.Flags().StringVar(&pinFile, "pin-file", "", "file that holds the invite's PIN, if it has one")
	c.PreRunE = func(c *cobra.Command, _ []string) error { return checkAs(c, req.As) }
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (m node.Membership, err error) {
		if req.Link, err = a.invite(args[0], pinFile); err != nil {
			return m, err
		}
		m, err = unlocking(a, func(pass []byte) (node.Membership, error) {
			req.Passphrase = pass
			return n.Join(ctx, req)
		})
		if err != nil {
			return m, err
		}
		a.nameWhich(ctx, n, m)
		if !a.opts.waitGiven {
			return m, nil
		}
		return a.awaitMember(ctx, n, m)
	}, func(p *page, m node.Membership) {
		linked(p, req.Presence)
		showJoined(p, m)
	})
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
		case strings.HasPrefix(strings.ToLower(arg), "metastate:") || strings.Contains(arg, "://"):
			return arg, nil
		case errors.Is(err, os.ErrNotExist):
			return "", &failure{
				Code: "file-not-found", Exit: node.ExitNotFound,
				Message: fmt.Sprintf("%q is no invite link, and there is no such file", arg), Hint: "give the whole link, or check the path",
			}
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
	var last node.Status
	end, err := await(ctx, wait, cond, func(ctx context.Context) (joining, error) {
		list, err := n.Status(ctx, m.Metastate.String())
		if err != nil {
			return joining{}, err
		}
		final := false
		for _, s := range list.Metastates {
			m.Standing, last = s.Standing, s
			final = s.Standing == "member" // a status tells of what is final only
		}
		return joining{Membership: m, Final: final}, nil
	})
	if f, ok := errors.AsType[*failure](err); ok && f.Code == "timed-out" {
		f.Message = fmt.Sprintf("after %v you are not a member for good yet: your standing is %q, and joining goes on in the node", wait, m.Standing)
		f.Hint = "metastate status --metastate " + m.Metastate.String() + " says how far it got"
		if last.Trouble != "" {
			f.Message += ": " + last.Trouble
		}
		if last.Remedy != "" {
			f.Hint = last.Remedy
		}
	}
	return end.Membership, err
}

func (a *app) leaveCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "leave", Short: "Leave a metastate for good",
		Long: "Leave a metastate for good, with --to for a fork of it that you have joined. While you\nare still joining, that is given up. On a terminal it asks first, unless --yes is given.",
		Args: arguments(0, 0),
	}
	req := node.LeaveRequest{}
	c.Flags().StringVar(&req.To, "to", "", "fork to take standing and share to: its id or name on this node")
	c.Flags().Uint64Var(&req.Height, "height", 0, "of the checkpoint that the fork was founded from, while you are not admitted there")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("to") && req.To == "" || req.Height != 0 && req.To == "" {
			return usage(c, "--to is empty: name the fork")
		}
		return nil
	}
	sole := false
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (departure, error) {
		sole = a.onlyClerk(ctx, n)
		return a.leaveTo(ctx, n, req, sole)
	}, func(p *page, d departure) {
		if d.GivenUp {
			p.line("You are not joining any more: your persona there, its keys and what was stored are gone from this node.")
			return
		}
		showRecord("You have left.")(p, d.RecordRef)
		if sole {
			p.next("keep this node running: you were the only clerk, and it signs checkpoints until the others have appointed one")
		}
	})
}

// onlyClerk reports whether this persona alone holds the office of clerk, as far
// as the node can tell.
func (a *app) onlyClerk(ctx context.Context, n *httpapi.Client) bool {
	offices, err := n.In(a.opts.metastate).Offices(ctx)
	if err != nil {
		return false
	}
	status, err := n.Status(ctx, a.opts.metastate)
	if err != nil || len(status.Metastates) != 1 {
		return false
	}
	return slices.ContainsFunc(offices.Offices, func(o httpapi.Office) bool {
		return o.Office == charter.OfficeClerk && len(o.Holders) == 1 && o.Holders[0].Persona == status.Metastates[0].Persona
	})
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
		p.fields("record", r.Record.String(), "taken over by", node.Counted(r.Sent, "peer"))
	}
}
