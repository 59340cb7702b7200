package node

import (
	"slices"
	"strconv"
	"strings"
)

// withPorts returns listen addresses with the port of each transport (tcp,
// udp, ws) that port gives; one it does not give stays as it is.
func withPorts(listen []string, port func(transport, was string) string) []string {
	out := make([]string, len(listen))
	for i, a := range listen {
		parts := strings.Split(a, "/")
		for j := 1; j+1 < len(parts); j++ {
			if parts[j] == "tcp" || parts[j] == "udp" {
				transport := parts[j]
				if slices.Contains(parts[j+2:], "ws") {
					transport = "ws"
				}
				parts[j+1] = port(transport, parts[j+1])
				break
			}
		}
		out[i] = strings.Join(parts, "/")
	}
	return out
}

// anyPorts returns the addresses with every port left to the system.
func anyPorts(listen []string) []string {
	return withPorts(listen, func(string, string) string { return "0" })
}

// samePorts returns the addresses with the ports that an earlier run got, where
// they leave the port to the system.
func samePorts(listen []string, remembered []byte) []string {
	ports := map[string]string{}
	for line := range strings.Lines(string(remembered)) {
		if transport, port, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			ports[transport] = port
		}
	}
	return withPorts(listen, func(transport, was string) string {
		if p := ports[transport]; p != "" && was == "0" {
			return p
		}
		return was
	})
}

// laterPorts returns the addresses with each port that is fixed raised by n.
func laterPorts(listen []string, n int) []string {
	return withPorts(listen, func(_, was string) string {
		p, err := strconv.Atoi(was)
		if err != nil || p == 0 || p+n > 65535 {
			return "0"
		}
		return strconv.Itoa(p + n)
	})
}

// portsOf notes the ports of addresses for samePorts. Those of circuits are their
// relays', and those of names and behind TLS of what stands in front.
func portsOf(addrs []string) []byte {
	var lines []string
	own := slices.DeleteFunc(slices.Clone(addrs), func(a string) bool {
		return strings.Contains(a, "/p2p-circuit") || strings.Contains(a, "/tls/") || strings.HasPrefix(a, "/dns")
	})
	withPorts(own, func(transport, port string) string {
		if line := transport + " " + port; !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
		return port
	})
	return []byte(strings.Join(lines, "\n"))
}
