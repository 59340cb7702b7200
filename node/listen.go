package node

import (
	"slices"
	"strings"
)

// anywhere is where presences listen unless told otherwise.
var anywhere = []string{"/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1"}

// withPorts returns listen addresses with the port of each transport (tcp,
// udp) that port gives; one it does not give stays as it is.
func withPorts(listen []string, port func(transport, was string) string) []string {
	out := make([]string, len(listen))
	for i, a := range listen {
		parts := strings.Split(a, "/")
		for j := 1; j+1 < len(parts); j++ {
			if parts[j] == "tcp" || parts[j] == "udp" {
				parts[j+1] = port(parts[j], parts[j+1])
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

// portsOf notes the ports of addresses for samePorts.
func portsOf(addrs []string) []byte {
	var lines []string
	withPorts(addrs, func(transport, port string) string {
		if line := transport + " " + port; !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
		return port
	})
	return []byte(strings.Join(lines, "\n"))
}
