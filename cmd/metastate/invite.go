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
	"github.com/metastate-p2p/metastate/node/qr"
)

func (a *app) inviteCommands() *cobra.Command {
	return group("invite", "Invite people to a metastate",
		a.inviteCreateCommand(), a.inviteListCommand(), a.inviteRevokeCommand())
}

// invited is the answer of invite create: an invite to hand over, under a PIN if
// it has one.
type invited struct {
	node.InviteLink
	PIN string   `json:"pin,omitempty"`
	QR  []string `json:"qr,omitempty"` // lines of half blocks
}

// inviteForms are the flags that say in which forms an invite is given.
type inviteForms struct {
	out   string // file for the link
	pin   bool
	qr    bool
	qrOut string // file for the picture
}

func (a *app) inviteCreateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "create", Short: "Make an invite to hand over",
		Long: "Make an invite to hand over. Whoever has the link can use it: send it to nobody else.\n\n" +
			"With --pin it is of no use without a PIN, which you tell by another way. That only slows\n" +
			"down who finds the invite: PINs can be tried out. Keep --expires short, or revoke it.\n\n" +
			"With --public the link is for anyone, as often as they like, where the charter's admission is open.",
		Args: arguments(0, 0),
	}
	req := node.InviteRequest{}
	expires := duration(72 * time.Hour)
	var forms inviteForms
	f := c.Flags()
	f.Uint64Var(&req.Uses, "uses", 1, "how many people can join with it")
	f.Var(&expires, "expires", "how long it can be used, such as 3d")
	f.BoolVar(&req.Public, "public", false, "make a link that anyone can join by, where the charter admits so")
	f.BoolVar(&forms.pin, "pin", false, "put it under a PIN")
	f.StringVar(&forms.out, "out", "", "write the link to this file, too, for you alone")
	f.BoolVar(&forms.qr, "qr", false, "show it as a QR code, too")
	f.StringVar(&forms.qrOut, "qr-out", "", "write the QR code to this file as a PNG image, for you alone")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if req.Public && (c.Flags().Changed("uses") || c.Flags().Changed("expires") || forms.pin) {
			return usage(c, "a public link has neither --uses nor --expires nor --pin")
		}
		if req.Uses == 0 {
			return usage(c, "--uses needs a number over 0")
		}
		if expires <= 0 {
			return usage(c, "--expires needs a duration over 0, such as 3d")
		}
		return nil
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (v invited, err error) {
		req.Expires = time.Duration(expires)
		err = forms.write(&v, func() error {
			v.InviteLink, err = n.In(a.opts.metastate).CreateInvite(ctx, req)
			if err != nil || !forms.pin {
				return err
			}
			v.Link, v.PIN, err = node.LockLink(v.Link)
			return err
		})
		return v, err
	}, showInvite)
}

// write makes an invite in all the forms that are asked for. The files come
// first: an invite whose link nobody has would stay open.
func (f inviteForms) write(v *invited, invite func() error) error {
	all := func() error {
		err := invite()
		if err != nil || !f.qr {
			return err
		}
		code, err := inviteCode(v.Link, qr.Low)
		if err == nil {
			v.QR = code.Lines()
		}
		return err
	}
	if f.out != "" {
		all = filling(f.out, all, func(to *os.File) error {
			_, err := to.WriteString(v.Link + "\n")
			return err
		})
	}
	if f.qrOut != "" {
		all = filling(f.qrOut, all, func(to *os.File) error {
			code, err := inviteCode(v.Link, qr.Medium)
			if err != nil {
				return err
			}
			return code.PNG(to)
		})
	}
	return all()
}

// inviteCode is the QR code of an invite.
func inviteCode(link string, l qr.Level) (qr.Code, error) {
	text, err := node.ForQR(link)
	if err != nil {
		return qr.Code{}, err
	}
	return qrOf(text, l)
}

// filling does something while a file is there to be written, and then writes it.
func filling(path string, do func() error, write func(*os.File) error) func() error {
	return func() error {
		return writeFile(path, func(f *os.File) error {
			if err := do(); err != nil {
				return err
			}
			return write(f)
		})
	}
}

func showInvite(p *page, v invited) {
	p.line("%s", v.Link)
	p.picture(v.QR)
	if v.PIN != "" && p.plain {
		p.line("%s", v.PIN)
	}
	if p.plain {
		return
	}
	p.line("")
	if v.Uses == 0 {
		p.line("next: show it to anyone; who wants to join runs: metastate join LINK")
		return
	}
	times := "once"
	if v.Uses > 1 {
		times = fmt.Sprintf("%d times", v.Uses)
	}
	p.fields("can be used", times+", until "+when(&v.Expires), "id", v.Invite.String())
	if v.PIN != "" {
		p.fields("PIN", readable(v.PIN))
		p.line("Tell the PIN by another way than the invite. It only slows down who finds the invite.")
	}
	p.line("")
	p.line("next: hand it over; the other side runs: metastate join LINK") // with a folder of its own
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
				when(&e.Expires), e.State, e.By.String(), e.Invite.String(),
			})
		}
		p.table("There are no invites. Make one with metastate invite create.",
			[]string{"USED", "UNTIL", "STATE", "BY", "ID"}, rows)
	})
}

func (a *app) inviteRevokeCommand() *cobra.Command {
	c := &cobra.Command{Use: "revoke INVITE", Short: "Revoke an invite, so that nobody can use it any more", Args: arguments(1, 1)}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).RevokeInvite(ctx, args[0])
	}, showRecord("The invite is revoked."))
}
