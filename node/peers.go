package node

import "time"

// Peers are the nodes of other members that this node knows of.
func (c *Community) Peers() []Peer {
	m := c.presence()
	if m == nil {
		return []Peer{}
	}
	out, people := []Peer{}, c.people()
	for _, p := range m.Peers() {
		e := Peer{ID: p.ID, Metastate: c.id, Address: p.Address, Connected: p.Connected, Direct: p.Direct}
		if who, ok := people[p.ID]; ok {
			e.Member = &who
		}
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
