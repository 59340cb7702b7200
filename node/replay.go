package node

import (
	"errors"
	"runtime"
	"sync"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/store"
)

// replay takes in what the store holds in the order of history: each checkpoint
// with the records that it covers, which are then let go, and at last what none
// covers. Of the records in memory at once there are those of few checkpoints, and
// the last. Caller has the ledger to itself.
func (l *ledger) replay() error {
	if err := l.replayHistory(); err != nil {
		return err
	}
	return l.replayRest()
}

const (
	verifyBatch = 1024 // records verified together
	maxLoading  = 4    // stretches of history that are read at once
)

// A stretch is stored checkpoints that follow one another, the last with enough
// records to be verified together.
type stretch struct {
	steps []storedStep
	end   bool // what follows can't be applied, or there is nothing
}

// A storedStep is a stored checkpoint with the ids that it covers, and once they
// are loaded those of the records that are stored, too, in order of arrival.
type storedStep struct {
	cert    certificate.Certificate
	ids     []protocol.ID
	records []*protocol.Record
}

// replayHistory takes in the checkpoints, as far as they go. While they are applied
// one by one those that follow are read and verified.
func (l *ledger) replayHistory() error {
	type loaded struct {
		stretch
		err error
	}
	queue := make(chan chan loaded, min(runtime.GOMAXPROCS(0), maxLoading))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(stop)
	height := l.tip.Ref().Height + 1
	readers.Go(func() {
		defer close(queue)
		for end := false; !end; {
			s, err := l.stretchFrom(height)
			height, end = height+uint64(len(s.steps)), s.end || err != nil
			out := make(chan loaded, 1)
			select {
			case queue <- out:
			case <-stop:
				return
			}
			readers.Go(func() { out <- loaded{s, errors.Join(err, l.fill(s))} })
		}
	})
	for out := range queue {
		s := <-out
		if s.err != nil {
			return s.err
		}
		for i, step := range s.steps {
			checkAhead(l.tip.State(), s.steps[i:])
			if on, err := l.reapply(step); err != nil || !on {
				return err
			}
		}
	}
	return nil
}

// stretchFrom lists what is stored from a height on. It reads nothing that mu guards.
func (l *ledger) stretchFrom(height uint64) (s stretch, err error) {
	for records := 0; records < verifyBatch; height++ {
		c, err := l.store.Checkpoint(height)
		if errors.Is(err, store.ErrNotFound) {
			s.end = true
			return s, nil
		}
		if err != nil {
			return s, err
		}
		step := storedStep{}
		if step.cert, err = certificate.ParseCertificate(c.Cert); err != nil {
			return s, err
		}
		v, err := certificate.ParseValue(step.cert.Value)
		if err != nil {
			return s, err
		}
		sets, err := v.NewlyCovered(l.storedChunk)
		for _, set := range sets {
			step.ids = append(step.ids, set.IDs...)
		}
		s.steps, records = append(s.steps, step), records+len(step.ids)
		if err != nil { // lists that are lost come again from peers
			s.end = true
			return s, nil
		}
	}
	return s, nil
}

// fill loads the records of a stretch. It reads nothing that mu guards.
func (l *ledger) fill(s stretch) error {
	of := map[protocol.ID]int{}
	var ids []protocol.ID
	for i, step := range s.steps {
		for _, id := range step.ids {
			of[id] = i
		}
		ids = append(ids, step.ids...)
	}
	recs, err := l.load(ids)
	for _, r := range recs {
		step := &s.steps[of[r.ID()]]
		step.records = append(step.records, r)
	}
	return err
}

// load reads and verifies those of ids that the store holds, in order of arrival.
func (l *ledger) load(ids []protocol.ID) ([]*protocol.Record, error) {
	inners := make([][]byte, 0, len(ids))
	for inner, err := range l.store.Each(ids) {
		if err != nil {
			return nil, err
		}
		inners = append(inners, inner)
	}
	recs, errs := protocol.ParseBatch(l.keys, inners)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return recs, nil
}

// reapply makes a stored checkpoint the tip. It reports false where finality
// stopped, and where something is missing since the store was rebuilt: peers bring
// it.
func (l *ledger) reapply(s storedStep) (on bool, err error) {
	for _, r := range s.records {
		if _, held := l.open[r.ID()]; !held && !l.tip.Covers(r) {
			l.index(r)
		}
	}
	_, err = l.advance(s.cert)
	switch {
	case l.trouble != nil: // stay, and say so
		return false, nil
	case errors.Is(err, errWaiting):
		l.wanted[l.tip.Ref().Height+1] = s.cert
		return false, nil
	}
	return err == nil, err
}

// replayRest takes in what no checkpoint up to the tip covers, in order of arrival.
func (l *ledger) replayRest() error {
	var ids []protocol.ID
	flush := func() error {
		recs, err := l.load(ids)
		for _, r := range recs {
			if l.spent[r.Header().Subject][placeOf(r.Header())] {
				continue // no node that came later to the tip takes it
			}
			l.index(r)
		}
		ids = ids[:0]
		return err
	}
	for e, err := range l.store.Log(0) {
		if err != nil {
			return err
		}
		if l.taken(e) {
			continue
		}
		if ids = append(ids, e.ID); len(ids) == verifyBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// taken reports whether nothing of a stored record is wanted any more: it
// is open already, or its header is known, or it is a ballot that was covered or
// came too late.
func (l *ledger) taken(e store.Entry) bool {
	if _, held := l.open[e.ID]; held {
		return true
	}
	if e.Set.IsZero() {
		_, known := l.headers[e.ID]
		return known
	}
	p := l.tip.State().Decisions().Poll(e.Set)
	return p != nil && (p.Phase.Closed() || l.tip.Covered(e.Set).Has(e.ID))
}
