package roll

import (
	"encoding/binary"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// Timers are checkpoint times at which something about a subject falls due.
// They are immutable, and a change costs the logarithm of their number. The
// zero Timers are none. They follow from the state, so no root covers them.
type Timers struct {
	due merkle.Map[timer]
}

type timer struct {
	at int64
	of protocol.ID
}

// AppendLeaf encodes the timer, as the map asks.
func (t timer) AppendLeaf(b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(t.at)), t.of[:]...)
}

// key sorts timers by time. The 192 bits of the id keep those of one time
// apart.
func (t timer) key() (k [32]byte) {
	binary.BigEndian.PutUint64(k[:], uint64(t.at))
	copy(k[8:], t.of[:])
	return k
}

// Move takes the timer of a subject from one time to another; 0 is no timer.
func (t Timers) Move(of protocol.ID, from, to int64) Timers {
	if from == to {
		return t
	}
	if from != 0 {
		t.due = t.due.Delete(timer{from, of}.key())
	}
	if to != 0 {
		x := timer{to, of}
		t.due = t.due.Put(x.key(), x)
	}
	return t
}

// Next is the timer that falls due first, if there is one.
func (t Timers) Next() (at int64, of protocol.ID, ok bool) {
	for _, x := range t.due.All() {
		return x.at, x.of, true
	}
	return 0, of, false
}
