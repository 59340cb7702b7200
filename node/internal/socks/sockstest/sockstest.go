// Package sockstest is a SOCKS5 proxy for tests, in place of Tor's. It tells
// what it was asked, and leads names to ports of this machine, as the onion
// services of nodes on it would.
package sockstest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
)

// A Request is what a client asked for. Host is as it was sent: a name, or an
// IP address as text.
type Request struct {
	User string
	Host string
	Port uint16
}

// A Proxy serves until Close. Its methods may be called from several goroutines.
type Proxy struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	names    map[string]bool // guarded by mu; names that lead to this machine
	requests []Request       // guarded by mu
	clients  int             // guarded by mu
	dials    int             // guarded by mu
	open     []net.Conn      // guarded by mu
	closed   bool            // guarded by mu
}

// Listen starts a proxy on a free port of loopback.
func Listen() (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, names: map[string]bool{}}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.clients++
			p.mu.Unlock()
			if p.keep(c) {
				p.wg.Go(func() { p.serve(c) })
			}
		}
	})
	return p, nil
}

// Addr is the proxy's IP address and port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Serve leads a name to the same port of 127.0.0.1. IP addresses of loopback
// are led there anyway; all else is refused.
func (p *Proxy) Serve(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names[name] = true
}

// Requests lists what was asked so far.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// Traffic is the number of connections that the proxy took, and that it tried to
// make.
func (p *Proxy) Traffic() (taken, tried int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients, p.dials
}

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	err := p.listener.Close()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

// keep has Close end c, and ends it at once if it came too late.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.open = append(p.open, c)
	return true
}

// note takes a request down, and reports whether it leads anywhere.
func (p *Proxy) note(r Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	a, err := netip.ParseAddr(r.Host)
	known := p.names[r.Host] || err == nil && a.IsLoopback()
	if known {
		p.dials++
	}
	return known
}

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	r, err := read(c)
	if err != nil {
		return
	}
	if !p.note(r) {
		_, _ = c.Write([]byte{5, 0xf0, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	target, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(r.Port))))
	if err != nil {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer target.Close()
	if !p.keep(target) {
		return
	}
	if _, err := c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err != nil {
		return
	}
	p.wg.Go(func() {
		_, _ = io.Copy(target, c)
		_ = target.Close()
	})
	_, _ = io.Copy(c, target)
}

// read takes the client's side of the handshake: a user name, and whom to
// connect to.
func read(c net.Conn) (r Request, err error) {
	part := func(n byte) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(c, b)
		}
		return b
	}
	hello := part(2)
	methods := part(hello[1])
	if err != nil || hello[0] != 5 || !slices.Contains(methods, 2) {
		return r, errors.Join(err, errors.New("sockstest: no user name"))
	}
	if _, err = c.Write([]byte{5, 2}); err != nil {
		return r, err
	}
	r.User = string(part(part(2)[1]))
	part(part(1)[0]) // the password
	if err != nil {
		return r, err
	}
	if _, err = c.Write([]byte{1, 0}); err != nil {
		return r, err
	}
	head := part(4)
	switch head[3] {
	case 1:
		r.Host = netip.AddrFrom4([4]byte(part(4))).String()
	case 4:
		r.Host = netip.AddrFrom16([16]byte(part(16))).String()
	case 3:
		r.Host = string(part(part(1)[0]))
	default:
		return r, errors.New("sockstest: an address of another kind")
	}
	r.Port = binary.BigEndian.Uint16(part(2))
	return r, err
}
