package socks

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/node/internal/socks/sockstest"
)

// A name goes to the proxy unresolved, with the user's name, and bytes pass
// both ways.
func TestDial(t *testing.T) {
	proxy, err := sockstest.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	const name = "nowhere.invalid" // no resolver knows it
	proxy.Serve(name)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	port := uint16(echo.Addr().(*net.TCPAddr).Port)
	for _, host := range []string{name, "127.0.0.1"} {
		c, err := Proxy{Addr: proxy.Addr(), User: "anna"}.Dial(t.Context(), host, port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
			t.Errorf("%q, %v", got, err)
		}
	}
	want := []sockstest.Request{{User: "anna", Host: name, Port: port}, {User: "anna", Host: "127.0.0.1", Port: port}}
	if got := proxy.Requests(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("asked for %v", got)
	}
	_, err = Proxy{Addr: proxy.Addr(), User: "anna"}.Dial(t.Context(), "other.invalid", port)
	if !errors.Is(err, ErrTarget) || errors.Is(err, ErrProxy) {
		t.Errorf("a name that leads nowhere: %v", err)
	}
	if err := (Proxy{Addr: proxy.Addr(), User: "a"}).Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDialArguments(t *testing.T) {
	long := strings.Repeat("a", 256)
	for _, c := range []struct {
		proxy Proxy
		host  string
	}{
		{Proxy{Addr: "127.0.0.1:1", User: ""}, "a"},
		{Proxy{Addr: "127.0.0.1:1", User: long}, "a"},
		{Proxy{Addr: "127.0.0.1:1", User: "u"}, ""},
		{Proxy{Addr: "127.0.0.1:1", User: "u"}, long},
		{Proxy{Addr: "localhost:1", User: "u"}, "a"}, // its name would be looked up
		{Proxy{Addr: "127.0.0.1", User: "u"}, "a"},
	} {
		if _, err := c.proxy.Dial(t.Context(), c.host, 1); err == nil {
			t.Errorf("%v, %q: no error", c.proxy, c.host)
		}
	}
}

// saying is a proxy that says the same to everyone, and then nothing.
func saying(t *testing.T, reply []byte) Proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			_, _ = c.Write(reply)
		}
	}()
	return Proxy{Addr: l.Addr().String(), User: "u"}
}

// A proxy that takes no user names is refused: without them nothing keeps the
// presences of a node apart. So is what is no proxy.
func TestProxyRefused(t *testing.T) {
	for _, reply := range []string{"\x05\x00", "\x05\xff", "\x04\x02", "HTTP/1.1 400", "\x05\x02\x01\x01", "\x05\x02\x01\x00\x04\x00\x00\x01", "\x05\x02\x01\x00\x05\x00\x00\x09"} {
		_, err := saying(t, []byte(reply)).Dial(t.Context(), "a", 1)
		if !errors.Is(err, ErrProxy) {
			t.Errorf("%q: %v", reply, err)
		}
	}
	if err := (Proxy{Addr: "127.0.0.1:1", User: "u"}).Probe(t.Context()); !errors.Is(err, ErrProxy) {
		t.Errorf("no proxy: %v", err)
	}
}

// A proxy that says nothing is given up with the context.
func TestDialEnds(t *testing.T) {
	for _, reply := range []string{"", "\x05\x02\x01\x00", "\x05\x02\x01\x00\x05\x00\x00\x03\xff"} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if c, err := saying(t, []byte(reply)).Dial(ctx, "a", 1); err == nil {
			c.Close()
			t.Errorf("%q: no error", reply)
		}
		cancel()
	}
}

// FuzzExchange reads what a proxy could say, never beyond its reply.
func FuzzExchange(f *testing.F) {
	for _, s := range []string{"\x05\x00\x00\x01aaaapp", "\x05\x00\x00\x03\x02nnpp", "\x05\x00\x00\x04aaaaaaaaaaaaaaaapp", "\x05\xf0\x00\x01aaaapp", "", "\x05"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		const rest = "the target's"
		all := append(bytes.Clone(reply), rest...)
		in := bytes.NewBuffer(all)
		err := exchange(struct {
			io.Reader
			io.Writer
		}{in, io.Discard}, nil)
		if err == nil && (all[0] != 5 || all[1] != 0 || len(all)-in.Len() < 7) {
			t.Errorf("%x was taken for success", reply)
		}
		if size := len(all) - in.Len(); size > 4+1+255+2 {
			t.Errorf("%d bytes read", size)
		}
	})
}
