package bundle_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs/go-cid"
	car "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/blockstore"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
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

// Another reader of CAR files takes a sealed bundle, too, and checks its blocks:
// the root is DAG-CBOR, the rest are raw.
func TestOtherReadersReadSealedBundles(t *testing.T) {
	file := seal(t, pack(t, community(t, 300)).file)
	_, sections := blocks(t, file)
	r, err := car.NewBlockReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1 + len(sections) {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		codec := uint64(cid.Raw)
		if i == 0 {
			if codec = cid.DagCBOR; b.Cid() != r.Roots[0] || dagcbor.Check(b.RawData()) != nil {
				t.Error("the root is not the first block, of DAG-CBOR")
			}
		} else if !bytes.Equal(b.RawData(), blockOf(sections[i-1])) {
			t.Errorf("block %d is another", i)
		}
		if b.Cid().Prefix().Codec != codec {
			t.Errorf("block %d is of codec %x", i, b.Cid().Prefix().Codec)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// rewrite has another program write the blocks of a file anew.
func rewrite(t *testing.T, file []byte, opts ...car.Option) []byte {
	t.Helper()
	from, err := car.NewBlockReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "other.car")
	to, err := blockstore.OpenReadWrite(path, from.Roots, append(opts, blockstore.AllowDuplicatePuts(true))...)
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = to.Put(t.Context(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := to.Finalize(); err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A bundle that another program wrote anew as CARv1 is the same to the byte, and
// so is taken; as CARv2 it is refused by name.
func TestBundlesWrittenByOthers(t *testing.T) {
	plain := pack(t, community(t, 300), []byte("certificate")).file
	for name, file := range map[string][]byte{"plain": plain, "sealed": seal(t, plain)} {
		if got := rewrite(t, file, blockstore.WriteAsCarV1(true)); !bytes.Equal(got, file) {
			t.Errorf("%s: as CARv1 it is another file: %d bytes of %d", name, len(got), len(file))
		}
		v2 := rewrite(t, file)
		if _, err := bundle.NewReader(bytes.NewReader(v2)); !errors.Is(err, bundle.ErrNotCAR) {
			t.Errorf("%s: as CARv2: %v", name, err)
		}
		if _, err := bundle.NewOpener(bytes.NewReader(v2)); !errors.Is(err, bundle.ErrNotSealed) {
			t.Errorf("%s: as CARv2 it is opened: %v", name, err)
		}
	}
}
