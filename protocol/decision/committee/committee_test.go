package committee

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// A play is a committee and its trustees' secrets.
type play struct {
	t        testing.TB
	c        *Committee
	now      int64
	trustees []*keygen.Trustee
}

func newPlay(t testing.TB, n int) *play {
	t.Helper()
	var personas []protocol.ID
	for i := range n {
		personas = append(personas, protocol.ID{byte(i + 1)})
	}
	c, err := New(protocol.ID{9}, personas, 100)
	if err != nil {
		t.Fatal(err)
	}
	p := &play{t: t, c: c}
	for i := range n {
		seed := [32]byte{byte(i + 1)}
		trustee, err := keygen.NewTrustee(c.Kind(), i+1, &seed)
		if err != nil {
			t.Fatal(err)
		}
		p.trustees = append(p.trustees, trustee)
	}
	return p
}

// says is what an honest trustee says at a committee's stage.
func (p *play) says(c *Committee, number int) []Message {
	p.t.Helper()
	m := Message{
		Record: protocol.ID{byte(number), byte(len(c.Stage))}, Persona: c.Trustees[number-1].Persona,
		Device: identity.PublicKey{byte(number)}, Stage: c.Stage,
	}
	trustee := p.trustees[number-1]
	if c.Stage != Announce && c.Trustees[number-1].Announcement == nil {
		return nil
	}
	var out []Message
	switch c.Stage {
	case Announce:
		m.Body = trustee.Announce().Bytes()
	case Commit:
		d, err := trustee.Deal(c.Roster())
		if err != nil {
			p.t.Fatal(err)
		}
		m.Body = d.Commitment().Bytes()
	case Deal:
		d, err := trustee.Deal(c.Roster())
		if err != nil {
			p.t.Fatal(err)
		}
		m.Body = d.Bytes()
	case Confirm:
		for dealer := range c.Trustees {
			d := c.DealOf(dealer + 1)
			if d == nil {
				continue
			}
			if _, err := trustee.Receive(d); err == nil {
				continue
			}
			x, err := trustee.Complain(d)
			if err != nil {
				p.t.Fatal(err)
			}
			complaint := m
			complaint.Stage, complaint.Body = Complain, x.Bytes()
			out = append(out, complaint)
		}
	}
	return append(out, m)
}

// step applies messages, each of which must be taken.
func (p *play) step(after int64, list ...Message) {
	p.t.Helper()
	base := p.c
	for _, m := range list {
		next, err := p.c.Apply(base, m)
		if err != nil {
			p.t.Fatalf("%s of %v: %v", m.Stage, m.Persona[0], err)
		}
		p.c = next
	}
	p.now += after
	p.c = p.c.Tick(p.now)
}

// all is what these trustees say.
func (p *play) all(numbers ...int) (out []Message) {
	for _, n := range numbers {
		out = append(out, p.says(p.c, n)...)
	}
	return out
}

func (p *play) at(want Stage) {
	p.t.Helper()
	if p.c.Stage != want {
		p.t.Fatalf("it is at %s, not %s", p.c.Stage, want)
	}
}

func TestAllThere(t *testing.T) {
	p := newPlay(t, 4)
	for _, stage := range []Stage{Announce, Commit, Deal, Confirm} {
		p.at(stage)
		p.step(1, p.all(1, 2, 3, 4)...)
	}
	p.at(Ready)
	if p.c.Keys() == nil {
		t.Fatal("there is no key")
	}
	for _, trustee := range p.trustees {
		if _, err := trustee.Share(p.c.Keys()); err != nil {
			t.Error(err)
		}
	}
}

// With f away throughout there is a key; who comes back after the announcements
// has a share.
func TestAway(t *testing.T) {
	p := newPlay(t, 7)
	for _, stage := range []Stage{Announce, Commit, Deal, Confirm} {
		p.at(stage)
		numbers := []int{1, 2, 3, 4, 5}
		if stage == Announce {
			numbers = []int{1, 2, 3, 4, 5, 6} // 6 goes then, 7 was never there
		}
		p.step(1, p.all(numbers[:4]...)...)
		if p.at(stage); p.c.Until != 0 && stage != Deal {
			t.Fatal("it waits for nobody")
		}
		p.step(99, p.all(numbers[4:]...)...)
		if stage == Commit || stage == Confirm {
			p.at(stage) // the sixth is waited for
		}
		for p.c.Stage == stage {
			p.step(100)
		}
	}
	p.at(Ready)
	if _, err := p.trustees[5].Share(p.c.Keys()); err != nil {
		t.Error("who came back has no share:", err)
	}
	if _, err := p.trustees[6].Share(p.c.Keys()); err == nil {
		t.Error("who never announced a key has a share")
	}
	away := newPlay(t, 7)
	away.step(1, away.all(1, 2, 3, 4)...)
	away.step(1_000_000)
	away.at(Announce) // with more away nothing goes on
}

// A deal with a bad share is struck out by a complaint, and who complains of a good
// one is convicted.
func TestComplaints(t *testing.T) {
	p := newPlay(t, 4)
	p.step(1, p.all(1, 2, 3, 4)...)
	p.step(1, p.all(1, 2, 3, 4)...)
	deals := p.all(1, 2, 3, 4)
	at := bytes.Index(deals[1].Body, []byte("shares")) + len("shares") + 3 + 2*48 + 20 // in the third box
	deals[1].Body = slices.Clone(deals[1].Body)
	deals[1].Body[at] ^= 1
	p.step(1, deals...)
	p.at(Confirm)
	lie, err := p.trustees[3].Complain(p.c.DealOf(1))
	if err != nil {
		t.Fatal(err)
	}
	said := p.all(1, 2, 3, 4)
	if len(said) != 5 {
		t.Fatalf("%d messages: the third does not complain, or another does", len(said))
	}
	said = append(said, Message{Record: protocol.ID{77}, Persona: p.c.Trustees[3].Persona, Device: identity.PublicKey{4}, Stage: Complain, Body: lie.Bytes()})
	p.step(1, said...)
	p.at(Ready)
	if !p.c.Trustees[1].Bad || p.c.Trustees[1].Guilty.IsZero() || p.c.Trustees[3].Guilty != (protocol.ID{77}) || p.c.Trustees[3].Bad {
		t.Errorf("convicted are %+v", p.c.Trustees)
	}
	if p.c.DealOf(2) != nil || p.c.DealOf(1) == nil {
		t.Error("other deals qualify")
	}
	for _, trustee := range p.trustees {
		if _, err := trustee.Share(p.c.Keys()); err != nil {
			t.Error(err)
		}
	}
}

func TestRefused(t *testing.T) {
	p := newPlay(t, 4)
	first := p.says(p.c, 1)[0]
	for what, x := range map[string]struct {
		change func(*Message)
		want   error
	}{
		"a stranger":        {func(m *Message) { m.Persona = protocol.ID{99} }, ErrNotTrustee},
		"another's words":   {func(m *Message) { m.Persona = p.c.Trustees[1].Persona }, ErrMessage},
		"a later stage":     {func(m *Message) { m.Stage = Commit }, ErrStage},
		"no stage":          {func(m *Message) { m.Stage = Ready }, ErrStage},
		"nothing":           {func(m *Message) { m.Body = nil }, ErrMessage},
		"a byte more":       {func(m *Message) { m.Body = append(slices.Clone(m.Body), 0) }, ErrMessage},
		"a proof of no key": {func(m *Message) { m.Body = slices.Clone(m.Body); m.Body[len(m.Body)-1] ^= 1 }, ErrMessage},
	} {
		m := first
		x.change(&m)
		if c, err := p.c.Apply(p.c, m); !errors.Is(err, x.want) || c != p.c {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.step(1, p.all(1, 2, 3)...)
	if _, err := p.c.Apply(p.c, first); !errors.Is(err, ErrTwice) {
		t.Error("a trustee announces twice:", err)
	}
	base := p.c
	p.step(1, p.all(4)...)
	p.at(Commit)
	commit := p.says(p.c, 1)[0]
	if _, err := p.c.Apply(base, commit); !errors.Is(err, ErrStage) {
		t.Error("what comes with the end of a stage is of the next:", err)
	}
	other := commit
	other.Device = identity.PublicKey{44}
	if _, err := p.c.Apply(p.c, other); !errors.Is(err, ErrDevice) {
		t.Error("another device speaks:", err)
	}
	p.step(1, p.all(1, 2, 3)...)
	p.step(101)
	p.at(Deal)
	forth, err := p.trustees[3].Deal(p.c.Roster())
	if err != nil {
		t.Fatal(err)
	}
	uncommitted := Message{Persona: p.c.Trustees[3].Persona, Device: identity.PublicKey{4}, Stage: Deal, Body: forth.Bytes()}
	if _, err := p.c.Apply(p.c, uncommitted); !errors.Is(err, ErrMessage) {
		t.Error("a deal nobody committed to:", err)
	}
	for _, n := range []int{0, 1, 3, 5, 6, 8, 34} {
		if _, err := New(protocol.ID{}, make([]protocol.ID, n), 1); err == nil {
			t.Errorf("a committee of %d", n)
		}
	}
}

// In any order within a step, and restored at any time, a committee is the same.
func TestLawOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, q := newPlay(t, 4), newPlay(t, 4)
		for range 6 {
			there := rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 3, 4, func(n int) int { return n }).Draw(rt, "there")
			var list []Message
			for _, m := range p.all(there...) {
				if _, err := p.c.Apply(p.c, m); err == nil {
					list = append(list, m)
				}
			}
			after := rapid.Int64Range(0, 120).Draw(rt, "after")
			p.step(after, list...)
			q.step(after, rapid.Permutation(list).Draw(rt, "order")...)
			restored, err := Restore(q.c.ID, q.c.AppendLeaf(nil))
			if err != nil {
				rt.Fatal(err)
			}
			q.c = restored
			if !bytes.Equal(p.c.AppendLeaf(nil), q.c.AppendLeaf(nil)) {
				rt.Fatal("two orders make two committees")
			}
		}
	})
}

// What is no committee's leaf is refused.
func FuzzRestore(f *testing.F) {
	p := newPlay(f, 4)
	for range 5 {
		f.Add(p.c.AppendLeaf(nil))
		if p.c.Stage != Ready {
			p.step(1, p.all(1, 2, 3, 4)...)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Restore(protocol.ID{9}, b)
		if err == nil && !bytes.Equal(c.AppendLeaf(nil), b) {
			t.Error("two leaves of one committee")
		}
	})
}
