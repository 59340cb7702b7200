package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Say how each metastate stands on this node",
		Args: arguments(0, 0),
	}
	ask := func(ctx context.Context, n *httpapi.Client, _ []string) (httpapi.StatusList, error) {
		return a.statusIn(ctx, n, a.opts.metastate)
	}
	c = query(a, c, ask, showStatus)
	watch := false
	c.Flags().BoolVar(&watch, "watch", false, "print it again whenever it changes, until interrupted")
	once := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case !watch:
			return once(c, args)
		case a.opts.until != "":
			return usage(c, "--watch never ends, and --until waits for an end: give one of them")
		}
		return a.watchStatus(c.Context(), ask)
	}
	return c
}

// statusIn is how the metastate of a ref stands, or all of them, with remedies of
// which the commands work as they stand.
func (a *app) statusIn(ctx context.Context, n *httpapi.Client, ref string) (httpapi.StatusList, error) {
	v, err := n.Status(ctx, ref)
	for i, s := range v.Metastates {
		in := ref
		if namesakes := func(o node.Status) bool { return o.Name == s.Name && o.ID != s.ID }; len(v.Metastates) > 1 {
			in = s.Name
			if slices.ContainsFunc(v.Metastates, namesakes) || clean(in) != in {
				in = s.ID.String()
			}
		}
		v.Metastates[i].Remedy = a.typedIn(s.Remedy, in)
	}
	return v, err
}

// watchStatus prints the status, with --json one object a line, whenever it
// changes.
func (a *app) watchStatus(ctx context.Context, ask func(context.Context, *httpapi.Client, []string) (httpapi.StatusList, error)) error {
	n, err := a.node(ctx)
	if err != nil {
		return err
	}
	defer n.Close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := ""; ; {
		v, err := ask(ctx, n, nil)
		if err != nil {
			return err
		}
		if now := fmt.Sprintf("%+v", v); now != last {
			last = now
			if err := emit(a, v, showStatus); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *app) listCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the metastates of this node",
		Long: "List the metastates of this node: all of them, whatever --metastate says.",
		Args: arguments(0, 0),
	}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (httpapi.StatusList, error) {
		return a.statusIn(ctx, n, "")
	}, func(p *page, v httpapi.StatusList) {
		var rows [][]string
		for _, s := range v.Metastates {
			rows = append(rows, []string{s.Name, s.Standing, strconv.Itoa(s.Peers), s.ID.String(), orDash(s.Presence)})
		}
		p.table(noMetastates, []string{"NAME", "STANDING", "PEERS", "ID", "PRESENCE"}, rows)
	})
}

const noMetastates = "This node has no metastate yet. Found one with metastate found NAME, or join one with metastate join LINK."

func showStatus(p *page, v httpapi.StatusList) {
	if len(v.Metastates) == 0 {
		p.say(noMetastates)
	}
	for i, s := range v.Metastates {
		if i > 0 {
			p.line("")
		}
		pairs := []string{
			"metastate", s.Name,
			"id", s.ID.String(),
			"you are", s.Persona.String(),
			"standing", s.Standing,
			"peers", strconv.Itoa(s.Peers),
		}
		if s.Presence != "" {
			pairs = append(pairs, "presence", s.Presence+", shared")
		}
		if !s.Checkpoint.ID.IsZero() { // none is held while joining
			pairs = append(pairs,
				"checkpoint", fmt.Sprintf("%d, %s", s.Checkpoint.Height, s.Checkpoint.ID),
				"not yet final", node.Counted(s.Provisional, "record"),
				"clerks", fmt.Sprintf("%d, of whom %d must sign and %d may be dishonest", s.Clerks.Count, s.Clerks.Quorum, s.Clerks.Faulty))
		}
		if s.History.From > 1 {
			pairs = append(pairs, "history", fmt.Sprintf("from checkpoint %d on", s.History.From))
		}
		if s.Step != "" && s.Step != "member" {
			pairs = append(pairs, "joining", s.Step)
		}
		if s.Trouble != "" {
			pairs = append(pairs, "trouble", s.Trouble)
		}
		if s.Remedy != "" {
			pairs = append(pairs, "what to do", s.Remedy)
		}
		for _, u := range s.Unsent {
			pairs = append(pairs, "NOT sent yet", fmt.Sprintf("your ballot in %q, prepared with the code %s", u.Title, u.Code))
		}
		for _, m := range s.Losing {
			pairs = append(pairs, "losing", fmt.Sprintf("%s lost %d of %d open votes in a year", m.Name, m.Lost, m.Votes))
		}
		for _, r := range s.Lapsed {
			what := "it was signed anew: " + r.Again.String()
			if r.Again.IsZero() {
				what = "it was not signed anew: " + r.Why
			}
			pairs = append(pairs, "lapsed", fmt.Sprintf("your %s of before %s could not become final; %s", r.Kind, r.At.Format(time.DateOnly), what))
		}
		p.fields(pairs...)
	}
}
