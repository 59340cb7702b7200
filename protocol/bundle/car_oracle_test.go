package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	car "github.com/ipld/go-car/v2"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Another reader of CAR files takes a bundle, checks every block against its
// CID, and finds each record's payload under the record's id.
func TestOtherReadersReadBundles(t *testing.T) {
	s := pack(t, community(t, 10), []byte("certificate"))
	r, err := car.NewBlockReader(bytes.NewReader(s.file)) // verifies CIDs unless told not to
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != 1 || len(r.Roots) != 1 {
		t.Fatalf("version %d, roots %v", r.Version, r.Roots)
	}
	var blocks [][]byte
	found := map[protocol.ID][]byte{}
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		id, err := protocol.FromCID(b.Cid())
		if err != nil {
			t.Fatal(err)
		}
		if err := dagcbor.Check(b.RawData()); err != nil {
			t.Errorf("block %s: %v", id, err)
		}
		if len(blocks) == 0 && id.CID() != r.Roots[0] {
			t.Error("the root is not the first block")
		}
		blocks = append(blocks, b.RawData())
		found[id] = b.RawData()
	}
	if len(blocks) != 1+len(s.certs)+2*len(s.records) {
		t.Errorf("%d blocks", len(blocks))
	}
	for _, rec := range s.records {
		if !bytes.Equal(found[rec.ID()], rec.Payload()) {
			t.Errorf("no payload under %s", rec.ID())
		}
	}
}
