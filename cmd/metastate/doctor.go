package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "doctor", Short: "Look at what the node needs, and say what to do about what is wrong",
		Long: "Look at what the node needs, and say what to do about what is wrong: its folder, vault and\n" +
			"disk, and, of a node that runs, whether it listens and can be reached, its peers, relays\n" +
			"and clock, and everything that it stores. Where no node runs it looks at the folder alone,\n" +
			"and with --passphrase-file at what is stored, too.",
		Args: arguments(0, 0),
	}
	return local(a, c, func(ctx context.Context, _ []string) (node.Checkup, error) {
		if a.opts.waitGiven {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(a.opts.wait))
			defer cancel()
		}
		out, err := a.checkup(ctx)
		if err != nil {
			return out, err
		}
		for i, c := range out.Checks {
			out.Checks[i].Remedy = a.typedIn(c.Remedy, refIn(out.Checks, c))
		}
		if f := a.unwell(out); f != nil {
			return out, with(f, out)
		}
		return out, nil
	}, a.showCheckup)
}

// checkup looks at the folder, and has the node that runs there look at itself.
func (a *app) checkup(ctx context.Context) (out node.Checkup, err error) {
	data, err := a.dataDir()
	if err != nil {
		return out, err
	}
	out.Checks = node.Examine(data)
	n, err := httpapi.NewClient(data)
	if err != nil {
		return out, err
	}
	defer n.Close()
	running, err := n.Doctor(ctx)
	e, known := errors.AsType[*node.Error](err)
	switch {
	case err == nil:
		for _, c := range running.Checks { // it knows better, as of a node that has no vault on purpose
			out.Checks = slices.DeleteFunc(out.Checks, func(o node.Check) bool { return o.Name == c.Name })
		}
		out.Checks = append(out.Checks, running.Checks...)
		return out, nil
	case !known || e.Code != httpapi.CodeNotRunning:
		return out, err
	}
	out.Checks = append(out.Checks, node.Check{Name: "node", Detail: "no node is running", Remedy: "metastate run"})
	if a.opts.passphraseFile == "" {
		return out, nil
	}
	pass, err := passphraseIn(a.opts.passphraseFile)
	if err != nil {
		return out, err
	}
	defer clear(pass)
	stores, err := node.ExamineStores(ctx, data, pass)
	out.Checks = append(out.Checks, stores...)
	return out, err
}

// unwell is the failure of a checkup in which not all is well, nil if it is.
// Damage is told from what else can be wrong by its exit code.
func (a *app) unwell(out node.Checkup) *failure {
	f := &failure{Code: "unwell", Exit: node.ExitFailed, Hint: "do what stands after each, then: metastate doctor"}
	for _, c := range out.Checks {
		if c.Pass {
			continue
		}
		f.Details = append(f.Details, fmt.Sprintf("%s: %s; %s", titled(c), c.Detail, c.Remedy))
		if c.Name == "store" {
			f.Exit = node.ExitVerify
		}
	}
	if len(f.Details) == 0 {
		return nil
	}
	f.Message = fmt.Sprintf("of %s %d found something to do", node.Counted(len(out.Checks), "check"), len(f.Details))
	return f
}

// refIn is what --metastate takes for the metastate of a check: its name, or its
// id where others have the name or it can't be shown as it is; empty if all checks
// are about one, or this is about none.
func refIn(all []node.Check, c node.Check) string {
	several, namesakes := false, clean(c.Metastate) != c.Metastate
	for _, o := range all {
		several = several || o.ID != "" && o.ID != c.ID
		namesakes = namesakes || o.ID != c.ID && o.Metastate == c.Metastate
	}
	switch {
	case !several || c.ID == "":
		return ""
	case namesakes:
		return c.ID
	}
	return c.Metastate
}

func titled(c node.Check) string {
	if c.Metastate == "" {
		return c.Name
	}
	return c.Name + " of " + c.Metastate
}

func (a *app) showCheckup(p *page, out node.Checkup) {
	var rows [][]string
	for _, c := range out.Checks {
		rows = append(rows, []string{titled(c), c.Detail})
	}
	p.table("", []string{"WELL", "WHAT WAS FOUND"}, rows)
}
