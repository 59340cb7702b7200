package bundle_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
)

// A sample is a bundle with what is in it.
type sample struct {
	file      []byte
	manifest  bundle.Manifest
	records   []*protocol.Record
	certs     [][]byte
	recordsAt []int // where each record's first block starts; then the file's end
}

func key(n byte) identity.SigningKey {
	seed := [32]byte{n, 's', 'e', 'e', 'd'}
	return identity.NewSigningKey(&seed)
}

func sign(t testing.TB, h protocol.Header, body any, carried ...*protocol.Record) *protocol.Record {
	t.Helper()
	h.Key = key(1).Public()
	r, err := protocol.Sign(h, body, carried, key(1))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// community makes a genesis, a persona and n more records of every shape: with
// many links to others, with other records inside, sealed, bulk.
func community(t testing.TB, n int) []*protocol.Record {
	t.Helper()
	genesis := sign(t, protocol.Header{Kind: protocol.Genesis}, map[string]string{"name": "a house"})
	m := genesis.ID()
	inception := sign(t, protocol.Header{Metastate: m, Kind: protocol.Inception}, map[string]string{"name": "Anna"})
	grant := sign(t, protocol.Header{Metastate: m, Kind: protocol.Grant, Persona: inception.ID(), Seq: 1, Prev: inception.ID()}, struct{}{})
	recs := []*protocol.Record{genesis, inception, grant}
	prev := grant
	for i := range n {
		h := protocol.Header{Metastate: m, Persona: inception.ID(), Time: int64(i)}
		var r *protocol.Record
		switch i % 4 {
		case 0, 1:
			h.Kind, h.Seq, h.Prev = protocol.Propose, uint64(i+2), prev.ID()
			for _, p := range recs[max(0, len(recs)-3):] {
				h.Parents = append(h.Parents, p.ID())
			}
			slices.SortFunc(h.Parents, protocol.ID.Compare)
			r = sign(t, h, map[string]any{"about": recs[0].ID()})
			prev = r
		case 2:
			h.Kind, h.Subject = protocol.Ballot, prev.ID()
			r = sign(t, h, []byte("a sealed ballot"))
		case 3:
			h.Kind, h.Seq, h.Prev = protocol.Admit, uint64(i+2), prev.ID()
			r = sign(t, h, struct{}{}, inception, grant)
			prev = r
		}
		recs = append(recs, r)
	}
	return recs
}

// pack makes a bundle of records and certificates.
func pack(t testing.TB, records []*protocol.Record, certs ...[]byte) sample {
	t.Helper()
	s := sample{records: records, certs: certs}
	s.manifest = bundle.Manifest{
		Metastate: records[0].ID(), Records: uint64(len(records)), Certificates: uint64(len(certs)),
		Digest: bundle.Digest(ids(records)),
	}
	var buf bytes.Buffer
	w, err := bundle.NewWriter(&buf, s.manifest)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range certs {
		if err := w.Certificate(uint64(i+1), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range records {
		if err := w.Record(r.Inner()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.file = buf.Bytes()
	for it := range read(t, s.file).All() {
		if it.Inner != nil {
			s.recordsAt = append(s.recordsAt, int(it.Offset))
		}
	}
	s.recordsAt = append(s.recordsAt, len(s.file))
	return s
}

func ids(records []*protocol.Record) func(func(protocol.ID) bool) {
	return func(yield func(protocol.ID) bool) {
		for _, r := range records {
			if !yield(r.ID()) {
				return
			}
		}
	}
}

func read(t testing.TB, file []byte) *bundle.Reader {
	t.Helper()
	r, err := bundle.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// contents reads everything.
func contents(t testing.TB, r *bundle.Reader) (items []bundle.Item, problems []bundle.Problem) {
	t.Helper()
	for it, p := range r.All() {
		if p != nil {
			problems = append(problems, *p)
		} else {
			items = append(items, it)
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return items, problems
}

// inners are the records among items, by id.
func inners(items []bundle.Item) map[protocol.ID][]byte {
	m := map[protocol.ID][]byte{}
	for _, it := range items {
		if it.Inner != nil {
			m[it.ID] = it.Inner
		}
	}
	return m
}
