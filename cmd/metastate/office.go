package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) officeCommands() *cobra.Command {
	return group("office", "See and fill the offices of the charter", a.officeListCommand(), a.officeAppointCommand())
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
			rows = append(rows, []string{o.Office, strconv.FormatUint(o.Seats, 10), o.Term, orDash(strings.Join(held, ", "))})
		}
		p.table("The charter has no offices.", []string{"OFFICE", "SEATS", "TERM", "HELD BY"}, rows)
	})
}

func (a *app) officeAppointCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "appoint OFFICE PERSONA…", Short: "Give personas an office",
		Long: "Give personas an office. The founder can while sole clerk; later a ballot decides.",
		Args: arguments(2, -1),
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Appoint(ctx, args[0], args[1:])
	}, showRecord("The office is given."))
}
