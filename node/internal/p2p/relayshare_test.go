package p2p_test

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
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

// A sink is a host that takes circuits and counts what comes by them.
type sink struct {
	host.Host
	got atomic.Int64
}

func newSink(ctx context.Context, h host.Host, relay peer.AddrInfo) (*sink, error) {
	s := &sink{Host: h}
	h.SetStreamHandler("/libp2p/circuit/relay/0.2.0/stop", func(st network.Stream) {
		defer st.Reset()
		var ask pbv2.StopMessage
		if err := util.NewDelimitedReader(st, 4096).ReadMsg(&ask); err != nil {
			return
		}
		yes := &pbv2.StopMessage{Type: pbv2.StopMessage_STATUS.Enum(), Status: pbv2.Status_OK.Enum()}
		if err := util.NewDelimitedWriter(st).WriteMsg(yes); err != nil {
			return
		}
		b := make([]byte, 1<<14)
		for n, err := 0, error(nil); err == nil; s.got.Add(int64(n)) {
			n, err = st.Read(b)
		}
	})
	_, err := client.Reserve(ctx, h, relay)
	return s, err
}

// pour sends 32 MiB by a circuit, or until the stream ends.
func pour(ctx context.Context, from host.Host, relay peer.AddrInfo, to peer.ID) error {
	if err := from.Connect(ctx, relay); err != nil {
		return err
	}
	s, err := from.NewStream(ctx, relay.ID, "/libp2p/circuit/relay/0.2.0/hop")
	if err != nil {
		return err
	}
	ask := &pbv2.HopMessage{Type: pbv2.HopMessage_CONNECT.Enum(), Peer: util.PeerInfoToPeerV2(peer.AddrInfo{ID: to})}
	if err := util.NewDelimitedWriter(s).WriteMsg(ask); err != nil {
		return err
	}
	var answer pbv2.HopMessage
	if err := util.NewDelimitedReader(s, 4096).ReadMsg(&answer); err != nil {
		return err
	}
	if answer.GetStatus() != pbv2.Status_OK {
		return fmt.Errorf("the relay says %v", answer.GetStatus())
	}
	go func() { _, _ = io.CopyN(s, endless{}, 32<<20) }()
	return nil
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// Who sends by many circuits of a relay gets no more of it than who sends by one.
func TestRelayIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		r := p2p.NewMemReplica("binding of the relay", secret)
		relay, err := p2p.NewMember(p2p.Config{Seed: seed(0), Underlay: n.Underlay(0, port), Profile: p2p.ProfileRelay}, r)
		if err != nil {
			t.Fatal(err)
		}
		defer relay.Close()
		at := peer.AddrInfo{ID: idOf(relay.ID()), Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}
		var all []*stranger
		for i := range 4 {
			h := newStranger(t, n, 50+i)
			defer h.Close()
			r.Know(true, h.ID().String())
			all = append(all, h)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var sinks [2]*sink
		for i := range sinks {
			if sinks[i], err = newSink(ctx, all[2+i], at); err != nil {
				t.Fatal(err)
			}
			for range []int{16, 1}[i] {
				if err := pour(ctx, all[i], at, sinks[i].ID()); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(time.Second) // what was saved up, and fits into buffers
		before := [2]int64{sinks[0].got.Load(), sinks[1].got.Load()}
		time.Sleep(time.Second)
		// 8 MiB/s in all (SPEC §9.7).
		many, one := sinks[0].got.Load()-before[0], sinks[1].got.Load()-before[1]
		if sum := many + one; sum > 9<<20 || sum < 4<<20 || one < sum*4/10 {
			t.Errorf("by 16 circuits came %d bytes, by one %d", many, one)
		}
	})
}
