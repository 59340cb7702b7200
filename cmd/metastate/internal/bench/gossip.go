package bench

import (
	"context"
	"fmt"

	"github.com/metastate-p2p/metastate/node/nodetest"
)

// gossipHosts share the process.
const gossipHosts = 20

// gossipBars are what the time to all is held to, by records offered a second.
var gossipBars = []struct {
	rate int
	bar  string
}{{200, "≤ 50"}, {800, "≤ 150"}}

// spread measures gossip among hosts of this process over TCP on loopback, and
// beside it pubsub with its defaults: at each rate, so many records of about 300
// bytes, offered by all hosts in turn. Both get the same records. All hosts of a
// side are connected, and their mesh has formed before the first rate.
func spread(ctx context.Context, o Options, r *report) error {
	recs, err := strangers(o.Records * len(gossipBars))
	if err != nil {
		return err
	}
	var loads []nodetest.GossipLoad
	for i, at := range gossipBars {
		l := nodetest.GossipLoad{Rate: at.rate}
		for _, rec := range recs[i*o.Records:][:o.Records] {
			l.Contents = append(l.Contents, rec.Inner())
		}
		loads = append(loads, l)
	}
	return o.eachRun(ctx, func(int) error {
		ours, err := nodetest.Gossip(ctx, gossipHosts, loads...)
		if err != nil {
			return err
		}
		o.Progress("pubsub by its defaults")
		theirs, err := nodetest.GossipDefaults(ctx, gossipHosts, loads...)
		if err != nil {
			return fmt.Errorf("pubsub by its defaults: %w", err)
		}
		for i, at := range gossipBars {
			gossiped(r, at.rate, at.bar, ours[i], theirs[i])
		}
		return nil
	})
}

// gossiped reports what became of one rate's records.
func gossiped(r *report, rate int, bar string, ours, theirs nodetest.GossipFigures) {
	millis := func(f nodetest.GossipFigures) (p50, p95 float64) {
		return float64(f.P50.Microseconds()) / 1e3, float64(f.P95.Microseconds()) / 1e3
	}
	key := func(name string) string { return fmt.Sprintf("%s%d", name, rate) }
	at := fmt.Sprintf(", %d/s", rate)
	p50, p95 := millis(ours)
	r.figure(key("gossipP50Millis"), "time until a record has reached all, p50"+at, "ms", p50)
	r.barred(key("gossipP95Millis"), "the same, p95"+at, "ms", bar, p95)
	r.figure(key("gossipLost"), "records that gossip did not bring to all"+at, "", float64(ours.Lost))
	r.barred(key("gossipMissing"), "records that a host lacks after sync"+at, "", "0", float64(ours.Missing))
	r.figure(key("gossipDropped"), "messages dropped and counted"+at, "", float64(ours.Dropped))
	r.figure(key("gossipDuplicates"), "duplicates of a delivered message"+at, "", ours.Duplicates)
	r.figure(key("gossipOverhead"), "bytes sent for each that had to arrive"+at, "", ours.Overhead)
	r.figure(key("gossipMicros"), "processor time for a record at a host"+at, "µs", micros(ours.CPU))
	p50, p95 = millis(theirs)
	r.figure(key("defaultP50Millis"), "pubsub by its defaults, p50"+at, "ms", p50)
	r.figure(key("defaultP95Millis"), "pubsub by its defaults, p95"+at, "ms", p95)
	r.figure(key("defaultLost"), "pubsub by its defaults, records lost"+at, "", float64(theirs.Lost))
	r.figure(key("defaultDropped"), "pubsub by its defaults, messages dropped"+at, "", float64(theirs.Dropped))
	r.figure(key("defaultDuplicates"), "pubsub by its defaults, duplicates"+at, "", theirs.Duplicates)
	r.figure(key("defaultOverhead"), "pubsub by its defaults, bytes sent for each"+at, "", theirs.Overhead)
	r.figure(key("defaultMicros"), "pubsub by its defaults, processor time"+at, "µs", micros(theirs.CPU))
}
