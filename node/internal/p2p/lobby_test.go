package p2p_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/p2p/p2psim"
)

// newLobby starts a lobby on machine 0.
func newLobby(t *testing.T, n *p2psim.Network, serve p2p.Serve) *p2p.Lobby {
	t.Helper()
	l, err := p2p.NewLobby(p2p.Config{Seed: seed(0), Underlay: n.Underlay(0, port)}, serve)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func knock(n *p2psim.Network, who int, request string, at ...int) (string, string, error) {
	var boots []p2p.Peer
	for _, i := range at {
		boots = append(boots, p2p.Peer{ID: id(i), Addrs: []string{p2psim.Addr(i, port)}})
	}
	resp, reached := "", ""
	err := p2p.Knock(context.Background(), p2p.Config{Seed: seed(who), Underlay: n.Underlay(who, 0)}, boots, []byte(request), func(at string, answer []byte) bool {
		resp, reached = string(answer), at
		return true
	})
	return resp, reached, err
}

func echo(_ context.Context, who string, req []byte) ([]byte, error) {
	if string(req) == "refuse me" {
		return nil, errors.New("no")
	}
	return fmt.Appendf(nil, "hello %s: %s", who, req), nil
}

func TestKnock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		l := newLobby(t, n, echo)
		defer l.Close()
		resp, reached, err := knock(n, 7, "let me in", 5, 0) // 5 is off
		if err != nil || reached != id(0) || resp != "hello "+id(7)+": let me in" {
			t.Error(resp, reached, err)
		}
		if _, _, err := knock(n, 8, "refuse me", 5, 0); !errors.Is(err, p2p.ErrRefused) {
			t.Error(err)
		}
		if _, _, err := knock(n, 9, "anyone?", 5, 6); !errors.Is(err, p2p.ErrUnreachable) || errors.Is(err, p2p.ErrRefused) {
			t.Error(err)
		}
		if _, _, err := knock(n, 9, string(make([]byte, p2p.MaxKnock+1)), 0); !errors.Is(err, p2p.ErrTooBig) {
			t.Error(err)
		}
		if c := l.Metrics(); c.Knocks != 2 {
			t.Errorf("%+v", c)
		}
	})
}

// All lobbies are asked until one gives the answer that is looked for, at once
// those that can be reached, whatever the place of one that is off.
func TestKnockAsksEveryLobby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		var boots []p2p.Peer
		for i := range 4 {
			boots = append(boots, p2p.Peer{ID: id(i), Addrs: []string{p2psim.Addr(i, port)}})
			if i == 0 { // it is off
				continue
			}
			l, err := p2p.NewLobby(p2p.Config{Seed: seed(i), Underlay: n.Underlay(i, port)}, func(context.Context, string, []byte) ([]byte, error) {
				if i == 3 {
					return nil, errors.New("no")
				}
				return fmt.Append(nil, i), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
		}
		cfg := p2p.Config{Seed: seed(9), Underlay: n.Underlay(9, 0)}
		asked := map[string]string{}
		began := time.Now()
		err := p2p.Knock(t.Context(), cfg, boots, []byte("me"), func(at string, answer []byte) bool {
			asked[at] = string(answer)
			return len(asked) == 2
		})
		if err != nil || len(asked) != 2 || asked[id(1)] != "1" || asked[id(2)] != "2" {
			t.Errorf("asked %v, %v", asked, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("waited %v for the one that is off", took)
		}
		count := 0
		if err := p2p.Knock(t.Context(), cfg, boots, []byte("me"), func(string, []byte) bool { count++; return false }); err != nil || count != 2 {
			t.Errorf("%d answers, %v: an answer that does not settle it is no failure", count, err)
		}
	})
}

// The largest request and response pass; a response one byte over does not.
func TestKnockSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		size := p2p.MaxAnswer
		l := newLobby(t, n, func(_ context.Context, _ string, req []byte) ([]byte, error) {
			if len(req) != p2p.MaxKnock {
				return nil, errors.New("cut")
			}
			return make([]byte, size), nil
		})
		defer l.Close()
		if resp, _, err := knock(n, 7, string(make([]byte, p2p.MaxKnock)), 0); err != nil || len(resp) != size {
			t.Error(len(resp), err)
		}
		size++
		if _, _, err := knock(n, 8, string(make([]byte, p2p.MaxKnock)), 0); !errors.Is(err, p2p.ErrUnreachable) {
			t.Error(err)
		}
		if c := l.Metrics(); c.Knocks != 1 || c.Declined != 1 {
			t.Errorf("%+v", c)
		}
	})
}

// The lobby speaks no protocol but the knock, libp2p's identify, and what its
// own relays bring circuits by.
func TestLobbyServesOnlyKnocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		l := newLobby(t, n, echo)
		defer l.Close()
		s := newStranger(t, n, 50)
		defer s.Close()
		target, _ := peer.Decode(l.ID())
		if err := s.Connect(t.Context(), peer.AddrInfo{ID: target, Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}); err != nil {
			t.Fatal(err)
		}
		protos, err := s.Peerstore().GetProtocols(target)
		if err != nil || len(protos) == 0 {
			t.Fatal(protos, err)
		}
		for _, p := range protos {
			switch p {
			case "/metastate/join/1", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/libp2p/circuit/relay/0.2.0/stop":
			default:
				t.Errorf("the lobby offers %s", p)
			}
		}
		for _, what := range []string{"AgentVersion", "ProtocolVersion"} {
			if v, _ := s.Peerstore().Get(target, what); v != "metastate" {
				t.Errorf("%s %v", what, v)
			}
		}
		// Who stays without knocking is sent away.
		eventually(t, 90*time.Second, "sent away", func() bool { return len(s.Network().Conns()) == 0 })
	})
}

// A stranger that dribbles, lies about lengths or floods is cut off in bounded
// time, while another's knock is answered.
func TestLobbyUnderAttack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		var running, most atomic.Int64
		l := newLobby(t, n, func(ctx context.Context, who string, req []byte) ([]byte, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			if bytes.HasPrefix(req, []byte("slow")) {
				<-ctx.Done()
			}
			return req, nil
		})
		defer l.Close()
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				s := newStranger(t, n, 50+i)
				defer s.Close()
				target, _ := peer.Decode(l.ID())
				if err := s.Connect(t.Context(), peer.AddrInfo{ID: target, Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}); err != nil {
					t.Error(err)
					return
				}
				start := time.Now()
				st, err := s.NewStream(t.Context(), target, "/metastate/join/1")
				if err != nil {
					t.Error(err)
					return
				}
				switch i % 3 {
				case 0:
					for err == nil && time.Since(start) < time.Minute {
						_, err = st.Write([]byte{0})
						time.Sleep(time.Second)
					}
				case 1:
					_, _ = st.Write([]byte{0, 1, 0, 1, 1}) // 64 KiB and one byte
					_, err = io.ReadAll(st)
				case 2:
					_, _ = st.Write(frame(1, []byte("slow")))
					_, err = io.ReadAll(st)
				}
				if err == nil || time.Since(start) > 30*time.Second {
					t.Errorf("attack %d went on for %v: %v", i%3, time.Since(start), err)
				}
			})
		}
		time.Sleep(2 * time.Second)
		if resp, _, err := knock(n, 7, "honest", 0); err != nil || resp != "honest" {
			t.Error(resp, err)
		}
		wg.Wait()
		// One peer that floods gets its burst and no more.
		s := newStranger(t, n, 60)
		defer s.Close()
		target, _ := peer.Decode(l.ID())
		if err := s.Connect(t.Context(), peer.AddrInfo{ID: target, Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}); err != nil {
			t.Fatal(err)
		}
		answered := 0
		for range 40 {
			st, err := s.NewStream(t.Context(), target, "/metastate/join/1")
			if err != nil {
				continue
			}
			_, _ = st.Write(frame(1, []byte("again")))
			if b, _ := io.ReadAll(st); len(b) > 0 {
				answered++
			}
		}
		if answered < 1 || answered > 8 {
			t.Errorf("%d of 40 knocks of one peer answered", answered)
		}
		if most.Load() > 16 {
			t.Errorf("%d at once", most.Load())
		}
	})
}

// One address gets its burst, all together theirs.
func TestLobbyRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		defer n.Close()
		l := newLobby(t, n, echo)
		defer l.Close()
		answered := func(count int, place func(i int) (machine, port int)) int64 {
			var got atomic.Int64
			var wg sync.WaitGroup
			for i := range count {
				machine, at := place(i)
				wg.Go(func() {
					cfg := p2p.Config{Seed: seed(machine*1000 + at), Underlay: n.Underlay(machine, at)}
					boot := []p2p.Peer{{ID: id(0), Addrs: []string{p2psim.Addr(0, port)}}}
					if p2p.Knock(t.Context(), cfg, boot, []byte("me"), func(string, []byte) bool { return true }) == nil {
						got.Add(1)
					}
				})
				time.Sleep(10 * time.Millisecond) // the lobby answers 16 at once
			}
			wg.Wait()
			return got.Load()
		}
		if got := answered(32, func(i int) (int, int) { return 9, 9000 + i }); got < 29 || got > 31 {
			t.Errorf("%d of 32 at one address answered", got)
		}
		time.Sleep(time.Minute)
		if got := answered(80, func(i int) (int, int) { return 100 + i, port }); got < 50 || got > 62 {
			t.Errorf("%d of 80 answered", got)
		}
	})
}
