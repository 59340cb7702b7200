package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) guardiansCommands() *cobra.Command {
	return group("guardians", "Choose who can recover your persona", a.guardiansSetCommand(), a.guardiansShowCommand())
}

func (a *app) guardiansSetCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "set PERSONA…", Short: "Choose guardians, in place of those you have",
		Long: "Choose guardians, in place of those you have. If you lose your keys, enough of them together can give your persona\n" +
			"another key, after a delay in which you can veto it. Nobody learns who they are until they act. Each gets a code\n" +
			"from you, which they keep. Your persona moves on to its next key, as with metastate rotate.",
		Example: "  metastate guardians set Anna Boris Cveta --threshold 2",
		Args:    arguments(1, identity.MaxGuardians),
	}
	choice := node.GuardChoice{}
	delay := duration(identity.DefaultGuardianDelay * time.Second)
	c.Flags().IntVar(&choice.Threshold, "threshold", 0, "how many of them are needed (default more than half)")
	c.Flags().Var(&delay, "delay", "how long you can veto, 3d to 90d")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Rotation, error) {
		choice.Personas, choice.Delay = args, time.Duration(delay)
		if !c.Flags().Changed("threshold") {
			choice.Threshold = len(args)/2 + 1
		}
		return a.rotate(ctx, n, &choice)
	}, func(p *page, r node.Rotation) {
		if !p.plain {
			p.line("Your guardians are chosen, once this is final. Give each of them their code, and nobody else's:")
			p.line("")
		}
		var rows [][]string
		for _, g := range r.Codes {
			rows = append(rows, []string{orDash(g.Name), g.Code})
		}
		p.table("", []string{"GUARDIAN", "CODE"}, rows)
	})
}

// rotate asks the node to rotate the persona's key, with the vault's passphrase.
func (a *app) rotate(ctx context.Context, n *httpapi.Client, guard *node.GuardChoice) (node.Rotation, error) {
	return unlocking(a, func(pass []byte) (node.Rotation, error) {
		return n.Rotate(ctx, node.RotateRequest{Metastate: a.opts.metastate, Guard: guard, Passphrase: pass})
	})
}

func (a *app) guardiansShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show", Short: "Say how many guardians you have, and how many are needed", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.GuardianSet, error) {
		return n.In(a.opts.metastate).Guardians(ctx)
	}, func(p *page, g node.GuardianSet) {
		if g.Guardians == 0 {
			p.say("You have no guardians. Choose some with metastate guardians set PERSONA…")
			return
		}
		p.fields("guardians", strconv.Itoa(g.Guardians), "needed", strconv.Itoa(g.Threshold), "delay", inOffice(g.Delay))
	})
}

func (a *app) rotateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "rotate", Short: "Move your persona on to its next key",
		Long: "Move your persona on to its next key, which it committed to: after a theft of the vault's keys in use, or to veto a\n" +
			"recovery that you do not want. Do it on one device only: two rotations at once freeze the persona.",
		Args: arguments(0, 0),
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.RecordRef, error) {
		r, err := a.rotate(ctx, n, nil)
		return r.RecordRef, err
	}, showRecord("Your persona has its next key, once this is final."))
}

func (a *app) recoverCommands() *cobra.Command {
	return group("recover", "Give a persona whose keys are lost another key",
		a.recoverRequestCommand(), a.recoverSupportCommand(), a.recoverWithdrawCommand(), a.recoverListCommand())
}

func (a *app) recoverRequestCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "request LINK|FILE", Short: "Ask your guardians for your persona, on a new node",
		Long: "Ask your guardians for your persona, on a new node with a vault of its own. The link is of any invite to the\n" +
			"metastate, which is not used up: it says where members can be asked. Hand what this prints to your guardians, in\n" +
			"a way by which they know that it is you. The node takes the persona up once they have given it the new key.",
		Args: arguments(1, 1),
	}
	ask := node.RecoveryAsk{}
	pinFile := ""
	c.Flags().StringVar(&pinFile, "pin-file", "", "file that holds the invite's PIN, if it has one")
	c.Flags().StringVar(&ask.Persona, "persona", "", "your persona's whole id, which any member can tell you")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if ask.Persona == "" {
			return usage(c, "--persona is needed: your persona's whole id, which any member can tell you")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.RecoveryRequest, err error) {
		if ask.Link, err = a.invite(args[0], pinFile); err != nil {
			return r, err
		}
		return unlocking(a, func(pass []byte) (node.RecoveryRequest, error) {
			ask.Passphrase = pass
			return n.RequestRecovery(ctx, ask)
		})
	}, func(p *page, r node.RecoveryRequest) {
		p.line("%s", r.Request)
		if p.plain {
			return
		}
		p.line("")
		p.fields("metastate", r.Metastate.String(), "persona", r.Persona.String())
		p.line("")
		p.line("next: hand it to your guardians; each runs: metastate recover support REQUEST CODE")
	})
}

func (a *app) recoverSupportCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "support REQUEST CODE", Short: "Say as a guardian that a persona shall have the key of a request",
		Long: "Say as a guardian that a persona shall have the key of a request. Be sure that it is the person who asks: speak with\n" +
			"them, and let them read the request's last letters to you. The code is the one that you were given as a guardian.",
		Args: arguments(2, 2),
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Support(ctx, args[0], args[1])
	}, showRecord("You support it. How far it is: metastate recover list"))
}

func (a *app) recoverWithdrawCommand() *cobra.Command {
	c := &cobra.Command{Use: "withdraw CODE", Short: "Take back what you said as a guardian", Args: arguments(1, 1)}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Withdraw(ctx, args[0])
	}, showRecord("You have taken it back."))
}

func (a *app) recoverListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List what guardians want", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.RecoveryList, error) {
		return n.In(a.opts.metastate).Recoveries(ctx)
	}, func(p *page, v node.RecoveryList) {
		var rows [][]string
		for _, r := range v.Recoveries {
			keys := map[string]bool{}
			for _, w := range r.Words {
				keys[w.Key] = true
			}
			words := fmt.Sprintf("%d of %d", len(r.Words), r.Threshold)
			if len(keys) > 1 {
				words += fmt.Sprintf(", for %d keys", len(keys))
			}
			rows = append(rows, []string{orDash(r.Name), words, when(r.Due), yesNo(r.Final), orDash(strings.TrimSpace(r.Key)), r.Persona.String()})
		}
		p.table("No guardian has said anything.", []string{"NAME", "GUARDIANS", "NOT BEFORE", "FINAL", "KEY", "PERSONA"}, rows)
	})
}
