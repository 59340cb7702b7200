package node

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A lapse is what became of a record of this device that can't become final any
// more, because it waited too long or rested on what can't either, or because
// the node left the branch that holds it.
type lapse struct {
	At    int64         `cbor:"at"` // unix seconds
	Kind  protocol.Kind `cbor:"kind"`
	Again protocol.ID   `cbor:"again,omitzero"` // the record that says the same anew
	Why   string        `cbor:"why,omitempty"`  // there is none, in words
	Left  bool          `cbor:"left,omitempty"` // with the branch; elsewhere it may yet become final
}

// interrupted stands until the outcome is known.
const interrupted = "signing it anew was interrupted: do it again if you still want it"

// renew signs anew, as they come up, the records of this device that can't
// become final any more. What can't be signed anew is kept for [Community.Status]
// to say: nothing that a person did is lost in silence. It returns when ctx
// ends.
func (c *Community) renew(ctx context.Context, l *ledger) {
	for {
		changed := c.Changed()
		for _, r := range l.renewed(c.key) {
			c.publish(p2p.Records, r.Inner())
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// renewed deals with the records of this device that lapsed, and returns those
// signed anew.
func (l *ledger) renewed(key identity.Signer) (out []*protocol.Record) {
	l.mu.Lock()
	list := l.lapsed
	l.lapsed = nil
	anew := map[protocol.ID]protocol.ID{} // what they are now
	slices.SortFunc(list, func(a, b *protocol.Record) int { return cmp.Compare(a.Header().Seq, b.Header().Seq) })
	for _, r := range list {
		if mark, ok := l.lapseOf(r.ID()); ok && !mark.Left || ofTrustee(r.Kind()) {
			continue // by an earlier run, or the trustee's work says it if it is still asked
		}
		what := lapse{At: l.now().Unix(), Kind: r.Kind(), Why: interrupted}
		// Before the new record: rather twice said than twice done.
		err := l.note(r.ID(), what)
		var again *protocol.Record
		if err == nil {
			again, err = l.again(r, key, anew)
		}
		if err != nil {
			l.log.Warn("a record that can't become final any more was not signed anew", "kind", r.Kind())
			what.Why = AsError(err).Message
		} else {
			what.Again, what.Why = again.ID(), ""
			anew[r.ID()] = again.ID()
			out = append(out, again)
		}
		if err := l.note(r.ID(), what); err != nil {
			l.log.Error("keeping what became of a record", "cause", err)
		}
	}
	l.mu.Unlock()
	if len(out) > 0 {
		l.changed()
	}
	return out
}

// ofTrustee reports whether records of a kind follow from the final state: on
// another branch they must not be said again as they were.
func ofTrustee(kind protocol.Kind) bool { return kind == protocol.Trustee || kind == protocol.Open }

// again makes a record that says what r said, resting on nothing but what is
// final and the chain it goes on, so that it can't lapse for another's sake.
// Where it names records that were signed anew, it names those. Caller holds mu.
func (l *ledger) again(r *protocol.Record, key identity.Signer, anew map[protocol.ID]protocol.ID) (*protocol.Record, error) {
	return l.compose(r.Header().Persona, key.Public(), r.Kind(), protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		h.Parents = slices.Clone(l.tip.Frontier()[:min(len(l.tip.Frontier()), protocol.MaxParents)])
		n, err := protocol.SignAgain(r, h, anew, key)
		if err != nil {
			return nil, err
		}
		if v := l.foretell(n); !v.Stands {
			return nil, refuse(v.Text, "")
		}
		return n, nil
	})
}

func lapsedKey(record protocol.ID) string { return privLapsed + record.String() }

func (l *ledger) note(record protocol.ID, what lapse) error {
	b, err := dagcbor.Marshal(what)
	if err != nil {
		return err
	}
	return l.store.PutPrivate(lapsedKey(record), b)
}

// lapseOf is the mark of a record, if it has one.
func (l *ledger) lapseOf(record protocol.ID) (what lapse, ok bool) {
	b, err := l.store.Private(lapsedKey(record))
	return what, err == nil && dagcbor.Unmarshal(b, &what) == nil
}

// lapseMarks are all marks, by record.
func (l *ledger) lapseMarks() map[protocol.ID]lapse {
	marks := map[protocol.ID]lapse{}
	for _, key := range l.store.PrivateKeys(privLapsed) {
		id, err := protocol.ParseID(key[len(privLapsed):])
		if err != nil {
			continue
		}
		if what, ok := l.lapseOf(id); ok {
			marks[id] = what
		}
	}
	return marks
}

// Bounds on what a status says about records that lapsed.
const (
	shownLapses = 16
	lapsesShown = 30 * 24 * time.Hour
)

// lapses are the latest records of this device that could not become final, the
// newest first.
func (l *ledger) lapses() []LapsedRecord {
	out := []LapsedRecord{}
	for id, what := range l.lapseMarks() {
		if what.Left || l.now().Sub(time.Unix(what.At, 0)) > lapsesShown {
			continue
		}
		out = append(out, LapsedRecord{
			Record: id.String(), At: time.Unix(what.At, 0).UTC(), Kind: string(what.Kind), Again: what.Again, Why: what.Why,
		})
	}
	slices.SortFunc(out, func(a, b LapsedRecord) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Record, b.Record))
	})
	return out[:min(len(out), shownLapses)]
}
