package p2p

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime/metrics"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
)

// steps are the frames that a session may hold after its handshake. One that is
// added belongs here, and in a scene.
var steps = []byte{
	overviewStep, reconcileStep, wantStep, giveStep, takenStep, certsStep, hashesStep,
	historyStep, snapshotStep, partsStep, keysStep, batchFrame, endFrame,
}

// scenes are pairs of honest replicas whose sessions hold every kind of frame.
var scenes = map[string]func() (i, r *MemReplica){
	"few differences": pair,
	"swapped":         func() (i, r *MemReplica) { r, i = pair(); return i, r },
	"fresh": func() (i, r *MemReplica) {
		i, r = NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		for n := range 50 {
			r.Add(protocol.ID{byte(n % 2)}, fmt.Sprint("record ", n))
		}
		return i, r
	},
	"far behind": func() (i, r *MemReplica) {
		i, r = NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		for n := range 20 {
			r.Add(plane, fmt.Sprint("record ", n))
			if n%2 == 0 {
				i.Add(plane, fmt.Sprint("record ", n))
			}
		}
		for range 2*levelGap + 1 {
			r.AddCertificate()
		}
		r.archive.parts = [][]byte{{1}, {2, 2}, {3, 3, 3}}
		i.archive.wanted, i.archive.signed = true, true
		i.archive.lacking = []protocol.ID{protocol.Sum(fmt.Append(make([]byte, 32), "record 1"))}
		return i, r
	},
	"without a past": func() (i, r *MemReplica) {
		i, r = NewMemReplica("b", secretA), NewMemReplica("b", secretA)
		for range 5 {
			i.AddCertificate()
			r.AddCertificate()
		}
		i.archive.gap, i.archive.signed = 3, true
		return i, r
	},
}

// A lie is what a liar sends in place of an honest frame, which has its 5 bytes
// of length and type. It knows the epoch's secret. Nothing: it drops the
// connection.
type lie func(f []byte, rng *rand.Rand) []byte

var lies = map[string]lie{
	"flipped": func(f []byte, rng *rand.Rand) []byte { f[rng.IntN(len(f))] ^= byte(1 + rng.IntN(255)); return f },
	"flipped inside": func(f []byte, rng *rand.Rand) []byte {
		if len(f) > 5 {
			f[5+rng.IntN(len(f)-5)] ^= byte(1 << rng.IntN(8))
		}
		return f
	},
	"garbage": func(f []byte, rng *rand.Rand) []byte {
		for k := range f[5:] {
			f[5+k] = byte(rng.Uint32())
		}
		return f
	},
	"zeros": func(f []byte, _ *rand.Rand) []byte { clear(f[5:]); return f },
	"ones":  func(f []byte, _ *rand.Rand) []byte { return reframe(f[4], bytes.Repeat([]byte{255}, len(f)-5)) },
	"cut":   func(f []byte, rng *rand.Rand) []byte { return reframe(f[4], f[5:5+rng.IntN(len(f)-4)]) },
	"longer": func(f []byte, rng *rand.Rand) []byte {
		return reframe(f[4], append(f[5:], make([]byte, 1+rng.IntN(99))...))
	},
	"empty":       func(f []byte, _ *rand.Rand) []byte { return reframe(f[4], nil) },
	"largest":     func(f []byte, _ *rand.Rand) []byte { return reframe(f[4], make([]byte, maxBatch)) },
	"over all":    func(f []byte, _ *rand.Rand) []byte { binary.BigEndian.PutUint32(f, 1<<31); return f },
	"twice":       func(f []byte, _ *rand.Rand) []byte { return append(f, f...) },
	"without end": func(f []byte, _ *rand.Rand) []byte { return bytes.Repeat(f, 1+(4<<20)/len(f)) },
	"gone":        func([]byte, *rand.Rand) []byte { return nil },
	"ends":        func([]byte, *rand.Rand) []byte { return reframe(endFrame, nil) },
	"counts":      huge,
	"numbers":     numbers,
	"other epoch": func(f []byte, _ *rand.Rand) []byte { return reseal(f, protocol.NewEpoch(secretB, true), 0) },
	"other kind":  func(f []byte, _ *rand.Rand) []byte { return reseal(f, protocol.NewEpoch(secretA, true), Agreement) },
	"bad MAC": func(f []byte, _ *rand.Rand) []byte {
		if f[4] == batchFrame {
			f[len(f)-1] ^= 1
		}
		return f
	},
}

// huge has an array or byte string claim more than there is, or than fits.
func huge(f []byte, rng *rand.Rand) []byte {
	var heads []int
	for k, b := range f[5:] {
		if b&0xe0 == 0x80 || b&0xe0 == 0x40 {
			heads = append(heads, 5+k)
		}
	}
	if len(heads) == 0 {
		return reframe(f[4], []byte{0x9b, 0, 0, 0, 1, 0, 0, 0, 0})
	}
	k := heads[rng.IntN(min(len(heads), 6))]
	body := append(slices.Clone(f[5:k]), f[k]&0xe0|27, 0, 0, 0, 1, 0, 0, 0, 0)
	return reframe(f[4], append(body, f[k+1:]...))
}

// numbers has heights and counts be as great as they can be.
func numbers(f []byte, _ *rand.Rand) []byte {
	if f[4] == overviewStep {
		o, err := parseOverview(f[5:])
		if err == nil {
			o.height, o.records = protocol.MaxHeight, maxRecords
			return reframe(f[4], o.encode())
		}
	}
	return reframe(f[4], append(bytes.Repeat([]byte{0}, min(1, len(f)-5)), bytes.Repeat([]byte{0x7f}, max(0, len(f)-6))...))
}

// reseal puts a batch's contents under another epoch, or calls them another kind.
func reseal(f []byte, under *protocol.Epoch, as Kind) []byte {
	if f[4] != batchFrame {
		return f
	}
	kind, frames, err := parseMessage(f[5:], maxBatchFrames)
	if err != nil {
		return f
	}
	for k, frame := range frames {
		content, err := protocol.NewEpoch(secretA, true).Open(protocol.Content(kind), frame)
		if err != nil {
			return f
		}
		frames[k] = under.Seal(protocol.Content(max(kind, as)), content)
	}
	if as != 0 {
		kind = as
	}
	return reframe(f[4], appendEnvelope(nil, kind, frames))
}

// A liar lies once, in the n-th frame of its direction.
type liar struct {
	initiator bool
	at        int
	lie       lie
	pace      time.Duration // between bytes of the lie
	rng       *rand.Rand
	lied      bool
}

func (l *liar) pass(dst io.Writer, fromI bool, n int, f []byte) bool {
	if fromI != l.initiator || n != l.at {
		_, err := dst.Write(f)
		return err == nil
	}
	l.lied = true
	if f = l.lie(f, l.rng); l.pace > 0 {
		for _, b := range f {
			time.Sleep(l.pace)
			if _, err := dst.Write([]byte{b}); err != nil {
				return false
			}
		}
		return true
	}
	if f == nil {
		return false
	}
	_, err := dst.Write(f)
	return err == nil
}

// script names frames that a direction of an honest session holds after the
// handshake, by their number: the first and the last of each type.
func script(log []byte) map[int]byte {
	first, last := map[byte]int{}, map[byte]int{}
	for n := 0; len(log) >= 5; n++ {
		if n >= 2 { // hello and proof, or proofs and welcome: TestHandshakeMeddled
			last[log[4]] = n
			if _, before := first[log[4]]; !before {
				first[log[4]] = n
			}
		}
		log = log[5+binary.BigEndian.Uint32(log):]
	}
	types := map[int]byte{}
	for typ, n := range first {
		types[n], types[last[typ]] = typ, typ
	}
	return types
}

// TestLiarInEveryFrame: a peer that belongs to the metastate lies once, in every
// type of frame of every kind of session, in every way there is. The session ends in
// time and takes little memory; nothing comes of it that neither side had; and
// the next honest peer makes the honest side equal.
func TestLiarInEveryFrame(t *testing.T) {
	seen := map[byte]bool{}
	told := 0
	for name, scene := range scenes {
		var scripts [2]map[int]byte // from the responder, from the initiator
		var x act
		synctest.Test(t, func(t *testing.T) {
			x.i, x.r = scene()
			i, all := x.i.Clone(), x.r.Clone()
			o := converse(t, i, all, nil)
			if x.all = all; o.errI != nil || o.errR != nil {
				t.Fatal(name, o.errI, o.errR)
			}
			scripts = [2]map[int]byte{script(o.fromR.Bytes()), script(o.fromI.Bytes())}
		})
		for side, types := range scripts {
			for at, typ := range types {
				seen[typ] = true
				for what, lie := range lies {
					told += lieOnce(t, fmt.Sprintf("%s: %s in frame %d of type %d, by the initiator: %v", name, what, at, typ, side == 1),
						x, &liar{initiator: side == 1, at: at, lie: lie})
				}
				same := func(f []byte, _ *rand.Rand) []byte { return f }
				told += lieOnce(t, fmt.Sprintf("%s: frame %d of type %d dribbles", name, at, typ), x,
					&liar{initiator: side == 1, at: at, lie: same, pace: 7 * time.Second})
				told += lieOnce(t, fmt.Sprintf("%s: frame %d of type %d never comes", name, at, typ), x,
					&liar{initiator: side == 1, at: at, lie: same, pace: 2 * idleTimeout})
				for _, other := range steps {
					retype := func(f []byte, _ *rand.Rand) []byte { f[4] = other; return f }
					told += lieOnce(t, fmt.Sprintf("%s: frame %d of type %d as %d", name, at, typ, other), x,
						&liar{initiator: side == 1, at: at, lie: retype})
				}
			}
		}
	}
	t.Log(told, "lies")
	for _, typ := range steps {
		if !seen[typ] {
			t.Errorf("no scene has a frame of type %d", typ)
		}
	}
	for typ := range seen {
		if !slices.Contains(steps, typ) {
			t.Errorf("frames of type %d are not listed", typ)
		}
	}
}

// mostAllocated is what one session may allocate over a lie, both sides together
// with what the liar makes of it.
const mostAllocated = 64 << 20

// An act is a scene as it begins, and an honest replica that holds what both of
// it do. It is cloned for each lie.
type act struct{ i, r, all *MemReplica }

// lieOnce runs a scene with a liar in it; it returns how many lies were told.
func lieOnce(t *testing.T, where string, x act, l *liar) int {
	t.Helper()
	l.rng = rand.New(rand.NewPCG(uint64(l.at), 7))
	synctest.Test(t, func(t *testing.T) {
		i, r, third := x.i.Clone(), x.r.Clone(), x.all.Clone()
		before := allocated()
		o := talk(t, i, r, newAccounts(), l)
		if spent := allocated() - before; spent > mostAllocated {
			t.Errorf("%s: %d MB allocated", where, spent>>20)
		}
		if o.took > sessionTimeout {
			t.Errorf("%s: took %v", where, o.took)
		}
		if l.pace > 0 && o.took > 4*idleTimeout {
			t.Errorf("%s: went on for %v", where, o.took)
		}
		honest := i
		if l.initiator {
			honest = r
		}
		for id := range honest.records {
			if third.records[id] == nil {
				t.Errorf("%s: a record from nowhere", where)
			}
		}
		for n, c := range honest.certs {
			if n >= len(third.certs) || !bytes.Equal(c, third.certs[n]) {
				t.Errorf("%s: a certificate from nowhere", where)
			}
		}
		if after := talk(t, honest, third, newAccounts(), meddle(nil)); after.errI != nil || after.errR != nil || look(honest) != look(third) {
			t.Errorf("%s: then the next peer: %v, %v, %v and %v", where, after.errI, after.errR, honest.Counts(), third.Counts())
		}
	})
	if l.lied {
		return 1
	}
	return 0
}

// allocated is how many bytes the process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
