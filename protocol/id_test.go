package protocol_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

func TestIDForms(t *testing.T) {
	id := protocol.Sum([]byte{0xa0})
	// The fixture map-empty of ipld/codec-fixtures.
	const text = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
	if id.String() != text {
		t.Fatal(id)
	}
	if back, err := protocol.ParseID(text); err != nil || back != id {
		t.Fatal(back, err)
	}
	if back, err := protocol.FromCID(id.CID()); err != nil || back != id {
		t.Fatal(back, err)
	}
	type doc struct {
		ID   protocol.ID `json:"id" cbor:"id"`
		None protocol.ID `json:"none" cbor:"none,omitzero"`
	}
	j, err := json.Marshal(doc{ID: id})
	if err != nil || string(j) != `{"id":"`+text+`","none":""}` {
		t.Fatalf("%s %v", j, err)
	}
	var back doc
	if err := json.Unmarshal(j, &back); err != nil || back.ID != id || !back.None.IsZero() {
		t.Fatal(back, err)
	}
	c, err := dagcbor.Marshal(doc{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	back = doc{}
	if err := dagcbor.Unmarshal(c, &back); err != nil || back.ID != id {
		t.Fatal(back, err)
	}
	null := append(dagcbor.AppendText(dagcbor.AppendMap(nil, 1), "id"), 0xf6)
	if err := dagcbor.Unmarshal(null, &back); err == nil {
		t.Error("null was read as an id")
	}
}

func TestParseIDRefuses(t *testing.T) {
	id := protocol.Sum(nil)
	h, err := mh.Encode(id[:], mh.SHA2_256)
	if err != nil {
		t.Fatal(err)
	}
	short, err := mh.Encode(id[:20], mh.SHA2_256)
	if err != nil {
		t.Fatal(err)
	}
	other, err := mh.Encode(id[:], mh.SHA3_256)
	if err != nil {
		t.Fatal(err)
	}
	base58, err := id.CID().StringOfBase('z')
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"empty":          "",
		"CIDv0":          cid.NewCidV0(h).String(),
		"raw codec":      cid.NewCidV1(cid.Raw, h).String(),
		"another hash":   cid.NewCidV1(cid.DagCBOR, other).String(),
		"short digest":   cid.NewCidV1(cid.DagCBOR, short).String(),
		"another base":   base58,
		"upper case":     strings.ToUpper(id.String()),
		"cut":            id.String()[:58],
		"more":           id.String() + "a",
		"very long":      "b" + strings.Repeat("a", 1<<20),
		"an /ipfs/ path": "/ipfs/" + id.String(),
	} {
		got, err := protocol.ParseID(s)
		if !errors.Is(err, protocol.ErrBadID) {
			t.Errorf("%s: %v %v", name, got, err)
		}
		if name == "very long" && !strings.Contains(err.Error(), "too long") {
			t.Errorf("a long text was decoded: %v", err)
		}
	}
	for name, c := range map[string]cid.Cid{
		"none": cid.Undef, "CIDv0": cid.NewCidV0(h), "raw codec": cid.NewCidV1(cid.Raw, h),
		"another hash": cid.NewCidV1(cid.DagCBOR, other), "short digest": cid.NewCidV1(cid.DagCBOR, short),
	} {
		if got, err := protocol.FromCID(c); !errors.Is(err, protocol.ErrBadID) {
			t.Errorf("CID, %s: %v %v", name, got, err)
		}
	}
}
