package sketch

// Toggle puts a key into the sketch that symbols are, or takes it out if it is
// in it: both are the same.
func Toggle(symbols []Symbol, k Key) {
	s := symbolOf(k)
	for p := placesOf(s.check); p.at < len(symbols); p.next() {
		at := &symbols[p.at]
		at.a ^= s.a
		at.b ^= s.b
		at.check ^= s.check
	}
}
