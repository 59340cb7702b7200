package nodetest

import (
	"context"

	"github.com/metastate-p2p/metastate/node/internal/p2p/gossipbench"
)

// A GossipLoad is what Gossip and GossipDefaults offer to hosts of one process
// that meet over TCP on loopback, 2 to 20 of them.
type GossipLoad = gossipbench.Load

// GossipFigures are what became of a load.
type GossipFigures = gossipbench.Figures

// Gossip measures presences as nodes have them: records are sealed, checked,
// opened and held. Their signatures, which nodes verify afterwards in batches,
// are not.
func Gossip(ctx context.Context, hosts int, loads ...GossipLoad) ([]GossipFigures, error) {
	return gossipbench.Ours(ctx, hosts, loads...)
}

// GossipDefaults measures go-libp2p-pubsub's GossipSub as it comes, with the same
// records.
func GossipDefaults(ctx context.Context, hosts int, loads ...GossipLoad) ([]GossipFigures, error) {
	return gossipbench.Defaults(ctx, hosts, loads...)
}
