package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

func (a *app) forkCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fork NAME", Short: "Found a metastate from the latest checkpoint of one",
		Long: "Found a metastate from the latest checkpoint of one that you are a member of, with its\n" +
			"charter or another. Who leaves that one for it takes standing and a share along:\n" +
			"metastate join LINK, then metastate leave --metastate PARENT --to NAME",
		Args: arguments(1, 1),
	}
	req := founding(c, "charter to begin with in place of the parent's: metastate charter templates lists them")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (v node.Forked, err error) {
		req, err := req.read(args[0])
		if err != nil {
			return v, err
		}
		return unlocking(a, func(pass []byte) (node.Forked, error) {
			req.Passphrase = pass
			return n.In(a.opts.metastate).Fork(ctx, req)
		})
	}, func(p *page, v node.Forked) {
		p.line("%s", v.Link)
		if p.plain {
			return
		}
		p.line("")
		p.fields("metastate", v.Metastate.String(), "you are", v.Persona.String(), "parent", v.Parent.Metastate.String(),
			"founded from", fmt.Sprintf("checkpoint %d, %s", v.Parent.Height, v.Parent.ID))
		p.line("")
		p.line("next: hand it over; who comes along runs: metastate join LINK, then metastate leave --metastate %s --to %s", v.Parent.Metastate, quote(req.Name))
	})
}

// departure is the answer of leave. There is no record of a joining that was
// given up.
type departure struct {
	node.RecordRef
	GivenUp bool `json:"givenUp,omitempty"`
}

// leaveTo leaves, for a fork if one is given, or gives up joining. The only clerk
// is told first what that means, where there is somebody to ask.
func (a *app) leaveTo(ctx context.Context, n *httpapi.Client, req node.LeaveRequest, onlyClerk bool) (d departure, err error) {
	question := "Leave for good? Coming back takes a new admission."
	if req.To != "" {
		question = "Leave for good, and take standing and share to " + req.To + "? It can't be taken back."
	}
	if onlyClerk {
		question = "You are the only clerk: better appoint another first (metastate office appoint clerk PERSONA). " + question
	}
	if err := a.confirm(question); err != nil {
		return d, err
	}
	in := n.In(a.opts.metastate)
	if req.To != "" {
		d.RecordRef, err = in.LeaveTo(ctx, req)
		return d, err
	}
	d.RecordRef, err = in.Leave(ctx)
	if e, ok := errors.AsType[*node.Error](err); !ok || e.Code != "not-member" {
		return d, err
	}
	return unlocking(a, func(pass []byte) (departure, error) {
		return departure{GivenUp: true}, in.GiveUp(ctx, node.GiveUpRequest{Passphrase: pass})
	})
}

func (a *app) splitCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "split [FORK]", Short: "Show who moved between a metastate and its fork",
		Long: "Show who moved between a metastate and its fork: in the fork by what was claimed, in\n" +
			"its parent, with FORK, by who left for it. Once all have claimed it is the same.",
		Args: arguments(0, 1),
	}
	var height uint64
	c.Flags().Uint64Var(&height, "height", 0, "of the checkpoint that the fork was founded from, where this node has no part in it")
	return query(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (node.Split, error) {
		return n.In(a.opts.metastate).Split(ctx, strings.Join(args, ""), height)
	}, func(p *page, v node.Split) {
		var rows [][]string
		for _, m := range v.Moved {
			rows = append(rows, []string{yesNo(m.Share), m.From.String(), m.To.String()})
		}
		p.fields("parent", v.Parent.String(), "fork", v.Fork.String(), "founded from", "checkpoint "+strconv.FormatUint(v.Height, 10))
		p.table("Nobody moved yet.", []string{"SHARE", "FROM", "TO"}, rows)
	})
}

func (a *app) claimCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "claim FILE", Short: "Bring to a fork the proof that somebody left its parent for it",
		Long: "Bring to a fork the proof that somebody left its parent for it, made there with roll\n" +
			"prove. A node that takes part in both does it by itself.",
		Args: arguments(1, 1),
	}
	return act(a, c, func(ctx context.Context, n *httpapi.Client, args []string) (r node.RecordRef, err error) {
		f, err := openFile(args[0])
		if err != nil {
			return r, err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, checkpoint.MaxStanding+1))
		if err != nil {
			return r, fmt.Errorf("reading %s: %w", args[0], err)
		}
		return n.In(a.opts.metastate).Claim(ctx, b)
	}, showRecord("The claim is made."))
}

func (a *app) pactCommands() *cobra.Command {
	return group("pact", "See what was agreed with other metastates", a.pactListCommand())
}

func (a *app) pactListCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the pacts with other metastates",
		Long: "List the pacts with other metastates. One is made by a decision on each side with the\n" +
			"same terms: metastate propose open --pact METASTATE --text TERMS",
		Args: arguments(0, 0),
	}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.PactList, error) {
		return n.In(a.opts.metastate).Pacts(ctx)
	}, func(p *page, v node.PactList) {
		var rows [][]string
		for _, x := range v.Pacts {
			rows = append(rows, []string{x.Standing, when(&x.Since), when(x.Ends), x.With.String(), x.Pact.String()})
		}
		p.table("There are no pacts.", []string{"STANDING", "SINCE", "ENDS", "WITH", "PACT"}, rows)
	})
}
