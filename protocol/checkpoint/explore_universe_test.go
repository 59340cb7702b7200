package checkpoint

import (
	"fmt"
	"math/bits"
	"sync"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// What can be said at all in an exploration: every message of every clerk in
// the rounds at hand over two values. Each is signed and parsed once, in the
// public way, and then shared, so that signatures cost an exploration nothing.

// mask is a set of messages of a universe, by index.
type mask [2]uint64

func bit(i int) (m mask)           { m[i/64] = 1 << (i % 64); return m }
func (m mask) or(o mask) mask      { return mask{m[0] | o[0], m[1] | o[1]} }
func (m mask) without(o mask) mask { return mask{m[0] &^ o[0], m[1] &^ o[1]} }
func (m mask) has(i int) bool      { return m[i/64]>>(i%64)&1 == 1 }
func (m mask) within(o mask) bool  { return m.without(o) == mask{} }
func (m mask) count() int          { return bits.OnesCount64(m[0]) + bits.OnesCount64(m[1]) }
func (m mask) each(do func(int) bool) {
	for w, word := range m {
		for ; word != 0; word &= word - 1 {
			if !do(w*64 + bits.TrailingZeros64(word)) {
				return
			}
		}
	}
}

// setup says who is dishonest and how far an exploration goes.
type setup struct {
	n      int
	liars  []int
	rounds uint32
	// mutate breaks a machine's rules after each step, to show that the
	// exploration would see it; nil: the rules as they are.
	mutate    func(*Machine)
	amnesia   bool // clerks restart with nothing remembered
	onlyFinal bool // look for two values decided only, not for what leads there
}

// vote names the votes of a clerk in a round: [kind − prevote][value].
type vote [2][3]int

type universe struct {
	setup
	reporter
	clerks    []certificate.Clerk
	honest    []int
	values    [3][]byte      // nil, A, B
	ids       [3]protocol.ID // zero for nil
	msgs      []*Message
	index     map[Header]int
	votes     [][]vote // [clerk][round]
	proposals [3][]int // by value
	lies      mask     // all that the liars can say
	signers   []identity.Signer
}

// reporter reports the first thing wrong; what follows from it would fill
// screens.
type reporter struct {
	t    testing.TB
	once sync.Once
}

func (r *reporter) complain(format string, args ...any) {
	r.once.Do(func() { r.t.Errorf(format, args...) })
}

// memoSigner remembers signatures: Ed25519 makes the same one again.
type memoSigner struct {
	identity.SigningKey
	made *sync.Map // string of what is signed → signature
}

func (s memoSigner) Sign(msg []byte) [identity.SignatureSize]byte {
	if sig, ok := s.made.Load(string(msg)); ok {
		return sig.([identity.SignatureSize]byte)
	}
	sig := s.SigningKey.Sign(msg)
	s.made.Store(string(msg), sig)
	return sig
}

func newUniverse(t testing.TB, s setup) *universe {
	u := &universe{
		setup: s, reporter: reporter{t: t}, clerks: testClerks(s.n), index: map[Header]int{},
		votes: make([][]vote, s.n),
	}
	for v, label := range []string{"A", "B"} {
		u.values[v+1] = mustEncode(t, testValue(s.n, label))
		u.ids[v+1] = protocol.Sum(u.values[v+1])
	}
	for clerk := range s.n {
		u.signers = append(u.signers, memoSigner{testKey(clerk), &sync.Map{}})
		if !u.liar(clerk) {
			u.honest = append(u.honest, clerk)
		}
		u.votes[clerk] = make([]vote, s.rounds)
		for round := range s.rounds {
			for k := range 2 {
				for v, id := range u.ids {
					h := Header{Kind: KindPrevote + Kind(k), Clerk: clerk, Height: 1, Round: round, ValidRound: NoRound, Value: id}
					u.votes[clerk][round][k][v] = u.add(h, nil)
				}
			}
			for v := 1; Proposer(1, round, s.n) == clerk && v < len(u.ids); v++ {
				for valid := int64(NoRound); valid < int64(round); valid++ {
					h := Header{Kind: KindProposal, Clerk: clerk, Height: 1, Round: round, ValidRound: valid, Value: u.ids[v]}
					u.proposals[v] = append(u.proposals[v], u.add(h, u.values[v]))
				}
			}
		}
	}
	return u
}

func (u *universe) liar(clerk int) bool {
	for _, l := range u.liars {
		if l == clerk {
			return true
		}
	}
	return false
}

func (u *universe) add(h Header, value []byte) int {
	signed := signMessage(u.signers[h.Clerk], testMetastate, h, value, protocol.ID{})
	m, err := ParseMessage(testMetastate, u.clerks, signed.Bytes())
	if err != nil {
		u.t.Fatal(err)
	}
	i := len(u.msgs)
	if i >= 128 {
		u.t.Fatal("more messages than a mask holds")
	}
	u.msgs = append(u.msgs, m)
	u.index[h] = i
	if u.liar(h.Clerk) {
		u.lies = u.lies.or(bit(i))
	}
	return i
}

func (u *universe) config(clerk int) Config {
	return Config{Metastate: testMetastate, Height: 1, Clerks: u.clerks, Signer: u.signers[clerk]}
}

// name returns 0 for nil, 1 for A, 2 for B.
func (u *universe) name(id protocol.ID) int8 {
	for v := range u.ids {
		if u.ids[v] == id {
			return int8(v)
		}
	}
	u.t.Fatalf("a value that nobody proposed: %v", id)
	return -1
}

// moment is what one input brought about, judged at once: both values are
// valid and fresh. A value found stale is prevoted nil as after the propose
// timeout, which may always come; an answer that comes later is a proposal
// that comes later.
type moment struct {
	sent    mask
	decided *certificate.Certificate
	accused mask   // whoever signed two things, by clerk
	record  []byte // the last persisted, if any was
}

func (u *universe) step(m *Machine, in Input) (now moment, v Verdict) {
	out, v := m.Step(in)
	for _, o := range out {
		switch o := o.(type) {
		case Broadcast:
			i, ok := u.index[o.Message.Header()]
			if !ok {
				u.complain("a message outside the universe: %+v", o.Message.Header())
				continue
			}
			now.sent = now.sent.or(bit(i))
		case Persist:
			now.record = o.Record
		case Judge:
			more, _ := u.step(m, Judged{Value: o.ID, Fresh: o.Fresh, OK: true})
			if more.record != nil {
				now.record = more.record
			}
			now.sent, now.accused = now.sent.or(more.sent), now.accused.or(more.accused)
			if more.decided != nil {
				now.decided = more.decided
			}
		case Decided:
			now.decided = &o.Certificate
		case Refused:
			u.complain("a certificate was refused")
		case Accuse:
			now.accused = now.accused.or(bit(o.Evidence.Clerk))
		}
	}
	if u.mutate != nil {
		u.mutate(m)
	}
	return now, v
}

// start returns the machine of an honest clerk, started.
func (u *universe) start(clerk int) *Machine {
	m, err := New(u.config(clerk))
	if err != nil {
		u.t.Fatal(err)
	}
	u.step(m, Start{})
	return m
}

// show writes a set of messages for a reader.
func (u *universe) show(set mask) string {
	s := ""
	set.each(func(i int) bool {
		h := u.msgs[i].Header()
		s += fmt.Sprintf(" %v %c %d %s", h.Kind, 'A'+h.Clerk, h.Round, [...]string{"nil", "v", "w"}[u.name(h.Value)])
		if h.ValidRound != NoRound {
			s += fmt.Sprintf(" valid %d", h.ValidRound)
		}
		s += ";"
		return true
	})
	return s
}
