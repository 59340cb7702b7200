package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

func TestRoundTrip(t *testing.T) {
	pool := community(t, 20)
	rapid.Check(t, func(rt *rapid.T) {
		order := rapid.SliceOfN(rapid.IntRange(0, len(pool)-1), 0, 30).Draw(rt, "order") // repeats too
		records := []*protocol.Record{pool[0]}
		for _, i := range order {
			records = append(records, pool[i])
		}
		var certs [][]byte
		for range rapid.IntRange(0, 3).Draw(rt, "certificates") {
			certs = append(certs, rapid.SliceOfN(rapid.Byte(), 0, 500).Draw(rt, "certificate"))
		}
		s := pack(t, records, certs...)
		var src io.Reader = bytes.NewReader(s.file)
		if rapid.Bool().Draw(rt, "byte by byte") {
			src = iotest.OneByteReader(src)
		}
		r, err := bundle.NewReader(src)
		if err != nil {
			rt.Fatal(err)
		}
		if m, ok := r.Manifest(); !ok || m != s.manifest {
			rt.Fatalf("manifest %+v", m)
		}
		items, problems := contents(t, r)
		if len(problems) > 0 || len(items) != len(records)+len(certs) {
			rt.Fatalf("%d items, problems %v", len(items), problems)
		}
		for i, c := range certs {
			if it := items[i]; it.Inner != nil || it.Height != uint64(i+1) || !bytes.Equal(it.Certificate, c) {
				rt.Fatalf("certificate %d is %+v", i, it)
			}
		}
		for i, rec := range records {
			if it := items[len(certs)+i]; it.ID != rec.ID() || !bytes.Equal(it.Inner, rec.Inner()) {
				rt.Fatalf("record %d is %+v", i, it)
			}
		}
	})
}

func TestVerify(t *testing.T) {
	s := pack(t, community(t, 30), []byte("certificate"))
	rep, err := bundle.Verify(bytes.NewReader(s.file))
	if err != nil || !rep.OK() || rep.Records != 33 || rep.Certificates != 1 ||
		rep.Metastate != s.records[0].ID() || rep.Bytes != int64(len(s.file)) {
		t.Fatalf("%+v, %v", rep, err)
	}
}

// Sound blocks with a signature that does not hold: only Verify can tell.
func TestVerifyNamesBadSignatures(t *testing.T) {
	recs := community(t, 10)
	other := sign(t, protocol.Header{Metastate: protocol.ID{1}, Persona: protocol.ID{2}, Kind: protocol.Propose}, struct{}{})
	otherGenesis := sign(t, protocol.Header{Kind: protocol.Genesis}, map[string]string{"name": "another house"})
	forged := recs[4].Payload()
	list := [][]byte{recs[0].Inner(), protocol.EncodeInner(forged, recs[5].Signatures()), recs[6].Inner(), other.Inner(), otherGenesis.Inner()}
	m := bundle.Manifest{Metastate: recs[0].ID(), Records: uint64(len(list)), Digest: bundle.Digest(slices.Values(
		[]protocol.ID{recs[0].ID(), recs[4].ID(), recs[6].ID(), other.ID(), otherGenesis.ID()}))}
	var buf bytes.Buffer
	w, err := bundle.NewWriter(&buf, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, inner := range list {
		if err := w.Record(inner); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rep, err := bundle.Verify(&buf)
	if err != nil || rep.OK() || rep.Records != 2 || len(rep.Problems) != 3 {
		t.Fatalf("%+v, %v", rep, err)
	}
	for i, want := range []struct {
		id   protocol.ID
		says string
	}{{recs[4].ID(), "a signature does not hold"}, {other.ID(), "another metastate"}, {otherGenesis.ID(), "another metastate"}} {
		if p := rep.Problems[i]; p.ID != want.id || !strings.Contains(p.Reason, want.says) {
			t.Errorf("problem %d: %v", i, p.Error())
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	recs := community(t, 2)
	m := bundle.Manifest{Metastate: recs[0].ID(), Records: 2, Certificates: 1, Digest: bundle.Digest(ids(recs[:2]))}
	begin := func(m bundle.Manifest) *bundle.Writer {
		w, err := bundle.NewWriter(io.Discard, m)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	// step runs calls that must succeed but for the last.
	for name, c := range map[string]struct {
		m     bundle.Manifest
		steps []func(*bundle.Writer) error
	}{
		"closing with too few":       {m, []func(*bundle.Writer) error{cert(1), record(recs[0]), (*bundle.Writer).Close}},
		"closing without its cert":   {m, []func(*bundle.Writer) error{record(recs[0]), record(recs[1]), (*bundle.Writer).Close}},
		"a record too many":          {m, []func(*bundle.Writer) error{record(recs[0]), record(recs[1]), record(recs[2])}},
		"closing with other records": {m, []func(*bundle.Writer) error{cert(1), record(recs[1]), record(recs[0]), (*bundle.Writer).Close}},
		"a certificate too many":     {m, []func(*bundle.Writer) error{cert(1), cert(2)}},
		"a certificate late":         {m, []func(*bundle.Writer) error{record(recs[0]), cert(1)}},
		"a certificate too long": {m, []func(*bundle.Writer) error{func(w *bundle.Writer) error {
			return w.Certificate(1, make([]byte, bundle.MaxCertificate+1))
		}}},
		"bytes that are no record": {m, []func(*bundle.Writer) error{func(w *bundle.Writer) error { return w.Record([]byte{1}) }}},
		"a record after the end": {
			bundle.Manifest{Metastate: recs[0].ID(), Digest: bundle.Digest(ids(nil))},
			[]func(*bundle.Writer) error{(*bundle.Writer).Close, record(recs[0])},
		},
	} {
		w := begin(c.m)
		for i, step := range c.steps {
			if err := step(w); (err != nil) != (i == len(c.steps)-1) {
				t.Errorf("%s: step %d: %v", name, i, err)
			}
		}
		if w.Close() == nil {
			t.Errorf("%s: closed as if whole", name)
		}
	}
	if _, err := bundle.NewWriter(io.Discard, bundle.Manifest{}); err == nil {
		t.Error("a manifest of no metastate was written")
	}
}

func record(r *protocol.Record) func(*bundle.Writer) error {
	return func(w *bundle.Writer) error { return w.Record(r.Inner()) }
}

func cert(height uint64) func(*bundle.Writer) error {
	return func(w *bundle.Writer) error { return w.Certificate(height, []byte("c")) }
}

var errDisk = errors.New("disk on fire")

type failingWriter struct{ left int }

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

// No write error is lost, whenever it comes.
func TestWriterReportsWriteErrors(t *testing.T) {
	s := pack(t, community(t, 40))
	for limit := 0; limit < len(s.file); limit += 997 {
		w, err := bundle.NewWriter(&failingWriter{limit}, s.manifest)
		for _, r := range s.records {
			if err == nil {
				err = w.Record(r.Inner())
			}
		}
		if err == nil {
			err = w.Close()
		}
		if !errors.Is(err, errDisk) {
			t.Fatalf("a disk of %d bytes gave %v", limit, err)
		}
	}
}

// An error of the medium is neither the end of the file nor damage in it.
func TestReaderReportsReadErrors(t *testing.T) {
	s := pack(t, community(t, 5), []byte("certificate"))
	for limit := 0; limit < len(s.file); limit += 5 {
		src := io.MultiReader(bytes.NewReader(s.file[:limit]), iotest.ErrReader(errDisk))
		rep, err := bundle.Verify(src)
		if !errors.Is(err, errDisk) || len(rep.Problems) > 0 {
			t.Fatalf("an error after %d bytes gave %v and %v", limit, err, rep.Problems)
		}
	}
}

func TestStopEarly(t *testing.T) {
	s := pack(t, community(t, 5))
	n := 0
	for range read(t, s.file).All() {
		n++
		break
	}
	for range read(t, s.file[:len(s.file)-1]).All() {
		n++
		break
	}
	if n != 2 {
		t.Error(n)
	}
}
