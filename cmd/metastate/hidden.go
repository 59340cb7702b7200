package main

import (
	"context"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// proxyPatience is how long Tor's proxy may take to answer when the node starts.
const proxyPatience = 5 * time.Second

// reachHidden says who can reach a hidden node, if anybody.
func reachHidden(onions int) string {
	how := "It has no onion service: it reaches others through Tor, and nobody can reach it, nor join by its invites alone."
	if onions > 0 {
		how = "It is reached through Tor alone, by " + node.Counted(onions, "onion service") + ", one each metastate."
	}
	return how
}

// warnWithoutTor says if nothing can be reached for now. Tor may be started
// later, so it is no failure.
func (a *app) warnWithoutTor(ctx context.Context, h node.Hidden) {
	ctx, cancel := context.WithTimeout(ctx, proxyPatience)
	defer cancel()
	if err := h.Reach(ctx); err != nil {
		f := asFailure(err)
		fmt.Fprintf(a.stderr, "%s for now; %s\n", f.Message, f.Hint)
	}
}
