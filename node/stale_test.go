package node

import (
	"testing"
	"time"
)

// Certificates that move nothing are not fresh, nor are their lists, however
// often a peer gives them; those that do are, with lists that came before.
func TestCertificatesThatMoveNothing(t *testing.T) {
	w := newRealm(t)
	l, other := w.ledger(), w.ledger()
	r := &replica{ledger: other, fetch: func() {}, acquaintances: &acquaintances{}}
	now := time.Now().Unix()
	x := w.proposal(l, "x")
	w.took(l, 1, x)
	a := w.next(l, l.tip, now, x)
	b := w.next(l, a.Tip, now+1)
	c := w.next(l, b.Tip, now+2)
	one := part(partCertificate, w.decided(l.tip, w.device, a.Encoded).Encode())
	two := part(partCertificate, w.decided(a.Tip, w.device, b.Encoded).Encode())
	three := part(partCertificate, w.decided(b.Tip, w.device, c.Encoded).Encode())
	var lists [][]byte
	for _, c := range a.Chunks {
		lists = append(lists, part(partChunk, c))
	}
	if len(lists) == 0 {
		t.Fatal("no lists")
	}
	for _, step := range []struct {
		what  string
		give  [][]byte
		fresh int
	}{
		{"lists alone", lists, 0},
		{"the certificate of the lists, which waits for a record", [][]byte{one}, 1 + len(lists)},
		{"the same again", append(lists, one, one, one), 0},
		{"one that waits for another", [][]byte{three}, 1},
		{"it again", [][]byte{three, three}, 0},
	} {
		if fresh, err := r.checkpoints(step.give); err != nil || fresh != step.fresh {
			t.Errorf("%s: %d fresh, %v", step.what, fresh, err)
		}
	}
	w.deliver(other, x)
	if fresh, err := r.checkpoints([][]byte{one, two}); err != nil || fresh != 1 || other.Snapshot().Ref != c.Tip.Ref() {
		t.Errorf("%d fresh at checkpoint %d: %v", fresh, other.Snapshot().Ref.Height, err)
	}
	if fresh, err := r.checkpoints(append(lists, one, two, three)); err != nil || fresh != 0 {
		t.Errorf("of what is held %d are fresh, %v", fresh, err)
	}
}
