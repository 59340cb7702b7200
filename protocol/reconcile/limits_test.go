package reconcile

import (
	"errors"
	"testing"
)

func TestResponderLimits(t *testing.T) {
	a, b := large(2000, 1000)
	for _, l := range []Limits{{Messages: 2}, {Bytes: 2000}} {
		i := NewInitiator(a.local(), [16]byte{}, Limits{})
		if _, err := talk(t, i, NewResponder(b.local(), l), nil); !errors.Is(err, ErrLimit) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// At its limits an initiator ends with what it found, before the responder's are
// passed; session after session everything is found.
func TestInitiatorLimits(t *testing.T) {
	const room = MaxRequest + MaxReply
	for _, l := range []Limits{{Messages: 5}, {Bytes: room + 90_000}, {Differences: 99}, {Differences: 2000}} {
		for name, local := range map[string]func(node) Local{"ranges": node.local, "sketches": node.sketched} {
			a, b := large(4000, 1000)
			sessions := 0
			for left := difference(a, b); len(left) > 0; left = difference(a, b) {
				sessions++
				i := NewInitiator(local(a), [16]byte{byte(sessions)}, l)
				c, err := talk(t, i, NewResponder(local(b), Limits{Messages: l.Messages, Bytes: l.Bytes}), nil)
				if err != nil {
					t.Fatalf("%s, %+v: %v", name, l, err)
				}
				found := 0
				for _, d := range whole(t, i.Diffs(), b.local()) {
					found += len(d.Need) + len(d.Have)
					for _, id := range d.Need {
						a[d.Set] = a[d.Set].Add(id)
					}
					for _, id := range d.Have {
						b[d.Set] = b[d.Set].Add(id)
					}
				}
				now := 0
				for _, d := range difference(a, b) {
					now += len(d.Need) + len(d.Have)
				}
				if before := len(left[0].Need) + len(left[0].Have); found == 0 || now != before-found {
					t.Fatalf("%s, %+v: %d of %d found, and %d left", name, l, found, before, now)
				}
				if l.Differences == 99 && name == "ranges" && found > 99+MaxReply/32 {
					t.Errorf("%d found where 99 were enough", found)
				}
				if l.Messages > 0 && c.messages > l.Messages || l.Bytes > 0 && int64(c.bytes) > l.Bytes {
					t.Errorf("%s, %+v: spent %+v", name, l, c)
				}
			}
			if once := sessions == 1; l.Differences > 0 && once != (l.Differences == 2000 || name == "sketches") {
				t.Errorf("%s, %+v: %d sessions", name, l, sessions)
			}
		}
	}
}

// Who has nothing can't make an initiator list all it has at once.
func TestLimitTowardsNothing(t *testing.T) {
	a, _ := large(4000, 0)
	i := NewInitiator(a.local(), [16]byte{}, Limits{Differences: 99})
	if _, err := talk(t, i, NewResponder(node{}.local(), Limits{}), nil); err != nil || len(i.Diffs()) != 1 || len(i.Diffs()[0].Have) != 99 {
		t.Errorf("%d sets, %v", len(i.Diffs()), err)
	}
}
