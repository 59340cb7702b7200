package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) inviteCommands() *cobra.Command {
	return group("invite", "Invite people to a metastate",
		a.inviteCreateCommand(), a.inviteListCommand(), a.inviteRevokeCommand())
}

func (a *app) inviteCreateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "create", Short: "Make an invite to hand over",
		Long: "Make an invite to hand over. Whoever has the link can use it: send it to nobody else.\n\nWith --public the link is for anyone, as often as they like, where the charter's admission is open.",
		Args: arguments(0, 0),
	}
	req := node.InviteRequest{}
	expires := duration(72 * time.Hour)
	var out string
	f := c.Flags()
	f.Uint64Var(&req.Uses, "uses", 1, "how many people can join with it")
	f.Var(&expires, "expires", "how long it can be used, such as 3d")
	f.BoolVar(&req.Public, "public", false, "make a link that anyone can join by, where the charter admits so")
	f.StringVar(&out, "out", "", "write the link to this file, too, for you alone")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if req.Public && (c.Flags().Changed("uses") || c.Flags().Changed("expires")) {
			return usage(c, "a public link has neither --uses nor --expires")
		}
		if req.Uses == 0 {
			return usage(c, "--uses needs a number over 0")
		}
		if expires <= 0 {
			return usage(c, "--expires needs a duration over 0, such as 3d")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (link node.InviteLink, err error) {
		req.Expires = time.Duration(expires)
		if out == "" {
			return n.In(a.opts.metastate).CreateInvite(ctx, req)
		}
		// The file comes first: an invite whose link nobody has would stay open.
		err = writeFile(out, func(f *os.File) error {
			if link, err = n.In(a.opts.metastate).CreateInvite(ctx, req); err != nil {
				return err
			}
			_, err := f.WriteString(link.Link + "\n")
			return err
		})
		return link, err
	}, func(p *page, v node.InviteLink) {
		p.line("%s", v.Link)
		if p.plain {
			return
		}
		p.line("")
		if v.Uses == 0 {
			p.line("next: show it to anyone; who wants to join runs: metastate join LINK")
			return
		}
		p.fields("can be used", fmt.Sprintf("%d times, until %s", v.Uses, when(&v.Expires)), "id", v.Invite.String())
		p.line("")
		p.line("next: hand it over; the other side runs: metastate join LINK") // with a folder of its own
	})
}

func (a *app) inviteListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the invites on the roll", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (httpapi.InviteList, error) {
		return n.In(a.opts.metastate).Invites(ctx)
	}, func(p *page, v httpapi.InviteList) {
		var rows [][]string
		for _, e := range v.Invites {
			rows = append(rows, []string{
				strconv.FormatUint(e.Used, 10) + "/" + strconv.FormatUint(e.Uses, 10),
				when(&e.Expires), yesNo(e.Revoked), e.By.String(), e.Invite.String(),
			})
		}
		p.table("There are no invites. Make one with metastate invite create.",
			[]string{"USED", "UNTIL", "REVOKED", "BY", "ID"}, rows)
	})
}

func (a *app) inviteRevokeCommand() *cobra.Command {
	c := &cobra.Command{Use: "revoke INVITE", Short: "Revoke an invite, so that nobody can use it any more", Args: arguments(1, 1)}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).RevokeInvite(ctx, args[0])
	}, showRecord("The invite is revoked."))
}
