package p2p

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/time/rate"

	"github.com/metastate-p2p/metastate/protocol/reconcile"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// Accounts are what each peer may cost in sync, in whatever sessions it or this
// node begins.
type accounts struct {
	sketching *rates // ids and symbols gone through; without it, ranges are compared
	sending   *rates // bytes, and steps as so many; without it, the session waits or ends
}

func newAccounts() accounts {
	return accounts{
		sketching: newRates(rate.Limit(sketchBurst/sketchRefill.Seconds()), sketchBurst),
		sending:   newRates(rate.Limit(sendBurst/sendRefill.Seconds()), sendBurst),
	}
}

// An account is what one peer may cost of one thing. It may be overdrawn by what
// is under way. Nil has nothing.
type account struct{ *rate.Limiter }

// left is how much may be spent now.
func (a account) left() int {
	if a.Limiter == nil {
		return 0
	}
	return int(math.Floor(a.Tokens()))
}

func (a account) spend(n int64) {
	if a.Limiter == nil {
		return
	}
	most := int64(a.Burst())
	for now := time.Now(); n > 0; n -= most {
		a.ReserveN(now, int(min(n, most)))
	}
}

// errSpent is not ErrPeer: who needs so much goes on in a later session.
var errSpent = errors.New("the peer has had its share for now")

// wait returns once there is something left, or errSpent if that takes long.
func (a account) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, frameTimeout)
	defer cancel()
	if a.Limiter == nil || a.WaitN(ctx, 1) != nil {
		return fmt.Errorf("p2p: syncing: %w", errSpent)
	}
	return nil
}

// sketches has the sets of l make sketches at the cost of a.
func (a account) sketches(l reconcile.Local) reconcile.Local {
	open := l.Open
	l.Open = func(name [32]byte) (reconcile.Set, error) {
		s, err := open(name)
		return costed{s, a}, err
	}
	return l
}

type costed struct {
	reconcile.Set
	to account
}

func (s costed) Sketch(n, spare int, f func([]sketch.Symbol)) (int, error) {
	work, err := s.Set.Sketch(n, min(spare, s.to.left()), f)
	s.to.spend(int64(work))
	return work, err
}
