package p2p_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	pbv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/util"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/p2p/p2psim"
)

// A valley is members on machines 2 and up, each behind a NAT, and two relays on
// 0 and 1. The relays are of another epoch here, so that nothing spreads by them
// but through circuits.
//
//	2 ─NAT─┐     ┌─NAT─ 4
//	3 ─NAT─┴─0 1─┴─ …
type valley struct{ *town }

func newValley(t *testing.T, n int, hard bool) valley {
	w := valley{&town{net: newNetwork(t)}}
	for i := range n {
		epoch := [32]byte{99}
		if i > 1 {
			epoch = secret
			w.net.NAT(hard, i)
		}
		r := p2p.NewMemReplica(fmt.Sprint("binding of ", i), epoch)
		for j := range n {
			r.Know(true, id(j))
		}
		w.replicas = append(w.replicas, r)
		w.members = append(w.members, nil)
		w.up(t, i)
	}
	return w
}

// up starts machine i, anew.
func (w valley) up(t *testing.T, i int) {
	t.Helper()
	cfg := p2p.Config{Seed: seed(i), Underlay: w.net.Underlay(i, port), SyncEvery: 10 * time.Second}
	if i < 2 {
		cfg.Profile = p2p.ProfileRelay
	}
	m, err := p2p.NewMember(cfg, w.replicas[i])
	if err != nil {
		t.Fatal(err)
	}
	w.members[i] = m
	if i > 1 {
		if err := m.SetRelays([]p2p.Relay{relayAt(0, "a"), relayAt(1, "b")}); err != nil {
			t.Fatal(err)
		}
	}
}

func relayAt(i int, operator string) p2p.Relay {
	return p2p.Relay{ID: id(i), Addrs: []string{p2psim.Addr(i, port)}, Operator: operator}
}

// by lists the machines by way of which a member may be dialled.
func by(m *p2p.Member) (relays []int) {
	for _, a := range m.Addrs() {
		for i := range 2 {
			if strings.HasSuffix(a, "/p2p/"+id(i)+"/p2p-circuit") {
				relays = append(relays, i)
			}
		}
	}
	return relays
}

func until(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("still not so after %v: %s", within, what)
		}
	}
}

// meet has one member told how another is reached by way of relays alone.
func (w valley) meet(t *testing.T, from, to int) {
	t.Helper()
	circuits := slices.DeleteFunc(w.members[to].Addrs(), func(a string) bool { return !strings.Contains(a, "p2p-circuit") })
	if err := w.members[from].AddPeer(p2p.Peer{ID: id(to), Addrs: circuits}); err != nil {
		t.Fatal(err)
	}
}

func status(m *p2p.Member, of int) p2p.PeerStatus {
	all := m.Peers()
	if i := slices.IndexFunc(all, func(p p2p.PeerStatus) bool { return p.ID == id(of) }); i >= 0 {
		return all[i]
	}
	return p2p.PeerStatus{}
}

// Members between whose NATs nothing passes directly sync and gossip through a
// relay, as much and as long as they like.
func TestThroughARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newValley(t, 4, true)
		defer w.close(t)
		until(t, "both hold places with both relays", 5*time.Second, func() bool {
			return len(by(w.members[2])) == 2 && len(by(w.members[3])) == 2
		})
		big := strings.Repeat("x", 60<<10)
		for i := range 8 { // more than the 128 KiB of libp2p's usual circuits
			w.replicas[2].Add(plane, fmt.Sprint(i, big))
		}
		w.meet(t, 3, 2)
		until(t, "3 has what 2 had", 30*time.Second, func() bool { return w.replicas[3].Has(fmt.Sprint(7, big)) })
		s := status(w.members[3], 2)
		if !s.Connected || s.Direct || !strings.Contains(s.Address, "p2p-circuit") {
			t.Errorf("%+v", s)
		}
		time.Sleep(5 * time.Minute) // twice as long as usual circuits last
		if s := status(w.members[3], 2); !s.Connected {
			t.Error("the circuit ended:", s)
		}
		if err := w.members[2].Publish(p2p.Records, w.replicas[2].Add(plane, "gossiped")); err != nil {
			t.Fatal(err)
		}
		until(t, "gossip passes", 5*time.Second, func() bool { return w.replicas[3].Has("gossiped") })
		sum := w.members[0].Metrics().Relay
		other := w.members[1].Metrics().Relay
		if sum.Reservations+other.Reservations != 4 || sum.Circuits+other.Circuits == 0 || sum.Bytes+other.Bytes < 8*60<<10 {
			t.Errorf("%+v %+v", sum, other)
		}
	})
}

// Where the NATs allow it the two end up on a connection of their own.
func TestHolePunching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newValley(t, 4, false)
		defer w.close(t)
		until(t, "places", 5*time.Second, func() bool { return len(by(w.members[2])) == 2 })
		w.meet(t, 3, 2)
		until(t, "a direct connection, and no circuit", 60*time.Second, func() bool {
			s := status(w.members[3], 2)
			return s.Direct && !strings.Contains(s.Address, "p2p-circuit")
		})
		opened := w.members[0].Metrics().Relay.Circuits + w.members[1].Metrics().Relay.Circuits
		if opened == 0 {
			t.Error("no circuit was needed: the NATs let all in")
		}
		until(t, "the circuit is left", 20*time.Second, func() bool {
			return w.members[0].Metrics().Relay.Open+w.members[1].Metrics().Relay.Open == 0
		})
		if err := w.members[2].Publish(p2p.Records, w.replicas[2].Add(plane, "gossiped")); err != nil {
			t.Fatal(err)
		}
		until(t, "gossip passes", 5*time.Second, func() bool { return w.replicas[3].Has("gossiped") })
	})
}

// A relay that goes is replaced by what is left, and taken again when it is back.
func TestRelayGoesAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newValley(t, 4, true)
		defer w.close(t)
		until(t, "places", 5*time.Second, func() bool { return len(by(w.members[2])) == 2 && len(by(w.members[3])) == 2 })
		w.meet(t, 3, 2)
		until(t, "connected", 30*time.Second, func() bool { return status(w.members[3], 2).Connected })
		for i := range 2 {
			if err := w.members[i].Close(); err != nil {
				t.Fatal(err)
			}
			until(t, "the place is given up", 90*time.Second, func() bool { return slices.Equal(by(w.members[2]), []int{1 - i}) })
			until(t, "connected through the other", 6*time.Minute, func() bool { return status(w.members[3], 2).Connected })
			w.up(t, i)
			until(t, "taken again", 90*time.Second, func() bool { return len(by(w.members[2])) == 2 })
		}
	})
}

// Of many relays two are used, of different operators although others come
// first, and reservations are renewed.
func TestTwoOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newValley(t, 3, true)
		defer w.close(t)
		w.replicas[2].Know(true, id(7), id(8))
		m := w.members[2]
		set := func(relays ...p2p.Relay) {
			if err := m.SetRelays(relays); err != nil {
				t.Fatal(err)
			}
		}
		set(relayAt(0, "a"), relayAt(7, "a"), relayAt(8, "a"), relayAt(1, "b"))
		until(t, "both", 2*time.Second, func() bool { return len(by(m)) == 2 })
		if m.Metrics().Refused != 0 {
			t.Error("a stranger was asked")
		}
		time.Sleep(3 * time.Hour)
		if len(by(m)) != 2 || w.members[0].Metrics().Relay.Reservations < 3 {
			t.Error(by(m), w.members[0].Metrics().Relay)
		}
		set(relayAt(1, "b"))
		until(t, "one", time.Minute, func() bool { return slices.Equal(by(m), []int{1}) })
	})
}

// Who is known no more holds no place, and reaches nobody.
func TestRelayForMembersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newValley(t, 4, true)
		defer w.close(t)
		until(t, "places", 5*time.Second, func() bool { return len(by(w.members[2])) == 2 })
		for i := range 2 {
			w.replicas[i].Know(false, id(2))
			if err := w.members[i].Refresh(); err != nil {
				t.Fatal(err)
			}
		}
		until(t, "no place", time.Minute, func() bool { return len(by(w.members[2])) == 0 })
		time.Sleep(time.Minute)
		if p := by(w.members[2]); len(p) != 0 || len(by(w.members[3])) != 2 {
			t.Error(p, by(w.members[3]))
		}
	})
}

// The lobby of a member is reached through a relay's lobby by anybody, for a
// knock. A stranger's host gets no place there.
func TestLobbyThroughARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		n.NAT(true, 1, 7)
		relay, err := p2p.NewLobby(p2p.Config{
			Seed: seed(0), Underlay: n.Underlay(0, port), Profile: p2p.ProfileRelay,
			Lobby: func(p string) bool { return p == id(1) },
		}, echo)
		if err != nil {
			t.Fatal(err)
		}
		defer relay.Close()
		l, err := p2p.NewLobby(p2p.Config{Seed: seed(1), Underlay: n.Underlay(1, port)}, echo)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.SetRelays("", []p2p.Relay{relayAt(0, "a")}); err != nil {
			t.Fatal(err)
		}
		until(t, "the lobby has a place", 10*time.Second, func() bool { return len(l.Addrs()) == 2 })
		time.Sleep(5 * time.Minute) // longer than a stranger's connection lasts
		if n := relay.Metrics().Relay.Reservations; n != 1 {
			t.Errorf("the connection to the relay was lost: %d reservations", n)
		}
		for _, size := range []int{10, p2p.MaxKnock} {
			var got int
			err := p2p.Knock(t.Context(), p2p.Config{Seed: seed(7), Underlay: n.Underlay(7, 0)},
				[]p2p.Peer{{ID: id(1), Addrs: l.Addrs()[1:]}}, make([]byte, size), func(who string, answer []byte) bool {
					got = len(answer)
					return who == id(1)
				})
			if err != nil || got < size {
				t.Fatal(got, err)
			}
		}
		stranger := newStranger(t, n, 50)
		defer stranger.Close()
		to := peer.AddrInfo{ID: idOf(relay.ID()), Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}
		_, err = client.Reserve(t.Context(), stranger, to)
		if !strings.Contains(fmt.Sprint(err), pbv2.Status_PERMISSION_DENIED.String()) {
			t.Error("a stranger's place:", err)
		}
	})
}

// Only who a lobby chose as its relay brings it circuits: others would come past
// the limits on their addresses.
func TestNoUnbiddenRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		l := newLobby(t, n, echo)
		defer l.Close()
		fake := newStranger(t, n, 50)
		defer fake.Close()
		if err := playRelay(t.Context(), fake, l.ID(), id(7)); err == nil {
			t.Error("a circuit of a stranger's was taken")
		}
	})
}

// playRelay offers a lobby a circuit from a peer, as a relay would, and reports
// whether anybody answers on it.
func playRelay(ctx context.Context, h host.Host, lobby, from string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	to := peer.AddrInfo{ID: idOf(lobby), Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}
	if err := h.Connect(ctx, to); err != nil {
		return err
	}
	s, err := h.NewStream(ctx, to.ID, "/libp2p/circuit/relay/0.2.0/stop")
	if err != nil {
		return err
	}
	defer s.Reset()
	return offerCircuit(s, idOf(from))
}

// offerCircuit plays the relay's side, then begins to negotiate as the peer would.
func offerCircuit(s network.Stream, from peer.ID) error {
	_ = s.SetDeadline(time.Now().Add(15 * time.Second))
	offer := &pbv2.StopMessage{Type: pbv2.StopMessage_CONNECT.Enum(), Peer: util.PeerInfoToPeerV2(peer.AddrInfo{ID: from})}
	if err := util.NewDelimitedWriter(s).WriteMsg(offer); err != nil {
		return err
	}
	var answer pbv2.StopMessage
	if err := util.NewDelimitedReader(s, 4096).ReadMsg(&answer); err != nil {
		return err
	}
	hello := []byte("\x13/multistream/1.0.0\n")
	if _, err := s.Write(hello); err != nil {
		return err
	}
	_, err := io.ReadFull(s, hello)
	return err
}

func idOf(s string) peer.ID {
	p, err := peer.Decode(s)
	if err != nil {
		panic(err)
	}
	return p
}
