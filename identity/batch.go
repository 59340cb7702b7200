package identity

import (
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// batchGroup is how many signatures are checked by one equation. It bounds
// working memory, and what one bad signature costs: only its group is checked
// again one by one.
const batchGroup = 4096

// Batch verifies many signatures faster than one by one, to the same answers as
// [Verify]: that is what the cofactored rule is for. Its equation is weighted
// by fresh randomness, so a bad signature passes with probability below 2^-127.
//
// The zero Batch is ready for use. A Batch serves one goroutine.
type Batch struct {
	verifier *Verifier // nil: keys are not remembered
	expected int
	group    *voi.BatchVerifier
	inGroup  int
	each     []bool // of the groups done
}

// Expect says how many signatures will be added, or a few less. It saves memory
// from being taken twice, and the equation where it costs more than it saves.
func (b *Batch) Expect(n int) { b.expected = n }

// Add takes a signature of msg by pub into the batch. It keeps none of its
// arguments. The caller bounds how many it adds.
func (b *Batch) Add(pub PublicKey, msg, sig []byte) {
	if b.expected == 1 && b.inGroup == 0 {
		b.each = append(b.each, b.verifier.Verify(pub, msg, sig))
		return
	}
	if b.group == nil {
		b.group = voi.NewBatchVerifierWithCapacity(min(b.expected, batchGroup))
	}
	if b.verifier != nil {
		// A nil key (not a point) is taken and found invalid.
		b.group.AddExpandedWithOptions(b.verifier.expand(pub), msg, sig, ruleOptions())
	} else {
		b.group.AddWithOptions(pub[:], msg, sig, ruleOptions())
	}
	if b.inGroup++; b.inGroup == batchGroup {
		b.flush()
	}
}

// Verify reports on the signatures added since the last Verify, in order, and
// whether all are good (so true for none). It leaves the batch empty.
func (b *Batch) Verify() (ok bool, each []bool) {
	b.flush()
	each, b.each = b.each, nil
	ok = true
	for _, good := range each {
		ok = ok && good
	}
	return ok, each
}

func (b *Batch) flush() {
	if b.inGroup == 0 {
		return
	}
	_, each := b.group.Verify(nil) // nil: crypto/rand
	b.each = append(b.each, each...)
	b.group.Reset()
	b.inGroup = 0
}
