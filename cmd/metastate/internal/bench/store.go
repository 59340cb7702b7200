package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/store"
)

// singles bounds the records appended one by one: each costs an fsync.
const singles = 256

// storage measures durable appends to a store, one by one and in batches of
// 1024, beside a plain file that takes the same bytes with an fsync for each
// batch. Record and plain bytes alternate batch by batch, each into its own
// files on the same disk.
func storage(ctx context.Context, o Options, r *report) error {
	o.Progress("signing records")
	records, err := strangers(o.Records)
	if err != nil {
		return err
	}
	items := make([]store.Item, len(records))
	for i, rec := range records {
		items[i] = store.Item{ID: rec.ID(), Set: rec.Header().Subject, Inner: rec.Inner()}
	}
	return o.eachRun(ctx, func(int) error {
		for _, batch := range []int{1, batchSize} {
			list := items
			if batch == 1 {
				list = items[:min(singles, len(items))]
			}
			ours, plain, err := appends(o.Dir, list, batch)
			if err != nil {
				return err
			}
			a, b := perSecond(len(list), ours), perSecond(len(list), plain)
			r.figure(fmt.Sprintf("appendPerSecond%d", batch), fmt.Sprintf("durable appends, batches of %d", batch), "records/s", a)
			r.figure(fmt.Sprintf("filePerSecond%d", batch), fmt.Sprintf("bound: plain file and fsync, batches of %d", batch), "records/s", b)
			r.ratio(fmt.Sprintf("appendToFile%d", batch), fmt.Sprintf("store ÷ plain file, batches of %d", batch), "", a/b)
		}
		return nil
	})
}

// appends puts the items into a fresh store and their bytes into a fresh file.
func appends(dir string, items []store.Item, batch int) (ours, plain time.Duration, err error) {
	dir, err = os.MkdirTemp(dir, "metastate-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	key := make([]byte, 32)
	rand.Read(key)
	s, err := store.Open(store.Config{Dir: filepath.Join(dir, "store"), Key: key})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	f, err := os.OpenFile(filepath.Join(dir, "plain"), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_EXCL, 0o600)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	total := len(items)
	for len(items) > 0 {
		part := items[:min(batch, len(items))]
		items = items[len(part):]
		start := time.Now()
		if err := s.Append(part...); err != nil {
			return 0, 0, err
		}
		middle := time.Now()
		if err := appendPlain(f, part); err != nil {
			return 0, 0, err
		}
		ours += middle.Sub(start)
		plain += time.Since(middle)
	}
	if s.Len() != uint64(total) {
		return 0, 0, fmt.Errorf("the store holds %d records of %d", s.Len(), total)
	}
	return ours, max(plain, 1), nil
}

func appendPlain(f *os.File, part []store.Item) error {
	var bytes []byte
	for _, it := range part {
		bytes = append(bytes, it.Inner...)
	}
	if _, err := f.Write(bytes); err != nil {
		return err
	}
	return f.Sync()
}

// stranger makes the i-th record of a metastate that nobody lives in: a ballot,
// or a proposal for every sixteenth, by a key of its own.
func stranger(i int) (*protocol.Record, error) {
	k := newKey()
	h := protocol.Header{
		Metastate: protocol.Sum([]byte("bench")), Persona: numbered("persona", i), Key: k.Public(),
		Checkpoint: protocol.Ref{Height: 9, ID: numbered("checkpoint", 9)}, Time: 1_800_000_000,
	}
	if i%16 == 0 {
		h.Kind, h.Seq, h.Prev = protocol.Propose, 3, numbered("prev", i)
		h.Parents = sorted(numbered("parent", i), numbered("parent", i+1))
		return protocol.Sign(h, question(i), nil, k)
	}
	h.Kind, h.Subject = protocol.Ballot, numbered("poll", i/1000)
	return protocol.Sign(h, ballot(i), nil, k)
}
