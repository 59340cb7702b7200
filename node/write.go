package node

import (
	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// write makes a record of this node's own: make is given the header filled in
// with the author's chain, parents and checkpoint, and signs. The record is
// durable when write returns.
func (l *ledger) write(author protocol.ID, key identity.PublicKey, kind protocol.Kind, subject protocol.ID,
	make func(protocol.Header) (*protocol.Record, error),
) (*protocol.Record, error) {
	l.mu.Lock()
	r, err := l.compose(author, key, kind, subject, make)
	l.mu.Unlock()
	if err == nil {
		l.changed()
	}
	return r, err
}

func (l *ledger) compose(author protocol.ID, key identity.PublicKey, kind protocol.Kind, subject protocol.ID,
	make func(protocol.Header) (*protocol.Record, error),
) (*protocol.Record, error) {
	h := protocol.Header{
		Metastate: l.metastate, Kind: kind, Persona: author, Key: key,
		Checkpoint: l.tip.Ref(), Subject: subject, Time: l.now().Unix(),
	}
	if subject.IsZero() {
		l.link(&h)
	} else {
		h.Seq = l.nextBulk(author, subject)
	}
	r, err := make(h)
	if err != nil {
		return nil, err
	}
	var d delivery
	if err := l.take([]*protocol.Record{r}, &d); err != nil {
		return nil, err
	}
	if len(d.refused) > 0 {
		return nil, &Error{Code: "refused", Exit: ExitRefused, Message: d.refused[0].err.Error(), Err: d.refused[0].err}
	}
	if d.taken == 0 {
		return nil, &Error{Code: "refused", Exit: ExitRefused, Message: "the record repeats one that is held already"}
	}
	return r, nil
}

// nextBulk is the number of an author's next record in a subject: above those of
// the author's that wait, of ballots that count, also for others, and of places that
// void ballots have spent, where every node refuses what comes. Caller holds mu.
func (l *ledger) nextBulk(author, subject protocol.ID) uint64 {
	var next uint64
	after := func(seq uint64) { next = max(next, seq+1) }
	s := l.tip.State()
	if p := s.Decisions().Poll(subject); p != nil {
		if v, ok := p.Ballots.Get(author); ok {
			after(v.Seq)
		}
		if s.Charter().Assist.Cap > 0 { // an officer's ballots are by voter
			for _, v := range p.Ballots.All() {
				if v.By == author {
					after(v.Seq)
				}
			}
		}
	}
	for at := range l.spent[subject] {
		if d := s.Roll().Device(at.key); d != nil && d.Persona == author {
			after(at.seq)
		}
	}
	for _, o := range l.open {
		if h := o.Header(); h.Subject == subject && h.Persona == author {
			after(h.Seq)
		}
	}
	return next
}

// foretell is the verdict on a record if it were held. Caller holds mu.
func (l *ledger) foretell(r *protocol.Record) protocol.Verdict {
	recs := []*protocol.Record{r}
	for _, o := range l.open {
		recs = append(recs, o.Record)
	}
	_, verdicts := l.tip.State().Advance(state.Step{Records: recs, Provisional: true})
	for _, v := range verdicts {
		if v.Record == r.ID() {
			return v
		}
	}
	return protocol.Verdict{}
}
