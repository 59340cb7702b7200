package node

import (
	"errors"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// propose makes the next value, under a recall if it is not zero, or ok false if there is nothing to cover and
// nothing due.
func (l *ledger) propose(recall protocol.ID) (n checkpoint.Next, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.due() {
		return n, false, nil
	}
	recs := make([]*protocol.Record, 0, len(l.open))
	for _, r := range l.open {
		recs = append(recs, r.Record)
	}
	checkBallots(l.tip.State(), recs)
	if recall.IsZero() {
		n, err = l.tip.Propose(recs, l.now().Unix())
	} else {
		n, err = l.tip.ProposeUnder(recall, recs, l.now().Unix())
	}
	if err != nil {
		return n, false, err
	}
	for _, c := range n.Chunks {
		if err := l.chunks.add(c); err != nil {
			return n, false, err
		}
	}
	return n, true, nil
}

// recall is the recall of clerks that those in force have left uncovered for
// too long, and its successors, and whether these may begin; zero if there is
// none. Of several the lowest: the members who endorsed both must choose.
func (l *ledger) recall() (act protocol.ID, successors []certificate.Clerk, ready bool) {
	if !l.recallOpen() {
		return act, nil, false
	}
	list := l.Snapshot().View.Roll().JustRecalled()
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[protocol.ID]time.Time{}
	for _, r := range list {
		at, ok := l.recalls[r.Act]
		if !ok {
			at = l.now()
		}
		seen[r.Act] = at
		if act.IsZero() && l.now().Sub(at) >= recallPatience {
			act, successors = r.Act, checkpoint.Successors(r)
			ready = l.now().Sub(at) >= recallPatience+recallMargin
		}
	}
	l.recalls = seen
	return act, successors, ready
}

// recallOpen reports whether any recall is held and not carried out: only then
// is the view worth making to look for one.
func (l *ledger) recallOpen() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.open {
		if r.Kind() == protocol.Recall {
			return true
		}
	}
	for _, m := range l.tip.State().Roll().Motions() {
		if m.Kind == protocol.Recall {
			return true
		}
	}
	return false
}

// due reports whether a checkpoint has work: records that could be covered, or
// a deadline passed. Caller holds mu.
func (l *ledger) due() bool {
	if l.trouble != nil {
		return false
	}
	if at, ok := l.tip.State().NextDeadline(); ok && at <= l.now().Unix() {
		return true
	}
	for _, r := range l.open {
		if l.tip.Ripe(r.Record, nil) { // whatever can be covered rests on one that is ripe
			return true
		}
	}
	return false
}

// alone reports whether there is nobody but one persona, as far as anything here
// tells: after checkpoints were lost the roll alone doesn't.
func (l *ledger) alone(persona protocol.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tip.State().Roll().Size() > 1 || len(l.store.PrivateKeys(privBinding)) > 1 {
		return false
	}
	for _, h := range l.headers {
		if h.Kind == protocol.Admit || !h.Persona.IsZero() && h.Persona != persona {
			return false
		}
	}
	return true
}

// judge answers a machine's question about a value; known is false while
// something that the answer needs is not held.
func (l *ledger) judge(value []byte, fresh bool, began time.Time) (ok, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, err := certificate.ParseValue(value)
	if err != nil {
		return false, true
	}
	recs, err := l.covered(v, false)
	if errors.Is(err, errWaiting) {
		l.chunks.name(v)
		return false, false
	}
	if err != nil {
		return false, true
	}
	checkBallots(l.tip.State(), recs)
	if _, err := l.tip.Apply(v, recs); err != nil {
		l.log.Warn("a clerk's proposal does not follow", "height", v.Height, "cause", err)
		return false, true
	}
	if !fresh {
		return true, true
	}
	asOf, now := time.Unix(v.AsOf, 0), l.now()
	if asOf.After(now.Add(maxAhead)) || asOf.Before(now.Add(-maxBehind)) {
		return false, true
	}
	full := len(recs) == certificate.MaxNewlyCovered || len(v.Subjects) == certificate.MaxSubjects
	return full || !l.omits(recs, began.Add(-omission)), true
}

// omits reports whether a value leaves out a record that it could cover and
// that was held before the given time. Of what rests on an omitted record only
// that one counts, and of a fork none of which the value covers a part: the
// proposer may have refused it as a third rival (SPEC §4.1).
func (l *ledger) omits(recs []*protocol.Record, before time.Time) bool {
	in := make(map[protocol.ID]bool, len(recs))
	taken := make(map[place]bool, len(recs))
	for _, r := range recs {
		in[r.ID()] = true
		taken[placeOf(r.Header())] = true
	}
	for id, r := range l.open {
		if r.at.Before(before) && !in[id] && !taken[placeOf(r.Header())] && l.tip.Ripe(r.Record, in) {
			return true
		}
	}
	return false
}
