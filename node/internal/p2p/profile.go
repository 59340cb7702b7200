package p2p

import (
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/websocket"
)

// A Profile is how a presence takes part in the network.
type Profile int

const (
	// ProfileMember is a node on somebody's own machine, perhaps behind a NAT.
	ProfileMember Profile = iota
	// ProfileRelay is a node that everybody can reach.
	ProfileRelay
	// ProfileHidden is a node that nobody can find: it dials and is dialled
	// through Tor only.
	ProfileHidden
)

// profiles are the texts of each Profile.
var profiles = [...]string{ProfileMember: "member", ProfileRelay: "relay", ProfileHidden: "hidden"}

func (p Profile) String() string {
	if p < 0 || int(p) >= len(profiles) {
		return fmt.Sprintf("Profile(%d)", int(p))
	}
	return profiles[p]
}

// ParseProfile is the inverse of String.
func ParseProfile(text string) (Profile, error) {
	if i := slices.Index(profiles[:], text); i >= 0 {
		return Profile(i), nil
	}
	return 0, fmt.Errorf("p2p: there is no profile %q", text)
}

// Anywhere is where a presence listens unless told otherwise: any free ports on
// all interfaces. A relay serves those, too, whose network lets nothing but HTTPS
// pass: its WebSocket is for what ends TLS in front of it.
func (p Profile) Anywhere() []string {
	const tcp, quic = "/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"
	switch p {
	case ProfileHidden:
		return nil
	case ProfileRelay:
		return []string{tcp, quic, tcp + "/ws"}
	}
	return []string{tcp, quic}
}

// limits bound one presence.
type limits struct {
	Conns      int   // connections, both ways
	Memory     int64 // bytes that libp2p and this package's sessions may hold
	PeerConns  int   // connections of one peer
	Streams    int   // streams of one peer
	PerAddress int   // connections from one IPv4 address or IPv6 /56
	Low, High  int   // the connection manager trims to Low when there are High
	Relayed    int64 // bytes a second that a relay's circuits carry together
}

// limits are those of a presence of the profile.
func (p Profile) limits() limits {
	if p == ProfileRelay {
		return limits{Conns: 1024, Memory: 512 << 20, PeerConns: 4, Streams: 64, PerAddress: 64, Low: 200, High: 400, Relayed: 8 << 20}
	}
	l := limits{Conns: 128, Memory: 128 << 20, PeerConns: 4, Streams: 64, PerAddress: 32, Low: 20, High: 40}
	if p == ProfileHidden { // whoever comes through Tor has its address
		l.PerAddress = l.Conns
	}
	return l
}

// patience is how long a dial may take. The first way through Tor to an onion
// service often takes longer than any other connection.
func (p Profile) patience() time.Duration {
	if p == ProfileHidden {
		return torTimeout
	}
	return dialTimeout
}

// underlay is the machine's network as the profile uses it.
func (c *Config) underlay(listen []string) Underlay {
	if c.Profile == ProfileHidden {
		return c.Hidden.underlay(listen)
	}
	return system(listen, libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport()), libp2p.Transport(quic.NewTransport),
		libp2p.Transport(websocket.New))
}

// A role is what a host is for.
type role int

const (
	amongMembers role = iota
	forStrangers      // a lobby
	visiting          // knocks at lobbies
)

// options are what the profile asks of libp2p on any underlay.
func (p Profile) options(r role) (out []libp2p.Option) {
	switch p {
	case ProfileHidden:
		out = []libp2p.Option{libp2p.DisableRelay(), libp2p.ForceReachabilityPrivate()}
		if r != forStrangers { // who is behind a NAT can't dial an onion service, and is dialled by way of a relay
			out[0] = libp2p.EnableRelay()
		}
		return out
	case ProfileRelay:
		out = []libp2p.Option{libp2p.EnableRelay(), libp2p.ForceReachabilityPublic()}
	default:
		out = []libp2p.Option{libp2p.EnableRelay(), libp2p.ForceReachabilityPrivate()}
	}
	if r == amongMembers {
		out = append(out, libp2p.EnableHolePunching())
	}
	return out
}
