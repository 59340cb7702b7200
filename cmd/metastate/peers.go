package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) peersCommands() *cobra.Command {
	return group("peers", "See the nodes of other members", a.peersListCommand())
}

func (a *app) peersListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the nodes of other members", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (httpapi.PeerList, error) {
		return n.In(a.opts.metastate).Peers(ctx)
	}, func(p *page, v httpapi.PeerList) {
		var rows [][]string
		for _, peer := range v.Peers {
			rows = append(rows, []string{yesNo(peer.Connected), yesNo(peer.Direct), when(peer.LastSync), orDash(peer.Address), peer.ID, orDash(whose(peer))})
		}
		p.table("No other node is known yet. They are found through members' invites.",
			[]string{"CONNECTED", "DIRECT", "LAST SYNC", "ADDRESS", "ID", "MEMBER"}, rows)
	})
}

// whose is the name of the member whose computer a peer is, or the persona of one
// without a name.
func whose(p node.Peer) string {
	switch {
	case p.Member == nil:
		return ""
	case p.Member.Name == "":
		return p.Member.Persona.String()
	}
	return p.Member.Name
}
