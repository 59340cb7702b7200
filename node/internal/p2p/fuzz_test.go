package p2p

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/reconcile"
)

func TestEnvelope(t *testing.T) {
	msg := appendEnvelope(nil, Bindings, [][]byte{{1}, {2, 3}})
	kind, frames, err := parseEnvelope(msg)
	if err != nil || kind != Bindings || len(frames) != 2 || !bytes.Equal(frames[1], []byte{2, 3}) {
		t.Fatal(kind, frames, err)
	}
	many := make([][]byte, MaxFrames+1)
	for i := range many {
		many[i] = []byte{1}
	}
	for name, bad := range map[string][]byte{
		"no frames":      appendEnvelope(nil, Records, nil),
		"empty frame":    appendEnvelope(nil, Records, [][]byte{{1}, {}}),
		"kind 0":         appendEnvelope(nil, 0, [][]byte{{1}}),
		"too many":       appendEnvelope(nil, Records, many),
		"frame too big":  appendEnvelope(nil, Records, [][]byte{make([]byte, MaxFrame+1)}),
		"over the cap":   appendEnvelope(nil, Records, [][]byte{make([]byte, MaxFrame), make([]byte, MaxMessage-MaxFrame)}),
		"trailing":       append(appendEnvelope(nil, Records, [][]byte{{1}}), 0),
		"not canonical":  {0x82, 0x18, 0x01, 0x81, 0x41, 0x01},
		"three items":    {0x83, 0x01, 0x81, 0x41, 0x01, 0x00},
		"claims a lot":   {0x82, 0x01, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		"nothing at all": nil,
	} {
		if _, _, err := parseEnvelope(bad); !errors.Is(err, ErrPeer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An answer to a push is empty, or receipts and nothing else.
func TestTaken(t *testing.T) {
	full := make([][]byte, MaxReceipts)
	for i := range full {
		full[i] = make([]byte, protocol.MaxReceipt+96)
	}
	for _, receipts := range [][][]byte{nil, {{1}}, full} {
		b := appendTaken(nil, receipts)
		if got, err := parseTaken(b); err != nil || len(got) != len(receipts) || len(b) > maxTaken {
			t.Error(len(b), len(got), err)
		}
	}
	for name, bad := range map[string][]byte{
		"too many":     appendTaken(nil, append(full, []byte{1})),
		"another kind": appendEnvelope(nil, Records, [][]byte{{1}}),
		"none":         appendEnvelope(nil, Receipts, nil),
		"trailing":     append(appendTaken(nil, full), 0),
	} {
		if got, err := parseTaken(bad); !errors.Is(err, ErrPeer) || got != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzTaken(f *testing.F) {
	f.Add(appendTaken(nil, [][]byte{{1}, {2, 3}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		receipts, err := parseTaken(b)
		switch {
		case err != nil && (receipts != nil || !errors.Is(err, ErrPeer)):
			t.Fatal(receipts, err)
		case err == nil && (len(receipts) > MaxReceipts || !bytes.Equal(appendTaken(nil, receipts), b)):
			t.Fatalf("taken: %x", b)
		}
	})
}

// The largest frame fits a message, and split never makes one that does not.
func TestSplitFits(t *testing.T) {
	for _, sizes := range [][]int{{MaxFrame}, {MaxFrame, MaxFrame, 1}, {30000, 30000, 30000}, {1, MaxFrame, 1}} {
		var frames [][]byte
		for _, n := range sizes {
			frames = append(frames, bytes.Repeat([]byte{7}, n))
		}
		got := 0
		for _, m := range split(Records, frames) {
			b := appendEnvelope(nil, m.kind, m.frames)
			if _, _, err := parseEnvelope(b); err != nil {
				t.Errorf("%v: %v", sizes, err)
			}
			got += len(m.frames)
		}
		if got != len(sizes) {
			t.Errorf("%v: %d frames", sizes, got)
		}
	}
	small := make([][]byte, 5000)
	for i := range small {
		small[i] = []byte{1}
	}
	for _, m := range split(Records, small) {
		if _, _, err := parseEnvelope(appendEnvelope(nil, m.kind, m.frames)); err != nil {
			t.Fatal(err)
		}
	}
}

// A full queue takes nothing more and says so.
func TestQueueIsBounded(t *testing.T) {
	var q queue
	n := 0
	for {
		if _, _, err := q.add(Records, [][]byte{make([]byte, MaxFrame)}); err != nil {
			if !errors.Is(err, ErrBusy) {
				t.Error(err)
			}
			break
		}
		if n++; n*MaxFrame > maxQueuedBytes {
			t.Fatal("the queue grows without end")
		}
	}
	if got := len(q.take()); got != n {
		t.Errorf("%d messages of %d frames", got, n)
	}
	if _, ok := q.age(); ok {
		t.Error("still something there")
	}
}

// The worst verdict among its frames is a message's; what a later version may
// mean is ignored, not rejected.
func TestJudge(t *testing.T) {
	r := NewMemReplica("b", secretA)
	good := r.Add(plane, "good")
	other := NewMemReplica("b", secretB).Add(plane, "other epoch")
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	for name, c := range map[string]struct {
		msg  []byte
		want Verdict
	}{
		"good":            {appendEnvelope(nil, Records, [][]byte{good}), Accept},
		"other epoch":     {appendEnvelope(nil, Records, [][]byte{good, other}), Ignore},
		"forged":          {appendEnvelope(nil, Records, [][]byte{good, other, forged}), Reject},
		"as another kind": {appendEnvelope(nil, Agreement, [][]byte{good}), Reject},
		"kind of later":   {appendEnvelope(nil, 9, [][]byte{good}), Ignore},
		"garbage":         {[]byte("garbage"), Reject},
	} {
		if got, _, _ := judge(r, c.msg); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func FuzzParsers(f *testing.F) {
	f.Add(appendEnvelope(nil, Records, [][]byte{{1}, {2}}))
	f.Add(overview{height: 3}.encode())
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if kind, frames, err := parseEnvelope(b); err == nil && !bytes.Equal(appendEnvelope(nil, kind, frames), b) {
			t.Error("a message has two forms")
		}
		if o, err := parseOverview(b); err == nil && !bytes.Equal(o.encode(), b) {
			t.Error("an overview has two forms")
		}
		if ids, err := parseIDs(b); err == nil && len(ids)*32 != len(b) {
			t.Error("ids lost")
		}
		_, _ = parseHashes(b)
	})
}

// FuzzResponder feeds a proven peer's bytes to the responder: it must end with
// an error or the stream, and never panic.
func FuzzResponder(f *testing.F) {
	f.Add(append(reframe(overviewStep, overview{}.encode()), reframe(wantStep, make([]byte, 64))...))
	f.Add(append(reframe(giveStep, []byte{byte(Records)}), reframe(batchFrame, appendEnvelope(nil, Records, [][]byte{{1}}))...))
	f.Add(append(reframe(historyStep, make([]byte, 9)), reframe(snapshotStep, make([]byte, 40))...))
	f.Add(append(reframe(hashesStep, make([]byte, 32)), reframe(certsStep, make([]byte, 8))...))
	f.Add(append(reframe(overviewStep, overview{}.encode()), reframe(keysStep, reconcile.AppendWanted(nil, []reconcile.Wanted{{Keys: make([][16]byte, 2)}}))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, r := pair()
		x := underA(newWire(&tape{r: bytes.NewReader(b)}), "p", r, newAccounts())
		_ = x.respond(context.Background())
		honest(t, "fuzz", r)
	})
}

// A tape is a stream that plays b and swallows what is written.
type tape struct{ r *bytes.Reader }

func (t *tape) Read(p []byte) (int, error)       { return t.r.Read(p) }
func (t *tape) Write(p []byte) (int, error)      { return len(p), nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// Steps are budgeted: a proven peer can't make a node work without end.
func TestResponderBudgets(t *testing.T) {
	once := reframe(overviewStep, overview{}.encode())
	id := protocol.Sum([]byte("x"))
	asks, err := reconcile.NewInitiator(reconcile.Local{}, [16]byte{}, reconcile.Limits{}).Message()
	if err != nil {
		t.Fatal(err)
	}
	up := reframe(historyStep, []byte{7: 1, 8: 0})
	keys := func(n int) []byte {
		return reconcile.AppendWanted(nil, []reconcile.Wanted{{Set: id, Keys: make([][16]byte, n)}})
	}
	for name, b := range map[string][]byte{
		"asks first":         reframe(reconcileStep, asks),
		"overviews":          bytes.Repeat(once, maxPasses+2),
		"certificates":       bytes.Repeat(reframe(certsStep, make([]byte, 8)), maxPasses+1),
		"hashes":             bytes.Repeat(reframe(hashesStep, nil), maxPasses+1),
		"wants":              append(bytes.Clone(once), bytes.Repeat(reframe(wantStep, bytes.Repeat(id[:], idsPerFrame)), maxNamed/idsPerFrame+1)...),
		"keys":               append(bytes.Clone(once), bytes.Repeat(reframe(keysStep, keys(reconcile.MaxWanted)), maxNamed/reconcile.MaxWanted+1)...),
		"keys first":         reframe(keysStep, keys(1)),
		"no keys":            append(bytes.Clone(once), reframe(keysStep, reconcile.AppendWanted(nil, nil))...),
		"odd keys":           append(bytes.Clone(once), reframe(keysStep, keys(1)[1:])...),
		"snapshots":          bytes.Repeat(reframe(snapshotStep, make([]byte, 40)), maxPasses+1),
		"a snapshot of what": reframe(snapshotStep, nil),
		"parts first":        reframe(partsStep, id[:]),
		"too many parts":     append(reframe(snapshotStep, make([]byte, 40)), reframe(partsStep, bytes.Repeat(id[:], maxParts+1))...),
		"history of what":    reframe(historyStep, make([]byte, 8)),
		"a third direction":  reframe(historyStep, []byte{8: 2}),
		"history too high":   reframe(historyStep, []byte{0xff, 8: 0}),
		"history again":      slices.Concat(up, up),
		"wants first":        reframe(wantStep, id[:]),
		"reconcile first":    reframe(reconcileStep, nil),
		"gives":              bytes.Repeat(append(reframe(giveStep, []byte{1}), reframe(endFrame, nil)...), maxGifts+1),
		"gives an agreement": reframe(giveStep, []byte{byte(Agreement)}),
		"unknown step":       reframe(99, nil),
		"odd ids":            append(bytes.Clone(once), reframe(wantStep, make([]byte, 33))...),
	} {
		_, r := pair()
		x := underA(newWire(&tape{r: bytes.NewReader(b)}), "p", r, newAccounts())
		if err := x.respond(context.Background()); !errors.Is(err, ErrPeer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is held already ends a session that brings nothing else.
func TestStaleGiftsEnd(t *testing.T) {
	_, r := pair()
	var b []byte
	f := r.Add(plane, "again")
	for range 3 * maxStale / 100 {
		b = append(b, reframe(batchFrame, appendEnvelope(nil, Records, bytes100(f)))...)
	}
	x := underA(newWire(&tape{r: bytes.NewReader(append(reframe(giveStep, []byte{1}), b...))}), "p", r, newAccounts())
	if err := x.respond(context.Background()); !errors.Is(err, errStale) || x.got > maxStale+100 {
		t.Error(err, x.got)
	}
}

// Certificates that are held already end a session, too, unless they were asked
// for to find where branches part: as many as that takes.
func TestStaleCertificatesEnd(t *testing.T) {
	source := NewMemReplica("b", secretA)
	for range 8 {
		source.AddCertificate()
	}
	var f []byte
	for c := range source.Certificates(1) {
		f = c
	}
	for _, from := range []uint64{9, 1} {
		r := NewMemReplica("b", secretA)
		for range 8 {
			r.AddCertificate()
		}
		var b [][]byte
		for range 3 * maxStale / 100 {
			b = append(b, reframe(batchFrame, appendEnvelope(nil, Certificates, bytes100(f))))
		}
		x := played(r, b...)
		most := maxStale + int(9-from)*certFrames
		if err := x.certificates(t.Context(), from, 20); !errors.Is(err, errStale) || x.got > most+100 || x.got <= most {
			t.Errorf("from %d: %d came: %v", from, x.got, err)
		}
	}
}

func bytes100(f []byte) (out [][]byte) {
	for range 100 {
		out = append(out, f)
	}
	return out
}
