package node

import "time"

// Peers are the nodes of other members that this node knows of.
func (c *Community) Peers() []Peer {
	m := c.presence()
	if m == nil {
		return []Peer{}
	}
	out := []Peer{}
	for _, p := range m.Peers() {
		e := Peer{ID: p.ID, Metastate: c.id, Address: p.Address, Connected: p.Connected, Direct: p.Direct}
		last := p.LastSync
		if p.Served.After(last) {
			last = p.Served
		}
		if !last.IsZero() {
			t := last.UTC().Truncate(time.Second)
			e.LastSync = &t
		}
		out = append(out, e)
	}
	return out
}
