package gossipbench

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pprotocol "github.com/libp2p/go-libp2p/core/protocol"

	"github.com/metastate-p2p/metastate/protocol"
)

// A Load is what is offered to hosts.
type Load struct {
	Rate     int      // records a second, by all together
	Contents [][]byte // distinct, also from other loads', each offered once
}

// Figures are what became of a load.
type Figures struct {
	// P50 and P95 are of the times from when a record was due until it had
	// reached all hosts, over the records that reached all.
	P50, P95 time.Duration
	// Lost are records that did not reach all hosts by gossip, Missing those
	// that a host lacked even after a sync with its peers.
	Lost, Missing int
	// Dropped are the losses that hosts counted: messages and frames.
	Dropped uint64
	// Duplicates are messages that came again, for each that came new.
	Duplicates float64
	// Overhead is the bytes that all hosts sent, for each byte that had to reach
	// a host.
	Overhead float64
	// CPU is the processor time of the whole process for each record that reached
	// a host; 0 where the system does not tell. It hardly depends on what else
	// the machine does.
	CPU time.Duration
}

// quiet is how long nothing may arrive before what is missing counts as lost.
const quiet = 2 * time.Second

// A watch times how records of a load arrive. Hosts call got at once.
type watch struct {
	number map[protocol.ID]int // of a content; not changed once made
	due    []time.Time
	seen   [][]atomic.Bool // by record and host
	left   []atomic.Int32  // hosts that a record has not reached
	came   atomic.Int64    // records, at hosts
	took   []atomic.Int64  // nanoseconds from due until it had reached all
	last   atomic.Int64    // when something arrived last, since start
	start  time.Time
	cpu    time.Duration // before
}

func newWatch(hosts int, l Load) *watch {
	w := &watch{
		number: make(map[protocol.ID]int, len(l.Contents)), due: make([]time.Time, len(l.Contents)),
		seen: make([][]atomic.Bool, len(l.Contents)), left: make([]atomic.Int32, len(l.Contents)),
		took: make([]atomic.Int64, len(l.Contents)), start: time.Now(), cpu: spent(),
	}
	for i, c := range l.Contents {
		w.number[protocol.Sum(c)] = i
		w.seen[i] = make([]atomic.Bool, hosts)
		w.left[i].Store(int32(hosts - 1))
	}
	return w
}

// A current watch is that of the load under way; before the first there is none.
type current struct{ atomic.Pointer[watch] }

// got notes that a content reached a host.
func (c *current) got(host int, content []byte) {
	if w := c.Load(); w != nil {
		w.got(host, content)
	}
}

// got notes that a content reached a host.
func (w *watch) got(host int, content []byte) {
	i, ok := w.number[protocol.Sum(content)]
	if !ok || w.seen[i][host].Swap(true) {
		return
	}
	w.came.Add(1)
	w.last.Store(int64(time.Since(w.start)))
	if w.left[i].Add(-1) == 0 {
		w.took[i].Store(int64(max(time.Since(w.due[i]), 1)))
	}
}

// offer has each record published by its host when it is due, and waits until
// all have arrived or nothing more comes.
func (w *watch) offer(ctx context.Context, hosts int, l Load, publish func(host, record int) error) error {
	step := time.Second / time.Duration(l.Rate)
	begin := time.Now().Add(10 * time.Millisecond)
	for i := range l.Contents {
		w.due[i] = begin.Add(time.Duration(i) * step)
	}
	for i := range l.Contents {
		if d := time.Until(w.due[i]); d > 0 {
			if err := pause(ctx, d); err != nil {
				return err
			}
		}
		w.seen[i][i%hosts].Store(true)
		if err := publish(i%hosts, i); err != nil {
			return err
		}
	}
	w.last.Store(int64(time.Since(w.start)))
	for len(w.times()) < len(l.Contents) && time.Since(w.start)-time.Duration(w.last.Load()) < quiet {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// times are how long records took that reached all, rising.
func (w *watch) times() []time.Duration {
	var out []time.Duration
	for i := range w.took {
		if d := w.took[i].Load(); d > 0 {
			out = append(out, time.Duration(d))
		}
	}
	slices.Sort(out)
	return out
}

// figures sums up what gossip did.
func (w *watch) figures(l Load) Figures {
	times := w.times()
	f := Figures{Lost: len(l.Contents) - len(times)}
	if n := len(times); n > 0 {
		f.P50, f.P95 = times[n/2], times[min(n-1, n*95/100)]
	}
	f.CPU = (spent() - w.cpu) / time.Duration(max(1, w.came.Load()))
	return f
}

// payload is the bytes that had to reach a host.
func (l Load) payload(hosts int) (n float64) {
	for _, c := range l.Contents {
		n += float64(len(c))
	}
	return n * float64(hosts-1)
}

// sent counts the bytes that hosts write to streams.
type sent struct {
	metrics.Reporter // nothing else of it is asked
	n                atomic.Int64
}

func (s *sent) LogSentMessage(n int64)                               { s.n.Add(n) }
func (*sent) LogRecvMessage(int64)                                   {}
func (*sent) LogSentMessageStream(int64, libp2pprotocol.ID, peer.ID) {}
func (*sent) LogRecvMessageStream(int64, libp2pprotocol.ID, peer.ID) {}
