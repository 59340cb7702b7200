package node

import "github.com/metastate-p2p/metastate/node/internal/p2p"

// A Profile is how a node takes part in the network.
type Profile = p2p.Profile

const (
	// ProfileMember is a node on somebody's own machine, perhaps behind a NAT.
	ProfileMember = p2p.ProfileMember
	// ProfileRelay is a node that everybody can reach.
	ProfileRelay = p2p.ProfileRelay
	// ProfileHidden is a node that nobody can find: it dials and is dialled
	// through Tor only.
	ProfileHidden = p2p.ProfileHidden
)

// ParseProfile reads member, relay or hidden.
func ParseProfile(text string) (Profile, error) { return p2p.ParseProfile(text) }
