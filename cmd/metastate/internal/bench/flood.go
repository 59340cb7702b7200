package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/nodetest"
)

// flood measures what a crowd at a lobby's door costs: as many requests to join
// as the longest history has records, from a host on loopback that sends them as
// fast as it can, and what they leave behind in a founder's node: records, and
// heap in use.
func flood(ctx context.Context, o Options, r *report) (err error) {
	dir, err := os.MkdirTemp(o.Dir, "metastate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	n, err := openNode(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	m, err := n.Found(ctx, node.FoundRequest{Name: "Bench", As: "Founder"})
	if err != nil {
		return err
	}
	c, err := n.Community(m.Metastate.String())
	if err != nil {
		return err
	}
	invite, err := c.CreateInvite(ctx, node.InviteRequest{})
	if err != nil {
		return err
	}
	if err := settle(ctx, c, "the invite is final", func() bool { return c.Status().Provisional == 0 }); err != nil {
		return err
	}
	height, before := c.Status().Checkpoint.Height, heap()
	o.Progress(fmt.Sprintf("%d requests come to a lobby", o.Records))
	start := time.Now()
	out, err := nodetest.Flood(ctx, invite.Link, o.Records)
	if err != nil {
		return err
	}
	s := c.Status()
	left := float64(s.Checkpoint.Height-height) + float64(s.Provisional)
	r.figure("floodPerSecond", "requests to join that came to a lobby, all but a few declined unread", "1/s", float64(o.Records)/time.Since(start).Seconds())
	r.figure("floodRead", "of them read", "", float64(out.Answered+out.Refused))
	r.barred("floodRecords", fmt.Sprintf("records and checkpoints that %d requests left", o.Records), "", "0", left)
	r.barred("floodMegabytes", "heap that they left in use", "MB", "≤ 16", max(0, heap()-before)/1e6)
	return nil
}
