// Package socks opens TCP connections through a SOCKS5 proxy such as Tor's
// (RFC 1928), always with a user name and password (RFC 1929): Tor gives
// streams of different names different circuits, so that who sees one can't
// tell that another is of the same node (Tor's IsolateSOCKSAuth, on by
// default). Names of hosts go to the proxy as they are and are never looked up.
//
// A proxy that takes no user name is refused, since nothing would then keep the
// presences of a node apart.
package socks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// A Proxy is a SOCKS5 proxy and who its streams belong to.
type Proxy struct {
	Addr string // an IP address and a port
	User string // 1..255 bytes; one for each presence
}

// ErrProxy is wrapped by every failure of the proxy itself: it is not there, or
// is none. ErrTarget is wrapped where the proxy did not reach the target.
var (
	ErrProxy  = errors.New("the SOCKS proxy does not serve")
	ErrTarget = errors.New("not reached through the SOCKS proxy")
)

const (
	version    = 5
	byPassword = 2
	connect    = 1
	ip4        = 1
	name       = 3
	ip6        = 4
)

// Dial connects to a host (an IP address or a name of 1..255 bytes) and port,
// until ctx ends.
func (p Proxy) Dial(ctx context.Context, host string, port uint16) (net.Conn, error) {
	request, err := request(host, port)
	if err != nil {
		return nil, err
	}
	c, err := p.greet(ctx)
	if err != nil {
		return nil, err
	}
	stop := interrupt(ctx, c)
	err = exchange(c, request)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("socks: connecting: %w", err)
	}
	return c, nil
}

// Probe reports whether the proxy answers and takes user names. It connects to
// nothing behind it.
func (p Proxy) Probe(ctx context.Context) error {
	c, err := p.greet(ctx)
	if err != nil {
		return err
	}
	return c.Close()
}

// greet connects to the proxy and names the user.
func (p Proxy) greet(ctx context.Context) (net.Conn, error) {
	if len(p.User) < 1 || len(p.User) > 255 {
		return nil, fmt.Errorf("socks: a user name of %d bytes", len(p.User))
	}
	// Only to an address: a name would be looked up.
	if _, err := netip.ParseAddrPort(p.Addr); err != nil {
		return nil, fmt.Errorf("socks: %w: its address is not an IP address and a port: %w", ErrProxy, err)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		return nil, fmt.Errorf("socks: %w: %w", ErrProxy, err)
	}
	stop := interrupt(ctx, c)
	err = authenticate(c, p.User)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("socks: %w: %w", ErrProxy, err)
	}
	return c, nil
}

// interrupt ends what is being read and written when ctx does. The function it
// returns reports whether that did not happen.
func interrupt(ctx context.Context, c net.Conn) func() bool {
	return context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

func authenticate(c io.ReadWriter, user string) error {
	if _, err := c.Write([]byte{version, 1, byPassword}); err != nil {
		return err
	}
	var chosen [2]byte
	if _, err := io.ReadFull(c, chosen[:]); err != nil {
		return err
	}
	if chosen[0] != version {
		return errors.New("what answers is no SOCKS5 proxy")
	}
	if chosen[1] != byPassword {
		return errors.New("it takes no user names, by which presences are kept apart")
	}
	// The password matters to nobody; Tor tells apart by both.
	login := append([]byte{1, byte(len(user))}, user...)
	login = append(login, 1, '0')
	if _, err := c.Write(login); err != nil {
		return err
	}
	var status [2]byte
	if _, err := io.ReadFull(c, status[:]); err != nil {
		return err
	}
	if status[1] != 0 {
		return errors.New("it refuses the user name")
	}
	return nil
}

// request is the request to connect to host.
func request(host string, port uint16) ([]byte, error) {
	b := []byte{version, connect, 0}
	if a, err := netip.ParseAddr(host); err == nil {
		kind := byte(ip6)
		if a = a.Unmap(); a.Is4() {
			kind = ip4
		}
		b = append(append(b, kind), a.AsSlice()...)
	} else {
		if len(host) < 1 || len(host) > 255 {
			return nil, fmt.Errorf("socks: a host's name of %d bytes", len(host))
		}
		b = append(append(b, name, byte(len(host))), host...)
	}
	return binary.BigEndian.AppendUint16(b, port), nil
}

// exchange sends a request and reads the reply to its last byte: what follows
// is the target's.
func exchange(c io.ReadWriter, request []byte) error {
	if _, err := c.Write(request); err != nil {
		return fmt.Errorf("%w: %w", ErrProxy, err)
	}
	var head [4]byte // version, reply, reserved, kind of address
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrProxy, err)
	}
	if head[0] != version {
		return fmt.Errorf("%w: what answers is no SOCKS5 proxy", ErrProxy)
	}
	if head[1] != 0 {
		return fmt.Errorf("%w: %s", ErrTarget, reason(head[1]))
	}
	var size int
	switch head[3] {
	case ip4:
		size = 4
	case ip6:
		size = 16
	case name:
		var n [1]byte
		if _, err := io.ReadFull(c, n[:]); err != nil {
			return fmt.Errorf("%w: %w", ErrProxy, err)
		}
		size = int(n[0])
	default:
		return fmt.Errorf("%w: a reply with an address of kind %d", ErrProxy, head[3])
	}
	if _, err := io.CopyN(io.Discard, c, int64(size)+2); err != nil { // and the port
		return fmt.Errorf("%w: %w", ErrProxy, err)
	}
	return nil
}

// reason puts a reply's code into words: RFC 1928 §6, and what Tor adds for
// onion services (its socks-extensions.txt).
func reason(code byte) string {
	switch code {
	case 2:
		return "the proxy's rules do not allow it"
	case 3, 4:
		return "no way leads there"
	case 5:
		return "it refuses connections"
	case 6:
		return "it took too long"
	case 0xf0, 0xf1, 0xf2, 0xf3, 0xf6, 0xf7:
		return "the onion service is not there, or is off"
	case 0xf4, 0xf5:
		return "the onion service wants a key"
	}
	return fmt.Sprintf("the proxy says %d", code)
}
