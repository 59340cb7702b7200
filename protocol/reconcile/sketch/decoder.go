package sketch

// visits bounds the work of decoding: how often a decoder may touch its symbols
// for each that it was given. A difference that decodes takes some twenty.
const visits = 64

// A Decoder finds the keys that one of two sets has and the other lacks. The
// zero Decoder is ready. It is not for concurrent use.
type Decoder struct {
	symbols []Symbol // the difference's, less the keys found
	zero    []bool   // which of these were zero when they came
	left    int      // how many are not zero now
	spent   int      // visits
	found   map[Key]bool
	keys    []Key
	walks   []places // of the keys: where each comes next, past the symbols
	pure    []int    // indices of symbols that may hold one key, to be looked at
	failed  bool
}

// Len is how many symbols the decoder was given.
func (d *Decoder) Len() int { return len(d.symbols) }

// Add gives the decoder the next symbols of both sets, equally many. It panics
// if they are not.
func (d *Decoder) Add(one, other []Symbol) {
	if len(one) != len(other) {
		panic("sketch: as many symbols of one set as of the other are due")
	}
	start := len(d.symbols)
	for i, s := range one {
		s = s.xor(other[i])
		d.symbols, d.zero = append(d.symbols, s), append(d.zero, s == Symbol{})
		if s != (Symbol{}) {
			d.left++
		}
	}
	for i := range d.keys {
		d.walks[i] = d.remove(symbolOf(d.keys[i]), d.walks[i])
	}
	for i := start; i < len(d.symbols); i++ {
		d.look(i)
	}
	d.peel()
}

// Decoded reports whether all symbols are accounted for. Then [Decoder.Keys]
// is the difference, unless somebody made it look so. A decoder that failed keeps
// the symbol it failed at.
func (d *Decoder) Decoded() bool { return len(d.symbols) > 0 && d.left == 0 }

// Failed reports that no further symbols will help: they contradict each other.
func (d *Decoder) Failed() bool { return d.failed }

// Keys are the keys found, each once, in no particular order.
func (d *Decoder) Keys() []Key { return d.keys }

// peel takes out keys that stand alone in a symbol, which leaves others alone.
func (d *Decoder) peel() {
	if d.found == nil {
		d.found = make(map[Key]bool, len(d.symbols)/2)
	}
	for len(d.pure) > 0 && !d.failed {
		i := d.pure[len(d.pure)-1]
		d.pure = d.pure[:len(d.pure)-1]
		s := d.symbols[i]
		if !s.pure() {
			continue // its key was found elsewhere meanwhile
		}
		k := s.key()
		if d.found[k] || len(d.keys) >= len(d.symbols) {
			d.failed = true // a key that comes back was not alone: the check lied
			return
		}
		d.found[k] = true
		d.keys = append(d.keys, k)
		d.walks = append(d.walks, d.remove(s, placesOf(s.check)))
		if d.symbols[i] != (Symbol{}) {
			d.failed = true // the key is not mapped to where it was found
		}
	}
}

// remove takes a key out of the symbols from p on, and returns its first place
// past them.
func (d *Decoder) remove(s Symbol, p places) places {
	for ; p.at < len(d.symbols); p.next() {
		if d.spent++; d.spent > visits*len(d.symbols)+visits {
			d.failed = true
			return p
		}
		was := d.symbols[p.at]
		now := was.xor(s)
		d.symbols[p.at] = now
		switch (Symbol{}) {
		case now:
			d.left--
		case was:
			d.left++
		}
		d.look(p.at)
	}
	return p
}

// look notes a symbol that may hold one key.
func (d *Decoder) look(i int) {
	if d.symbols[i].pure() {
		d.pure = append(d.pure, i)
	}
}
