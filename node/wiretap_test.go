package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	libnet "github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// gossiped leaves out the three nested lengths that begin a gossip message.
// They follow from how many records a message happens to carry.
func gossiped(b []byte) []byte {
	rest, size := b, uint64(0)
	for i := range 3 {
		if i > 0 {
			if len(rest) == 0 || rest[0] != 0x12 {
				return b
			}
			rest = rest[1:]
		}
		n, k := binary.Uvarint(rest)
		if k <= 0 || i == 0 && n != uint64(len(rest)-k) || i > 0 && n >= size {
			return b
		}
		rest, size = rest[k:], n
	}
	return rest
}

// A wiretap makes hosts on TCP, and copies what they write to streams.
type wiretap struct {
	mu     sync.Mutex
	writes map[string][][]byte // guarded by mu: by local peer id
}

func (w *wiretap) underlay(needs ...libp2p.Option) (host.Host, error) {
	return libp2p.New(append(needs, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New), libp2p.Muxer(yamux.ID, tapMuxer{w}))...)
}

type tapMuxer struct{ tap *wiretap }

func (m tapMuxer) NewConn(c net.Conn, server bool, scope libnet.PeerScope) (libnet.MuxedConn, error) {
	local, ok := c.(interface{ LocalPeer() peer.ID })
	if !ok {
		return nil, fmt.Errorf("%T has no local peer", c)
	}
	mc, err := yamux.DefaultTransport.NewConn(c, server, scope)
	return tapConn{mc, m.tap, local.LocalPeer().String()}, err
}

type tapConn struct {
	libnet.MuxedConn
	tap   *wiretap
	local string
}

func (c tapConn) wrap(s libnet.MuxedStream, err error) (libnet.MuxedStream, error) {
	if err != nil {
		return nil, err
	}
	return tapStream{s, c}, nil
}

func (c tapConn) OpenStream(ctx context.Context) (libnet.MuxedStream, error) {
	return c.wrap(c.MuxedConn.OpenStream(ctx))
}

func (c tapConn) AcceptStream() (libnet.MuxedStream, error) {
	return c.wrap(c.MuxedConn.AcceptStream())
}

type tapStream struct {
	libnet.MuxedStream
	conn tapConn
}

func (s tapStream) Write(b []byte) (int, error) {
	s.conn.tap.mu.Lock()
	s.conn.tap.writes[s.conn.local] = append(s.conn.tap.writes[s.conn.local], bytes.Clone(b))
	s.conn.tap.mu.Unlock()
	return s.MuxedStream.Write(b)
}
