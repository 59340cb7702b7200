package main

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

// An effect is what a proposal's flags say that it does when it is in force.
type effect struct{ expel, admit, elect, amend string }

func (e *effect) flags(f *pflag.FlagSet) {
	f.StringVar(&e.expel, "expel", "", "when it passes, expel this persona")
	f.StringVar(&e.admit, "admit", "", "when it passes, admit this persona")
	f.StringVar(&e.elect, "elect", "", "give this office to the winners; --options are the candidates")
	f.StringVar(&e.amend, "amend", "", "when it passes, replace the charter by the one in this file")
}

func (e *effect) count() (n int) {
	for _, s := range []string{e.expel, e.admit, e.elect, e.amend} {
		if s != "" {
			n++
		}
	}
	return n
}

// request is the effect as the node takes it, nil if there is none.
func (e *effect) request(ctx context.Context, in httpapi.Inside) (*node.ActRequest, error) {
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
	return nil, nil
}

func aboutMember(ctx context.Context, in httpapi.Inside, kind, ref string) (*node.ActRequest, error) {
	m, err := in.RollMember(ctx, ref)
	if err != nil {
		return nil, err
	}
	return &node.ActRequest{Kind: kind, Persona: m.Persona}, nil
}
