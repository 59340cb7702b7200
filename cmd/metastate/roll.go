package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) rollCommands() *cobra.Command {
	return group("roll", "See who belongs, and act on it",
		a.rollListCommand(), a.rollShowCommand(), a.rollWhyCommand(),
		a.rollAdmitCommand(), a.rollSuspendCommand(), a.rollExpelCommand(), a.rollEndorseCommand(), a.rollMotionsCommand(),
		a.rollProveCommand(), a.rollVerifyCommand())
}

func (a *app) rollListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the members",
		Long: "List the members, final ones only; --provisional lists the rest too.",
		Args: arguments(0, 0),
	}
	var height uint64
	provisional := false
	c.Flags().Uint64Var(&height, "as-of", 0, "height of the checkpoint to list them as of (default the newest)")
	c.Flags().BoolVar(&provisional, "provisional", false, "list those whose standing is not final, too")
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.RollList, error) {
		var asOf *uint64
		if c.Flags().Changed("as-of") {
			asOf = &height
		}
		return n.In(a.opts.metastate).Roll(ctx, asOf, provisional)
	}, func(p *page, v node.RollList) {
		var rows [][]string
		for _, m := range v.Members {
			rows = append(rows, []string{
				orDash(m.Name), m.Standing, yesNo(m.Final), orDash(strings.Join(m.Offices, ",")), when(m.Since), m.Persona.String(),
			})
		}
		p.table("Nobody is on the roll.", []string{"NAME", "STANDING", "FINAL", "OFFICES", "SINCE", "PERSONA"}, rows)
		if !p.plain {
			p.line("")
			p.line("As of checkpoint %d, %s.", v.Checkpoint.Height, v.Checkpoint.ID)
		}
	})
}

func (a *app) rollShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show PERSONA", Short: "Show one persona on the roll", Args: arguments(1, 1)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RollEntry, error) {
		return n.In(a.opts.metastate).RollMember(ctx, args[0])
	}, func(p *page, m node.RollEntry) {
		p.fields(
			"name", orDash(m.Name), "persona", m.Persona.String(), "standing", m.Standing, "final", yesNo(m.Final),
			"offices", orDash(strings.Join(m.Offices, ", ")), "since", when(m.Since),
		)
		p.next("metastate roll why %s", m.Persona)
	})
}

func (a *app) rollWhyCommand() *cobra.Command {
	c := &cobra.Command{Use: "why PERSONA", Short: "Say which rules and records make a persona's standing", Args: arguments(1, 1)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Why, error) {
		return n.In(a.opts.metastate).RollWhy(ctx, args[0])
	}, showWhy)
}

func (a *app) rollAdmitCommand() *cobra.Command {
	c := &cobra.Command{Use: "admit PERSONA", Short: "Approve that an applicant becomes a member", Args: arguments(1, 1)}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Admit(ctx, args[0])
	}, showRecord("You have approved the admission."))
}

func showWhy(p *page, w node.Why) {
	p.line("%s", w.Verdict)
	for _, b := range w.Because {
		p.line("  %s", b.Text)
		where := fmt.Sprintf("rule %s", b.Rule)
		if !b.Record.IsZero() {
			where += fmt.Sprintf(", record %s", b.Record)
		}
		p.line("    (%s)", where)
	}
}
