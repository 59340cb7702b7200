package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol"
)

func (a *app) rollSuspendCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "suspend PERSONA", Short: "Suspend a member for a while",
		Long: "Suspend a member for a while: at once if you hold an office and they do not outrank you, otherwise once enough members have endorsed it.",
		Args: arguments(1, 1),
	}
	reason := a.reason(c)
	return a.motion(c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Suspend(ctx, args[0], *reason)
	}, "They are suspended, once this is final.")
}

func (a *app) rollExpelCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "expel PERSONA", Short: "Ask that a member be expelled",
		Long: "Ask that a member be expelled. It takes effect once more than half of the members have endorsed it; of an officer also once more than half of the others in the same office have, at least three of them.",
		Args: arguments(1, 1),
	}
	reason := a.reason(c)
	return a.motion(c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Expel(ctx, args[0], *reason)
	}, "They are expelled, once this is final.")
}

func (a *app) rollEndorseCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "endorse PERSONA", Short: "Endorse what waits about a persona",
		Long: "Endorse what waits about a persona: their admission, or that they be suspended or expelled.",
		Args: arguments(1, 1),
	}
	c.Flags().String("reason", "", "not kept: the reason is in the act that you endorse")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.RecordRef, error) {
		return n.In(a.opts.metastate).Endorse(ctx, args[0])
	}, showRecord("You have endorsed it."))
}

// motion is a command that makes an act which may need endorsements: it says
// whether it waits for any, else what is done.
func (a *app) motion(c *cobra.Command, ask func(context.Context, *httpapi.Client, []string) (node.RecordRef, error), done string) *cobra.Command {
	var waits *node.Motion
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.RecordRef, err error) {
		if r, err = ask(ctx, n, args); err == nil {
			waits = a.waiting(ctx, n, r.Record.String())
		}
		return r, err
	}, func(p *page, r node.RecordRef) {
		if waits == nil {
			showRecord(done)(p, r)
			return
		}
		showRecord("It waits for endorsements: "+endorsed(*waits)+".")(p, r)
		switch {
		case waits.Persona != nil:
			p.next("others run: metastate roll endorse %s", waits.Persona)
		default:
			p.next("others run: metastate office endorse %s", r.Record)
		}
	})
}

// waiting is the act of a ref if it waits for endorsements. The act itself is
// done: what can't be asked is not told.
func (a *app) waiting(ctx context.Context, n *httpapi.Client, ref string) *node.Motion {
	list, err := n.In(a.opts.metastate).Motions(ctx)
	if err != nil {
		return nil
	}
	for _, m := range list.Motions {
		if strings.HasPrefix(m.Act.String(), ref) {
			return &m
		}
	}
	return nil
}

// endorsed says how far a motion is.
func endorsed(m node.Motion) string {
	have := fmt.Sprintf("%d of %d", m.Endorsed, m.Needs)
	if m.BodyNeeds > 0 {
		have += fmt.Sprintf(", or %d of %d in office", m.Body, m.BodyNeeds)
	}
	return have
}

// reason adds the flag that acts against somebody need.
func (a *app) reason(c *cobra.Command) *string {
	reason := c.Flags().String("reason", "", "why, for every member to read")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if strings.TrimSpace(*reason) == "" {
			return usage(c, "--reason is needed: why, for every member to read")
		}
		return nil
	}
	return reason
}

func (a *app) rollMotionsCommand() *cobra.Command {
	c := &cobra.Command{Use: "motions", Short: "List the acts that wait for endorsements", Args: arguments(0, 0)}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.MotionList, error) {
		return n.In(a.opts.metastate).Motions(ctx)
	}, func(p *page, v node.MotionList) {
		var rows [][]string
		for _, m := range v.Motions {
			about := concerns(m, v.Names)
			rows = append(rows, []string{m.Kind, about, endorsed(m), when(m.Expires), orDash(m.Reason), m.Act.String()})
		}
		p.table("Nothing waits for endorsements.", []string{"ACT", "ABOUT", "ENDORSED", "LAPSES", "REASON", "RECORD"}, rows)
	})
}

// concerns says whom a motion is about, by name where there is one.
func concerns(m node.Motion, names map[string]string) string {
	list := func(what string, ids []protocol.ID) string {
		if len(ids) == 0 {
			return ""
		}
		var text []string
		for _, id := range ids {
			text = append(text, id.String())
		}
		return what + strings.Join(called(text, names), ", ")
	}
	if m.Persona != nil {
		return list("", []protocol.ID{*m.Persona})
	}
	return m.Office + list(": out ", m.Out) + list(": in ", m.In)
}
