package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) nearbyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "nearby", Short: "Find members in the same room, with no internet",
		Long: "Look for members on the networks that this computer is on, for a while, and show the node\n" +
			"there. Who finds whom stays connected. Everybody on these networks can then see that\n" +
			"this computer runs such a program, and by which key and addresses it goes in this one\n" +
			"metastate, but not which metastate it is. Shown in two metastates, it shows that both\n" +
			"keys are one computer's. A hidden node and a relay never do this.\n\n" +
			"While it is under way, the command without --for says until when, and changes nothing.",
		Args: arguments(0, 0),
	}
	long, off := duration(10*time.Minute), false
	c.Flags().Var(&long, "for", "how long, at most 1h")
	c.Flags().BoolVar(&off, "off", false, "end it now")
	return act(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.Nearby, error) {
		if err := oneOf(c, "for", "off"); err != nil {
			return node.Nearby{}, err
		}
		switch {
		case off:
			long = 0
		case long <= 0:
			return node.Nearby{}, usage(c, "--for needs a duration over 0, such as 10m")
		}
		in := n.In(a.opts.metastate)
		if !off && !c.Flags().Changed("for") {
			if on, err := in.Nearness(ctx); err != nil || on.Until != nil {
				return on, err
			}
		}
		return in.Nearby(ctx, time.Duration(long))
	}, func(p *page, out node.Nearby) {
		if out.Until == nil {
			p.say("This node does not show itself on the local network.")
			return
		}
		p.fields("shown until", when(out.Until), "peers connected", node.Counted(out.Connected, "peer"))
		p.next("the others give the same command now; then: metastate peers list")
	})
}
