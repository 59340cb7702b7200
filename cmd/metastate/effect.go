package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

// An effect is what a proposal's flags say that it does when it is in force.
type effect struct{ expel, admit, elect, amend, pact, until, part string }

func (e *effect) flags(f *pflag.FlagSet) {
	f.StringVar(&e.expel, "expel", "", "when it passes, expel this persona")
	f.StringVar(&e.admit, "admit", "", "when it passes, admit this persona")
	f.StringVar(&e.elect, "elect", "", "give this office to the winners; --options are the candidates")
	f.StringVar(&e.amend, "amend", "", "when it passes, replace the charter by the one in this file")
	f.StringVar(&e.pact, "pact", "", "when it passes, offer this metastate a pact; --text are the terms")
	f.StringVar(&e.until, "pact-until", "", "day at whose begin the pact ends, such as 2030-12-31, in UTC")
	f.StringVar(&e.part, "end-pact", "", "when it passes, end this pact")
}

func (e *effect) count() (n int) {
	for _, s := range []string{e.expel, e.admit, e.elect, e.amend, e.pact, e.part} {
		if s != "" {
			n++
		}
	}
	return n
}

// request is the effect as the node takes it, nil if there is none.
func (e *effect) request(ctx context.Context, n *httpapi.Client, in httpapi.Inside) (*node.ActRequest, error) {
	switch {
	case e.expel != "":
		return aboutMember(ctx, in, "expel", e.expel)
	case e.admit != "":
		return aboutMember(ctx, in, "admit", e.admit)
	case e.elect != "":
		return &node.ActRequest{Kind: "elect", Office: e.elect}, nil
	case e.amend != "":
		text, _, err := readCharter(e.amend)
		if err != nil {
			return nil, err
		}
		return &node.ActRequest{Kind: "amend", Charter: text}, nil
	}
	switch {
	case e.pact != "":
		list, err := n.Status(ctx, e.pact)
		if f, ok := errors.AsType[*failure](err); ok && f.Exit == node.ExitNotFound {
			f.Hint = "a pact is proposed on a node that takes part in both: join it, or ask who is a member of both"
		}
		if err != nil {
			return nil, err
		}
		req := &node.ActRequest{Kind: "pact", With: list.Metastates[0].ID}
		if e.until != "" {
			req.Ends, err = time.Parse(time.DateOnly, e.until)
		}
		return req, err
	case e.part != "":
		return &node.ActRequest{Kind: "part", Pact: e.part}, nil
	}
	return nil, nil
}

// checkUntil checks the day that a pact ends.
func (e *effect) checkUntil(c *cobra.Command) error {
	if e.until == "" {
		return nil
	}
	if day, err := time.Parse(time.DateOnly, e.until); err != nil || e.pact == "" {
		return usage(c, "--pact-until is the day at whose begin the --pact ends, such as 2030-12-31")
	} else if !day.After(time.Now()) {
		return usage(c, "--pact-until has to be a day to come, such as 2030-12-31, not %s", e.until)
	}
	return nil
}

func aboutMember(ctx context.Context, in httpapi.Inside, kind, ref string) (*node.ActRequest, error) {
	m, err := in.RollMember(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &node.ActRequest{Kind: kind, Persona: m.Persona}, nil
}
