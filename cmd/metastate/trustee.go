package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/httpapi"
)

func (a *app) trusteeCommands() *cobra.Command {
	return group("trustee", "See what is asked of a trustee of secret votes", a.trusteeStatusCommand())
}

func (a *app) trusteeStatusCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Say how far the keys are that you have a share of, and which votes wait to be opened",
		Long: "Say how far the keys are that you have a share of, and which votes wait to be opened.\n" +
			"The node does by itself what is asked of a trustee: leave it running.",
		Args: arguments(0, 0),
	}
	return query(a, c, func(ctx context.Context, n *httpapi.Client, _ []string) (node.TrusteeStatus, error) {
		return n.In(a.opts.metastate).Trustee(ctx)
	}, showTrustee)
}

func showTrustee(p *page, v node.TrusteeStatus) {
	p.fields("you are a trustee", yesNo(v.Office), "trustees in office", strconv.Itoa(v.Trustees))
	for _, x := range v.Committees {
		p.line("")
		p.fields(
			"committee", x.Committee.String(), "you are", fmt.Sprintf("number %d of %d", x.Number, x.Of),
			"key", keyStage(x.Stage), "waits for", orDash(strings.Join(x.Waiting, ", ")), "until", when(x.Until),
			"your secret", secretWords(x),
		)
		var rows [][]string
		for _, q := range x.Votes {
			rows = append(rows, []string{q.Title, fmt.Sprintf("%d of %d", q.Acks, q.AcksNeed), fmt.Sprintf("%d of %d", q.Shares, q.ShareNeed), orDash(strings.Join(q.Waiting, ", ")), q.Proposal.String()})
		}
		if len(rows) > 0 {
			p.table("", []string{"VOTE", "ACKNOWLEDGED", "SHARES", "WAITS FOR", "PROPOSAL"}, rows)
		}
	}
	if v.Office {
		p.line("")
		p.line("Keep this node running, and its folder in a backup: with it is lost your share, and enough of you must be left to open a vote.")
	}
}

// secretWords says whether the secret that a trustee's share follows from is here.
func secretWords(x node.TrusteeOf) string {
	switch {
	case x.Secret:
		return "on this device, and nowhere else"
	case x.Elsewhere:
		return "on another device of yours, which alone can go on"
	case x.Stage == "announce":
		return "not made yet"
	}
	return "none: this device took no part in making the key, or lost it"
}

// keyStage says a stage of the making of a key in words.
func keyStage(stage string) string {
	switch stage {
	case "announce":
		return "being made, 1 of 4: trustees announce themselves"
	case "commit":
		return "being made, 2 of 4: trustees commit to what they deal"
	case "deal":
		return "being made, 3 of 4: trustees deal shares"
	case "confirm":
		return "being made, 4 of 4: trustees check their shares"
	case "ready":
		return "made"
	case "failed":
		return "could not be made: other trustees are needed"
	}
	return stage
}

// secrecyPairs say how far a secret vote is, nothing of an open one.
func secrecyPairs(x *node.SecrecyView) []string {
	if x == nil {
		return nil
	}
	pairs := []string{"opened from", node.Counted(int(x.Least), "ballot") + " on"}
	if x.Stage != "" {
		pairs = append(pairs, "key", keyStage(x.Stage))
	}
	if x.Stage == "ready" && x.Acks > 0 {
		pairs = append(pairs, "acknowledged by", fmt.Sprintf("%d of %d needed", x.Acks, x.AcksNeed), "shares", fmt.Sprintf("%d of %d needed", x.Shares, x.ShareNeed))
	}
	if len(x.Waiting) > 0 {
		pairs = append(pairs, "waits for", strings.Join(x.Waiting, ", "))
	}
	for _, id := range x.Wrong {
		pairs = append(pairs, "a share that is wrong", id.String())
	}
	if x.Unsent != "" {
		pairs = append(pairs, "NOT sent yet", "your ballot with the code "+x.Unsent)
	}
	return pairs
}
