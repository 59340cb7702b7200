package node

import (
	"maps"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// spend marks the places of covered ballots that don't count: whoever fills a
// place with those can't go on. Other ballots held in such a place are dropped,
// since no node that came later to this checkpoint takes them (SPEC §4.1).
// Caller holds mu.
func (l *ledger) spend(recs []*protocol.Record, verdicts []protocol.Verdict) {
	void := map[protocol.ID]bool{}
	for _, v := range verdicts {
		void[v.Record] = !v.Stands
	}
	rivals := false
	for _, r := range recs {
		if r.Plane() == protocol.Control || !void[r.ID()] {
			continue
		}
		at := placeOf(r.Header())
		if l.spent[at.subject] == nil {
			l.spent[at.subject] = map[place]bool{}
		}
		l.spent[at.subject][at] = true
		rivals = rivals || l.places[at] > 0
	}
	if !rivals {
		return
	}
	for _, r := range l.open {
		if at := placeOf(r.Header()); l.spent[at.subject][at] {
			l.drop(r.Record)
		}
	}
}

// lapse drops records that can't be covered any more, and all that names them as
// before it, so that nodes at one checkpoint hold the same (SPEC §4.1). It looks
// at those of whose authors the checkpoint covered something, or at all if the
// window moved. Caller holds mu.
func (l *ledger) lapse(covered []*protocol.Record, all bool) {
	authors := map[protocol.ID]bool{}
	for _, r := range covered {
		authors[r.Author()] = true
	}
	s := l.tip.State()
	dead := map[protocol.ID]bool{}
	for id, r := range l.open {
		if (all || authors[r.Author()] || r.Kind() == protocol.Inception) && s.Lapsed(r.Record) {
			dead[id] = true
		}
	}
	if len(dead) == 0 {
		return
	}
	control := make([]*protocol.Record, 0, len(l.open))
	for _, r := range l.open {
		if r.Plane() == protocol.Control {
			control = append(control, r.Record)
		}
	}
	keys := map[identity.PublicKey]bool{}
	for _, r := range state.Order(control) {
		h := r.Header()
		if !dead[r.ID()] && !dead[h.Prev] && !slices.ContainsFunc(h.Parents, func(id protocol.ID) bool { return dead[id] }) {
			continue
		}
		dead[r.ID()], keys[h.Key] = true, true
		l.drop(r)
		if h.Key == l.own {
			l.lapsed = append(l.lapsed, r)
		}
	}
	l.log.Info("records that can't become final any more were dropped", "records", len(dead))
	l.regrow(keys)
}

// drop forgets an open record.
func (x *holdings) drop(r *protocol.Record) {
	x.settle(r)
	subject := r.Header().Subject
	x.sets[subject] = x.sets[subject].Delete(r.ID())
	x.stale[subject] = true
	delete(x.headers, r.ID())
	delete(x.heads, r.ID())
}

// regrow finds the heads again, and the ends of chains that lost records: what
// is open and nothing open follows, and what is final where nothing does. Caller
// holds mu.
func (l *ledger) regrow(keys map[identity.PublicKey]bool) {
	for _, id := range l.tip.Frontier() {
		l.heads[id] = true
	}
	for key := range keys {
		delete(l.ends, key)
		if d := l.tip.State().Roll().Device(key); d != nil && l.headers[d.Chain.Head].Key == key {
			l.ends[key] = d.Chain.Head
		}
	}
	open := slices.Collect(maps.Values(l.open))
	for _, r := range open {
		if r.Plane() == protocol.Control {
			l.heads[r.ID()] = true
		}
	}
	for _, r := range open {
		h := r.Header()
		if r.Plane() == protocol.Bulk {
			continue
		}
		for _, p := range append(slices.Clone(h.Parents), h.Prev) {
			delete(l.heads, p)
		}
		if end, ok := l.ends[h.Key]; keys[h.Key] && (!ok || l.headers[end].Seq < h.Seq) {
			l.ends[h.Key] = r.ID()
		}
	}
}
