package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) officeCommands() *cobra.Command {
	return group("office", "See and fill the offices of the charter",
		a.officeListCommand(), a.officeAppointCommand(), a.officeRecallCommand(), a.officeResignCommand(), a.officeEndorseCommand())
}

func (a *app) officeListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the offices and who holds them", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (httpapi.OfficeList, error) {
		return n.In(a.opts.metastate).Offices(ctx)
	}, func(p *page, v httpapi.OfficeList) {
		var rows [][]string
		for _, o := range v.Offices {
			var held []string
			for _, h := range o.Holders {
				held = append(held, h.Name)
			}
			rows = append(rows, []string{o.Office, strconv.FormatUint(o.Seats, 10), inOffice(o.Term), orDash(strings.Join(held, ", "))})
		}
		p.table("The charter has no offices.", []string{"OFFICE", "SEATS", "TERM", "HELD BY"}, rows)
	})
}

// inOffice says how long an office is held, given as Go writes durations.
func inOffice(s string) string {
	switch d, err := time.ParseDuration(s); {
	case err != nil:
		return s
	case d == 0:
		return "until recalled"
	default:
		return node.InDays(d)
	}
}

func (a *app) officeAppointCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "appoint OFFICE PERSONA…", Short: "Give personas an office",
		Long: "Give personas an office: at once by the founder while sole clerk; later by an election (propose open --elect), or once more than half of the members have endorsed it.",
		Args: arguments(2, -1),
	}
	return a.motion(c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Appoint(ctx, args[0], args[1:])
	}, "They have the office, once this is final.")
}

func (a *app) officeRecallCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "recall OFFICE", Short: "Ask that some lose an office, and others get it",
		Long:    "Ask that some lose an office, and others get it. It takes effect once more than half of the members have endorsed it. Clerks who don't cover a recall of clerks within 10 minutes are overruled: those whom it names go on.",
		Example: "  metastate office recall clerk --out Anna --in Boris,Cveta --reason \"refuses to cover ballots\"",
		Args:    arguments(1, 1),
	}
	var out, in []string
	c.Flags().StringSliceVar(&out, "out", nil, "personas who lose it, with commas between")
	c.Flags().StringSliceVar(&in, "in", nil, "personas who get it, with commas between")
	reason := a.reason(c)
	return a.motion(c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Recall(ctx, args[0], *reason, out, in)
	}, "They are recalled, once this is final.")
}

func (a *app) officeResignCommand() *cobra.Command {
	c := &cobra.Command{Use: "resign OFFICE", Short: "Give up an office", Args: arguments(1, 1)}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Resign(ctx, args[0])
	}, showRecord("You have given up the office."))
}

func (a *app) officeEndorseCommand() *cobra.Command {
	c := &cobra.Command{Use: "endorse RECORD", Short: "Endorse an appointment or a recall", Args: arguments(1, 1)}
	told := ""
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.RecordRef, err error) {
		if r, err = n.In(a.opts.metastate).EndorseAct(ctx, args[0]); err != nil {
			return r, err
		}
		told = "You have endorsed it, and enough have: it takes effect once a checkpoint covers it."
		if m := a.waiting(ctx, n, args[0]); m != nil {
			told = "You have endorsed it: " + endorsed(*m) + "."
		}
		return r, nil
	}, func(p *page, r node.RecordRef) { showRecord(told)(p, r) })
}
