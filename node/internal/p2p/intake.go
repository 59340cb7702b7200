package p2p

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// An intake takes in many records whose order does not matter: while the session
// reads, batches of them are verified on all processors, and one after another
// stored. What it holds is bounded; when it is full, the session stops reading,
// and the peer sending.
type intake struct {
	x     *session
	batch [][]byte
	size  int // bytes in batch
	group *errgroup.Group
	ended func() error // why the batches under way were given up, nil if they were not
}

// newIntake prepares an intake. Whoever makes one waits for it, whatever happens.
func (x *session) newIntake(ctx context.Context) (*intake, context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.GOMAXPROCS(0), maxWorkers) + 1) // one may wait for the disk
	return &intake{x: x, group: group, ended: ctx.Err}, ctx
}

// receive reads records of a kind until the end, at most limit, and leaves them
// to be taken. A batch is handed over when it is full, or when nothing more comes
// for a while.
func (in *intake) receive(ctx context.Context, kind Kind, limit int) error {
	return in.x.collect(ctx, kind, limit, func(ctx context.Context, kind Kind, frames [][]byte) error {
		for _, f := range frames {
			in.batch, in.size = append(in.batch, f), in.size+len(f)
		}
		if len(in.batch) >= intakeRecords || in.size >= intakeBytes || !in.x.w.soon(flushAfter) {
			in.hand(ctx, kind)
		}
		return in.ended()
	})
}

// hand gives the batch to a worker, and waits for one that is free.
func (in *intake) hand(ctx context.Context, kind Kind) {
	frames := in.batch
	in.batch, in.size = nil, 0
	if len(frames) > 0 {
		in.group.Go(func() error { return in.x.take(ctx, kind, frames) })
	}
}

// wait has everything taken. It returns the first error there was, which is the
// reason for what came after.
func (in *intake) wait(ctx context.Context, kind Kind, err error) error {
	if err == nil {
		in.hand(ctx, kind)
	}
	if first := in.group.Wait(); first != nil {
		return first
	}
	return err
}
