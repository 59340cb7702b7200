package reconcile

import (
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/reconcile/sketch"
)

// MaxWanted is the most keys that are wanted at once.
const MaxWanted = 4096

// Wanted names ids of a set by their first 16 bytes, as [Diff] gives them.
type Wanted struct {
	Set  [32]byte
	Keys [][16]byte
}

// AppendWanted appends the encoding of what is wanted of sets, at most
// [MaxWanted] keys and at least one of each: an array of [name, keys].
func AppendWanted(b []byte, list []Wanted) []byte {
	b = dagcbor.AppendArray(b, len(list))
	for _, w := range list {
		keys := make([]byte, 0, len(w.Keys)*sketch.KeySize)
		for _, k := range w.Keys {
			keys = append(keys, k[:]...)
		}
		b = dagcbor.AppendArray(b, 2)
		b = dagcbor.AppendBytes(b, w.Set[:])
		b = dagcbor.AppendBytes(b, keys)
	}
	return b
}

// ParseWanted reads what [AppendWanted] wrote. Errors wrap [ErrProtocol].
func ParseWanted(b []byte) (list []Wanted, err error) {
	p := &parser{Reader: dagcbor.NewReader(b)}
	n := 0
	p.each(MaxWanted, func() {
		p.tuple(2)
		name := p.exactly(32)
		keys := p.units(sketch.KeySize, MaxWanted-n)
		if len(name) == 0 || len(keys) == 0 {
			p.refuse("a set of which nothing is wanted")
			return
		}
		w := Wanted{Set: [32]byte(name)}
		for ; len(keys) >= sketch.KeySize; keys = keys[sketch.KeySize:] {
			w.Keys = append(w.Keys, [16]byte(keys))
		}
		n += len(w.Keys)
		list = append(list, w)
	})
	if err := p.done(); err != nil {
		return nil, err
	}
	return list, nil
}

// Find returns the ids that are wanted and held, in order; of ids that share a
// key any one.
func (l Local) Find(list []Wanted) (ids [][32]byte, err error) {
	for _, w := range list {
		src, err := l.source(w.Set[:])
		if err != nil {
			return nil, err
		}
		found, err := lookUp(src.set, w.Keys)
		if err != nil {
			return nil, err
		}
		for _, id := range found {
			if id != nil {
				ids = append(ids, *id)
			}
		}
	}
	return ids, nil
}
