package main

import (
	"errors"
	"net"
	"strings"
	"testing"
)

func TestParseListen(t *testing.T) {
	for text, want := range map[string]bool{
		"/ip4/0.0.0.0/tcp/0":              true,
		"/ip6/::/udp/4001/quic-v1":        true,
		"/ip6zone/eth0/ip6/fe80::1/tcp/1": true,
		"":                                false,
		"nonsense":                        false,
		"127.0.0.1:4001":                  false,
		"/ip4/127.0.0.1":                  false,
		"/ip4/127.0.0.1/tcp/99999":        false,
		"/ip4/127.0.0.1/udp/1":            false,
		"/ip4/127.0.0.1/tcp/1/ws":         true,
		"/dns4/localhost/tcp/1":           false,
	} {
		if _, ok := parseListen(text); ok != want {
			t.Errorf("%q: %v", text, ok)
		}
	}
}

// A restart without --listen listens more widely than before: people are told.
func TestReach(t *testing.T) {
	const widens = "without, it listens on every interface"
	for _, test := range []struct {
		listen []string
		want   []string
	}{
		{nil, []string{"on every interface", "other computers can reach it"}},
		{[]string{"/ip4/127.0.0.1/tcp/0", "/ip6/::1/udp/0/quic-v1"}, []string{"for this computer alone", widens}},
		{[]string{"/ip4/127.0.0.1/tcp/0", "/ip4/0.0.0.0/tcp/0"}, []string{"as --listen says", widens}},
	} {
		got := reach(test.listen)
		for _, w := range test.want {
			if !strings.Contains(got, w) {
				t.Errorf("%q: says %q, without %q", test.listen, got, w)
			}
		}
		if len(test.listen) == 2 && strings.HasSuffix(test.listen[1], "0.0/tcp/0") && strings.Contains(got, "alone") {
			t.Errorf("%q: %s", test.listen, got)
		}
	}
}

func TestWhyNotListening(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	taken := "/ip4/127.0.0.1/tcp/" + port
	f, ok := errors.AsType[*failure](whyNotListening([]string{"/ip4/127.0.0.1/udp/0/quic-v1", taken}))
	if !ok || f.Code != "cannot-listen" || !strings.Contains(f.Message, taken) || !strings.Contains(f.Hint, "stop the program") {
		t.Errorf("a taken port is told as %+v", f)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := whyNotListening([]string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}); err != nil {
		t.Errorf("free addresses: %v", err)
	}
}

// People are told what shows that their metastates are one person's, and what
// Tor does not hide.
func TestLinkable(t *testing.T) {
	for profile, words := range map[string]string{"member": "it is one computer", "relay": "it is one computer", "hidden": "when you are on"} {
		if got := (runFlags{profile: profile}).linkable(); !strings.Contains(got, words) {
			t.Errorf("%s: %s", profile, got)
		}
	}
	for onions, shows := range map[int]bool{0: false, 1: true} {
		got := (runFlags{profile: "hidden", onions: make([]string, onions)}).linkable()
		if strings.Contains(got, "its onion address") != shows || !strings.Contains(got, "when you are on, and what you write") {
			t.Errorf("%d: %s", onions, got)
		}
	}
	for onions, words := range map[int]string{0: "nobody can reach it", 2: "by 2 onion services"} {
		if got := (runFlags{profile: "hidden", onions: make([]string, onions)}).reach(); !strings.Contains(got, words) {
			t.Errorf("%d: %s", onions, got)
		}
	}
}
