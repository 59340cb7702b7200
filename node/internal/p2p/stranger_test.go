package p2p_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pprotocol "github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/node/internal/p2p/p2psim"
)

// stranger is a bare libp2p host that writes down what anyone tells it.
type stranger struct {
	host.Host
	mu    sync.Mutex
	heard bytes.Buffer // guarded by mu
}

func newStranger(t *testing.T, n *p2psim.Network, machine int) *stranger {
	t.Helper()
	h, err := n.Underlay(machine, port)(libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		t.Fatal(err)
	}
	s := &stranger{Host: h}
	h.SetStreamHandlerMatch("/metastate/", func(p libp2pprotocol.ID) bool { return strings.HasPrefix(string(p), "/metastate/") },
		func(st network.Stream) {
			var b [4096]byte
			for {
				n, err := st.Read(b[:])
				s.mu.Lock()
				s.heard.WriteString(string(st.Protocol()))
				s.heard.Write(b[:n])
				s.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	return s
}

// friend is a host that the first member knows and is connected with. Closing it
// is left to the test: before its bubble ends.
func (w *town) friend(t *testing.T) (s *stranger, first peer.ID) {
	t.Helper()
	s = newStranger(t, w.net, 50)
	w.replicas[0].Know(true, s.ID().String())
	first, err := peer.Decode(id(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Connect(t.Context(), peer.AddrInfo{ID: first, Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}); err != nil {
		t.Fatal(err)
	}
	return s, first
}

func (s *stranger) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.heard.Bytes())
}

func TestStrangerLearnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		s := newStranger(t, w.net, 50)
		defer s.Close()
		target, _ := peer.Decode(id(0))
		_ = s.Connect(t.Context(), peer.AddrInfo{ID: target, Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}})
		// The member does not dial it either.
		_ = w.members[0].AddPeer(p2p.Peer{ID: s.ID().String(), Addrs: []string{p2psim.Addr(50, port)}, Bootstrap: true})
		time.Sleep(time.Minute)
		if b := s.bytes(); len(b) != 0 {
			t.Errorf("a stranger heard %q", b)
		}
		if c := s.Network().ConnsToPeer(target); len(c) != 0 {
			t.Error("a stranger stays connected")
		}
		if protos, _ := s.Peerstore().GetProtocols(target); len(protos) != 0 {
			t.Errorf("a stranger learned protocols %v", protos)
		}
		if _, err := s.NewStream(t.Context(), target, "/metastate/sync/1"); err == nil {
			t.Error("a stranger opened a stream")
		}
		if w.members[0].Metrics().Refused == 0 {
			t.Error("the refusal is not counted")
		}
	})
}

// A known transport key without the epoch secret gets a nonce, no proof, no
// binding and no record.
func TestKnownKeyWithoutSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		w.replicas[0].Add(plane, "confidential")
		s, target := w.friend(t)
		defer s.Close()
		st, err := s.NewStream(t.Context(), target, "/metastate/sync/1")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = st.Write(frame(1, make([]byte, 16+32)))
		got := make([]byte, 5+16)
		if _, err := io.ReadFull(st, got); err != nil {
			t.Fatal(err)
		}
		_, _ = st.Write(frame(3, append(make([]byte, 32), "binding of 9"...)))
		_, _ = st.Write(frame(16, nil))
		more, err := io.ReadAll(st)
		if got = append(got, more...); len(more) != 0 {
			t.Errorf("a guest without the secret got %q and %v", got, err)
		}
		if bytes.Contains(got, []byte("binding")) || bytes.Contains(got, []byte("confidential")) {
			t.Errorf("got %q", got)
		}
		if w.members[0].Metrics().Sync.Misbehaved == 0 {
			t.Error("not counted")
		}
	})
}

func frame(typ byte, body []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), typ), body...)
}

// A peer that starts a session and then dribbles holds it for a bounded time,
// and others are served meanwhile.
func TestSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		s, target := w.friend(t)
		defer s.Close()
		for _, p := range []libp2pprotocol.ID{"/metastate/sync/1", "/metastate/push/1"} {
			st, err := s.NewStream(t.Context(), target, p)
			if err != nil {
				t.Fatal(err)
			}
			start, hello := time.Now(), frame(1, make([]byte, 60))
			for _, b := range hello {
				if _, err = st.Write([]byte{b}); err != nil {
					break
				}
				time.Sleep(time.Second)
			}
			if err == nil || time.Since(start) > 25*time.Second {
				t.Errorf("%s: dribbling went on for %v: %v", p, time.Since(start), err)
			}
		}
		w.replicas[0].Add(plane, "served meanwhile")
		if _, err := w.members[1].SyncNow(t.Context()); err != nil || !w.replicas[1].Has("served meanwhile") {
			t.Error("others are not served", err)
		}
	})
}

// One session at a time for a peer, and a bounded number for all.
func TestInboundIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		target, _ := peer.Decode(id(0))
		// open reports whether the member waits for the rest of a hello on a new
		// stream.
		open := func(s *stranger) bool {
			st, err := s.NewStream(t.Context(), target, "/metastate/sync/1")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = st.Write(frame(1, make([]byte, 16))[:8])
			_ = st.SetReadDeadline(time.Now().Add(1500 * time.Millisecond))
			_, err = io.ReadFull(st, make([]byte, 5))
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
		served := 0
		for i := range 10 {
			s := newStranger(t, w.net, 50+i)
			defer s.Close()
			w.replicas[0].Know(true, s.ID().String())
			if err := s.Connect(t.Context(), peer.AddrInfo{ID: target, Addrs: []ma.Multiaddr{ma.StringCast(p2psim.Addr(0, port))}}); err != nil {
				t.Fatal(err)
			}
			if open(s) {
				served++
			}
			if i == 0 && open(s) {
				t.Error("two sessions of one peer at once")
			}
		}
		if served != 8 {
			t.Errorf("%d sessions served at once", served)
		}
	})
}

// A pushed message that the member ignores is not acknowledged.
func TestIgnoredPushIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		defer w.close(t)
		w.connected(t, 1)
		s, target := w.friend(t)
		defer s.Close()
		st, err := s.NewStream(t.Context(), target, "/metastate/push/1")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = st.Write(frame(1, []byte{0x82, 0x09, 0x81, 0x41, 0x01})) // a kind of a later version
		if got, err := io.ReadAll(st); len(got) != 0 || err == nil {
			t.Errorf("%x, %v", got, err)
		}
	})
}
