package node

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/store"
)

// diskFull says in words which disk is full, and what to do about it. err wraps
// [store.ErrFull].
func diskFull(err error) (what, remedy string) {
	full, ok := errors.AsType[*store.FullError](err)
	if !ok || full.Need == 0 {
		return "the disk is full", "free some space"
	}
	return fmt.Sprintf("the disk is full: it has %d MiB left for %s, which needs %d MiB", full.Free>>20, full.Dir, mebibytes(full.Need)),
		fmt.Sprintf("free at least %d MiB there", mebibytes(full.Need-full.Free))
}

// mebibytes rounds up.
func mebibytes(n int64) int64 { return (n + 1<<20 - 1) >> 20 }

// cramped is the trouble of a community whose disk is full, and what to do about
// it; both are empty if it is not. It wakes nothing.
func (c *Community) cramped() (trouble, remedy string) {
	c.mu.Lock()
	st, failed := c.store, c.failed.err
	c.mu.Unlock()
	var err error
	switch {
	case st == nil && errors.Is(failed, store.ErrFull):
		err = failed
	case st == nil:
		return "", ""
	default:
		full := st.Full()
		if full == nil {
			return "", ""
		}
		err = full
	}
	what, remedy := diskFull(err)
	return what + ", and nothing can be stored", remedy
}
