package node

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/store"
)

// A booth is a realm whose founder signs checkpoints with one device and votes
// with another, in a poll that is open.
type booth struct {
	*realm
	voter identity.SigningKey
	poll  protocol.ID
	from  []*protocol.Record // what opened it
	asOf  int64
}

func newBooth(t *testing.T) *booth {
	w := &booth{realm: newRealm(t), voter: identity.GenerateSigningKey()}
	l := w.ledger()
	h := protocol.Header{
		Metastate: l.metastate, Kind: protocol.Grant, Persona: w.b.inception.ID(), Key: w.persona.Public(), Cosigners: []identity.PublicKey{w.voter.Public()},
		Checkpoint: l.tip.Ref(), Seq: 2, Prev: w.b.grant.ID(), Parents: []protocol.ID{w.b.grant.ID()}, Time: 1,
	}
	grant, err := protocol.Sign(h, identity.Grant{Device: w.voter.Public(), Expires: time.Now().Add(24 * 365 * time.Hour).Unix()}, nil, w.persona, w.voter)
	if err != nil {
		t.Fatal(err)
	}
	p := w.proposal(l, "x")
	w.poll, w.from, w.asOf = p.ID(), []*protocol.Record{grant, p}, l.tip.State().AsOf()+1
	return w
}

// opened is a ledger at which the poll is open, of the voter's device.
func (w *booth) opened() *ledger {
	w.t.Helper()
	l := w.ledger()
	l.own = w.voter.Public()
	w.took(l, 2, w.from...)
	w.cover(l, w.asOf, w.from...)
	if p := l.tip.State().Decisions().Poll(w.poll); p == nil || p.Phase != decision.Voting {
		w.t.Fatal("no poll is open")
	}
	return l
}

func (w *booth) ballot(l *ledger, seq uint64) *protocol.Record { return w.ballotBy(l, w.voter, seq) }

func (w *booth) ballotBy(l *ledger, device identity.Signer, seq uint64) *protocol.Record {
	w.t.Helper()
	h := protocol.Header{
		Metastate: l.metastate, Kind: protocol.Ballot, Persona: w.b.inception.ID(), Key: device.Public(),
		Checkpoint: l.tip.Ref(), Subject: w.poll, Seq: seq, Time: 1,
	}
	r, err := protocol.Sign(h, decision.BallotBody{Choice: "yes"}, nil, device)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// asks pushes records to a clerk with a key and returns what it signs.
func (w *booth) asks(l *ledger, key identity.Signer, list ...*protocol.Record) (out []protocol.Receipt) {
	w.t.Helper()
	r := newReplica(l, newKeyring(nil, time.Now(), [32]byte{1}))
	if key != nil {
		r.clerk = &clerk{ledger: l, device: key}
	}
	var inners [][]byte
	for _, x := range list {
		inners = append(inners, x.Inner())
	}
	for _, f := range r.Receipts(r.seal(p2p.Records, inners...)) {
		b, err := r.unseal(protocol.ContentReceipt, f)
		if err != nil {
			w.t.Fatal(err)
		}
		x, err := protocol.ParseReceipt(l.metastate, b)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

// A clerk signs for ballots that it holds and the next checkpoint can cover, and
// only where it would sign that.
func TestWhatClerksSignReceiptsFor(t *testing.T) {
	w := newBooth(t)
	l := w.opened()
	b, away := w.ballot(l, 0), w.ballot(l, 1)
	w.took(l, 1, b)
	control := w.follows(l, "another", 1, w.poll, w.poll)
	w.took(l, 1, control)
	opened := w.poll
	w.poll = control.ID() // not open yet
	early := w.ballot(l, 0)
	l.add(early, time.Now())
	w.poll = opened
	got := w.asks(l, w.device, away, control, early, b)
	if len(got) != 1 || got[0].Record != b.ID() || got[0].Height != l.tip.Ref().Height || got[0].Key != w.device.Public() {
		t.Errorf("%+v", got)
	}
	if len(w.asks(l, nil, b)) != 0 || len(w.asks(l, w.voter, b)) != 0 {
		t.Error("a receipt of who is no clerk")
	}
	if err := l.store.PutPrivate(privRebuilt, []byte(time.Now().Format(time.RFC3339))); err != nil {
		t.Fatal(err)
	}
	if len(w.asks(l, w.device, b)) != 0 {
		t.Error("a receipt of a clerk who may have forgotten what it signed")
	}
	if err := l.store.DeletePrivate(privRebuilt); err != nil {
		t.Fatal(err)
	}
	if len(w.asks(l, w.device, b)) != 1 {
		t.Error("no receipt")
	}
	v := w.next(l, l.tip, w.asOf)
	l.rivals[protocol.ID{9}] = &rival{left: true, value: v.Value}
	if len(w.asks(l, w.device, b)) != 0 {
		t.Error("a receipt where the clerks have had their say")
	}
	delete(l.rivals, protocol.ID{9})
	closed := w.opened()
	w.took(closed, 1, b)
	w.cover(closed, w.asOf+1, b)
	if len(w.asks(closed, w.device, b)) != 0 {
		t.Error("a receipt for what is covered")
	}
	l.stopFinality(errBranch)
	if len(w.asks(l, w.device, b)) != 0 {
		t.Error("a receipt of a clerk who stopped")
	}
}

// A poll whose time is over by the state takes no ballots, and who holds one
// late has no receipt to give.
func TestNoReceiptOfAClosedPoll(t *testing.T) {
	w := newBooth(t)
	l := w.opened()
	b := w.ballot(l, 0)
	w.took(l, 1, b)
	w.cover(l, w.asOf+8*dayLong)
	if got := w.asks(l, w.device, b); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// A voter keeps what clerks in force signed for its ballot, over a restart,
// until the ballot is covered; and nothing else that peers answer.
func TestWhatReceiptsAreKept(t *testing.T) {
	w := newBooth(t)
	l := w.opened()
	first, second := w.ballot(l, 0), w.ballot(l, 1)
	w.took(l, 2, first, second)
	at := l.tip.Ref().Height
	r := newReplica(l, newKeyring(nil, time.Now(), [32]byte{1}))
	keeps := func(what string, want int, b *protocol.Record, x protocol.Receipt) {
		t.Helper()
		r.takeReceipts(b, r.seal(p2p.Receipts, x.Encode()))
		clerks, list := l.receipts(w.poll, b.ID())
		if clerks != want || len(list) != want {
			t.Errorf("%s: %d clerks, %d receipts", what, clerks, len(list))
		}
	}
	of := func(b *protocol.Record, height uint64, key identity.Signer) protocol.Receipt {
		return protocol.SignReceipt(l.metastate, b.ID(), height, key)
	}
	forged := of(first, at, w.device)
	forged.Height++
	keeps("of nobody known", 0, first, of(first, at, identity.GenerateSigningKey()))
	keeps("of the voter", 0, first, of(first, at, w.voter))
	keeps("of before what the ballot cites", 0, first, of(first, at-1, w.device))
	keeps("for another record", 0, first, of(second, at, w.device))
	keeps("with a bad signature", 0, first, forged)
	if l.unreceipted(time.Now().Add(-time.Hour)) != nil || len(l.unreceipted(time.Now().Add(time.Hour))) != 2 {
		t.Error("it is not known which ballots have no receipts")
	}
	for what, own := range map[string]identity.PublicKey{"of this node": w.device.Public(), "for a ballot of another": {1}} {
		l.own = own
		keeps(what, 0, first, of(first, at, w.device))
	}
	own := w.ballotBy(l, w.device, 2)
	w.took(l, 1, own)
	l.own = w.device.Public()
	keeps("of the voter, a clerk", 0, own, of(own, at, w.device))
	l.own = w.voter.Public()
	past := of(first, at, identity.GenerateSigningKey())
	if err := l.store.PutPrivate(receiptKey(w.poll, past.Key), past.Encode()); err != nil {
		t.Fatal(err)
	}
	if n, list := l.receipts(w.poll, first.ID()); n != 0 || len(list) != 1 {
		t.Errorf("of a clerk no more in force: %d, %d", n, len(list))
	}
	if err := l.store.DeletePrivate(receiptKey(w.poll, past.Key)); err != nil {
		t.Fatal(err)
	}
	keeps("good", 1, first, of(first, at+3, w.device))
	if list := l.unreceipted(time.Now().Add(time.Hour)); len(list) != 1 || list[0].ID() != second.ID() {
		t.Error("it is not known which ballot has a receipt")
	}
	keeps("for the ballot that replaces it", 1, second, of(second, at, w.device))
	if n, _ := l.receipts(w.poll, first.ID()); n != 0 {
		t.Error("of one clerk two receipts in a poll")
	}
	w.cover(l, w.asOf+1, first)
	if n, _ := l.receipts(w.poll, second.ID()); n != 1 {
		t.Error("forgotten with a ballot that it is not for")
	}
	keeps("for what is covered", 0, first, of(first, at, w.device))
	w.cover(l, w.asOf+2, second)
	if keys := l.store.PrivateKeys(privReceipt); len(keys) != 0 {
		t.Errorf("kept though the ballot is covered: %v", keys)
	}
}

// What is kept is bounded; the oldest goes first.
func TestReceiptsAreBounded(t *testing.T) {
	w := newBooth(t)
	l := w.opened()
	b := w.ballot(l, 0)
	w.took(l, 1, b)
	many := store.Batch{Private: map[string][]byte{}}
	for i := range maxReceipts {
		if len(many.Private) == 128 {
			if err := l.store.Commit(many); err != nil {
				t.Fatal(err)
			}
			clear(many.Private)
		}
		poll := protocol.Sum(binary.BigEndian.AppendUint32(nil, uint32(i)))
		many.Private[receiptKey(poll, w.device.Public())] = protocol.SignReceipt(l.metastate, poll, uint64(10+(i+500)%maxReceipts), w.device).Encode()
	}
	if err := l.store.Commit(many); err != nil {
		t.Fatal(err)
	}
	r := newReplica(l, newKeyring(nil, time.Now(), [32]byte{1}))
	r.takeReceipts(b, r.seal(p2p.Receipts, protocol.SignReceipt(l.metastate, b.ID(), l.tip.Ref().Height, w.device).Encode()))
	oldest := protocol.Sum(binary.BigEndian.AppendUint32(nil, maxReceipts-500))
	if n := len(l.store.PrivateKeys(privReceipt)); n != maxReceipts {
		t.Errorf("%d receipts", n)
	}
	if n, _ := l.receipts(w.poll, b.ID()); n != 1 {
		t.Error("the new one is not kept")
	}
	if n, _ := l.receipts(oldest, oldest); n != 0 {
		t.Error("the oldest is kept")
	}
}

// A voter gets receipts of the clerks that are there; of one who comes back too,
// by asking again; and has no use for them once all clerks can cover the ballot.
func TestReceiptsOfClerks(t *testing.T) {
	if underRace {
		t.Skip("whole hosts in virtual time run without the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, 5)
		poll := v.fourClerks().String()
		voter := v.all[4]
		apart := func(alone ...int) {
			v.net.Partition(5, func(i int) int {
				for _, a := range alone {
					if a == i {
						return 1 + i
					}
				}
				return 0
			})
		}
		apart(1, 2, 4)
		r, err := voter.Vote(t.Context(), poll, "yes")
		if err != nil || r.Sent != 0 || r.Clerks != 0 || len(r.Receipts) != 0 {
			t.Errorf("alone: %+v, %v", r, err)
		}
		apart(1, 2)
		v.eventually(5*time.Minute, "two receipts", func() bool { r, err = voter.Receipt(poll); return err == nil && r.Clerks == 2 })
		for _, x := range r.Receipts {
			got, err := protocol.ParseReceipt(voter.ID(), x.Signed)
			if err != nil || got.Record.String() != r.Receipt || got.Key.String() != x.Key || got.Height != x.Height {
				t.Errorf("%+v: %+v, %v", x, got, err)
			}
		}
		if r.Covered || len(r.Receipts) != 2 {
			t.Errorf("%+v", r)
		}
		r, err = voter.Vote(t.Context(), poll, "no")
		if err != nil || r.Sent != 2 || r.Clerks != 2 || r.Covered {
			t.Errorf("to two clerks: %+v, %v", r, err)
		}
		if other, err := v.all[0].CheckReceipt(r.Receipt); err != nil || other.Clerks != 0 {
			t.Errorf("receipts are the voter's: %+v, %v", other, err)
		}
		v.net.Partition(5, nil)
		v.eventually(10*time.Minute, "covered", func() bool { r, err = voter.Receipt(poll); return err == nil && r.Covered })
		if r.Clerks != 0 || len(r.Receipts) != 0 || len(voter.store.PrivateKeys(privReceipt)) != 0 {
			t.Errorf("covered: %+v", r)
		}
		for i, m := range v.nodes {
			if err := m.Close(); err != nil {
				t.Error(fmt.Sprint("node ", i), err)
			}
		}
	})
}
