package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) syncCommands() *cobra.Command {
	return group("sync", "Exchange records with other nodes", a.syncNowCommand(), a.syncStatusCommand())
}

func (a *app) syncNowCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "now", Short: "Pull from every connected peer once",
		Long: "Pull from every connected peer once, for at most as long as --wait says.\n" +
			"With --until it does so again until the answer is as wanted.",
		Args: arguments(0, 0),
	}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.SyncReport, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(a.opts.wait))
		defer cancel()
		return n.In(a.opts.metastate).Sync(ctx)
	}, func(p *page, r node.SyncReport) {
		p.fields("peers", strconv.Itoa(r.Peers), "received", strconv.Itoa(r.Received), "sent", strconv.Itoa(r.Sent))
		if r.Peers == 0 {
			p.next("nobody is connected: metastate peers list")
		}
	})
}

func (a *app) syncStatusCommand() *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "Say how far this node is in step with others", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (httpapi.SyncStatus, error) {
		return n.In(a.opts.metastate).SyncStatus(ctx)
	}, func(p *page, s httpapi.SyncStatus) {
		p.fields(
			"peers", fmt.Sprintf("%d known, %d connected", s.Peers, s.Connected),
			"last sync", when(s.LastSync),
			"not yet final", fmt.Sprintf("%d records", s.Provisional),
			"checkpoint", fmt.Sprintf("%d, %s", s.Checkpoint.Height, orDash(s.Checkpoint.ID.String())),
		)
	})
}
