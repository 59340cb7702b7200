package protocol_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Every near miss below is one change away from one of these.
func TestShapesAccepted(t *testing.T) {
	for name, d := range map[string]draft{
		"control":                control(),
		"first of its chain":     control().with("q", number(0)).without("r"),
		"before any checkpoint":  control().without("h"),
		"most parents":           control().with("u", links(protocol.MaxParents)),
		"most co-signers":        cosigned(control(), protocol.MaxCosigners),
		"sealed":                 control().with("b", bytesOf([]byte("ciphertext"))),
		"bulk":                   bulk(),
		"bulk of the last seq":   bulk().with("q", number(protocol.MaxBulkSeq)),
		"genesis":                genesis(),
		"genesis of many":        cosigned(genesis(), 3),
		"inception":              inception(),
		"admission":              admission(inception().inner(), control().inner()),
		"unknown kind":           control().ofKind("strike.call"),
		"unknown kind, bulk":     bulk().ofKind("strike.vote"),
		"longest kind":           control().ofKind(protocol.Kind(strings.Repeat("k", protocol.MaxKind))),
		"last seq":               control().with("q", number(protocol.MaxSeq)),
		"last height":            control().with("h", ref(protocol.MaxHeight, testID(2))),
		"last time":              control().with("t", number(protocol.MaxTime)),
		"first time":             control().with("t", number(0)),
		"body nested to the cap": control().with("b", append([]byte{0xa1, 0x61, 'x'}, append(bytes.Repeat([]byte{0x81}, dagcbor.MaxDepth-1), 0)...)),
	} {
		t.Run(name, func(t *testing.T) {
			r := mustParse(t, d.inner())
			if r.ID() != protocol.Sum(d.payload()) || r.Kind() != d.kind || !bytes.Equal(r.Payload(), d.payload()) {
				t.Errorf("parsed as %s %s", r.Kind(), r.ID())
			}
		})
	}
}

type refusal struct {
	name string
	d    draft
	says string
}

func refuseAll(t *testing.T, list []refusal) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) { wantRefusal(t, c.d.inner(), c.says) })
	}
}

// SPEC §2.2: which fields there are.
func TestSpec2_2Fields(t *testing.T) {
	list := []refusal{
		{"unknown letter", control().with("z", number(1)), "unknown field"},
		{"unknown word", control().with("zz", number(1)), "unknown field"},
		{"empty name", control().with("", number(1)), "unknown field"},
		{"upper case", control().with("B", []byte{0xa0}), "unknown field"},
		{"beyond letters", control().with("{", number(1)), "unknown field"},
		{"version 0", control().with("v", number(0)), "version 0"},
		{"version 2", control().with("v", number(2)), "version 2"},
		{"empty kind", control().ofKind(""), "the kind is empty"},
		{"body a number", control().with("b", number(1)), "neither a map nor sealed"},
		{"body a text", control().with("b", text("x")), "neither a map nor sealed"},
		{"body an array", control().with("b", array()), "neither a map nor sealed"},
		{"body a link", control().with("b", link(testID(1))), "neither a map nor sealed"},
		{"body null", control().with("b", []byte{0xf6}), "neither a map nor sealed"},
		{"time negative", control().with("t", []byte{0x20}), "unsigned"},
		{"no parents, written", control().with("u", array()), "left out"},
		{"no co-signers, written", control().with("o", array()), "left out"},
		{"no carried, written", admission(), "left out"},
		{"checkpoint without an id", control().with("h", array(number(1))), "a height and a link"},
		{"checkpoint of height 0", control().with("h", ref(0, testID(2))), "begin at height 1"},
		{"short key", control().with("d", bytesOf(testKey(1).Public().Multikey()[:33])), "not a public key"},
		{"other algorithm", control().with("d", bytesOf(append([]byte{0xec, 1}, testKey(1).Public().Multikey()[2:]...))), "not a public key"},
		{"long key", control().with("d", bytesOf(append(testKey(1).Public().Multikey(), 0))), "cap of 34"},
	}
	for _, f := range []string{"b", "d", "k", "q", "t", "v"} {
		d := control().without(f)
		if f == "k" { // signed as the kind it then has: none
			d.kind = ""
		}
		list = append(list, refusal{"without " + f, d, fmt.Sprintf("field '%s' is missing", f)})
	}
	for _, f := range []string{"m", "p", "r"} {
		list = append(list, refusal{f + " is a zero link", control().with(f, link(protocol.ID{})), "link to nothing"})
	}
	list = append(list,
		refusal{"s is a zero link", bulk().with("s", link(protocol.ID{})), "link to nothing"},
		refusal{"u has a zero link", control().with("u", array(link(protocol.ID{}))), "link to nothing"},
		refusal{"h has a zero link", control().with("h", ref(1, protocol.ID{})), "link to nothing"},
	)
	refuseAll(t, list)
}

// SPEC §2.1 and §2.2: fields in order, each once, one encoding, nothing more.
func TestSpec2_1PayloadIsCanonical(t *testing.T) {
	d := control()
	p := d.payload()
	more := slices.Clone(p)
	more[0]++
	head := func(b ...byte) []byte { return append(b, p[1:]...) }
	for name, c := range map[string]struct {
		payload []byte
		says    string
	}{
		"one field twice":       {append(more, p[len(p)-3:]...), "sorted"},
		"fields out of order":   {slices.Concat(p[:1], p[4:len(p)-3], p[1:4], p[len(p)-3:]), "sorted"},
		"long head":             {head(0xb8, p[0]&31), "shortest"},
		"indefinite map":        {append(head(0xbf), 0xff), "indefinite"},
		"more after the map":    {append(slices.Clone(p), 0), "after the value"},
		"cut short":             {p[:len(p)-1], "cut short"},
		"not a map":             {array(number(1)), "expected a map"},
		"17 fields":             {append([]byte{0xb1}, bytes.Repeat([]byte{0x61, 'a', 0}, 17)...), "cap of 16"},
		"body not canonical":    {d.with("b", []byte{0xa1, 0x61, 'x', 0x18, 0}).payload(), "shortest"},
		"body with a float":     {d.with("b", []byte{0xa1, 0x61, 'x', 0xf9, 0, 0}).payload(), "float"},
		"body nested too deep":  {d.with("b", append(bytes.Repeat([]byte{0xa1, 0x61, 'x'}, 17), 0)).payload(), "deeper"},
		"kind of bad UTF-8":     {d.with("k", []byte{0x61, 0xff}).payload(), "UTF-8"},
		"link of another codec": {d.with("m", []byte("\xd8\x2a\x58\x25\x00\x01\x55\x12\x20"+strings.Repeat("m", 32))).payload(), "expected a link"},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, sealPayload(d.kind, d.metastate, c.payload, testKey(1)), c.says)
		})
	}
}

// SPEC §2.3: the inner form is an array of two byte strings and nothing else.
func TestSpec2_3InnerForm(t *testing.T) {
	d := control()
	inner := d.inner()
	for name, c := range map[string]struct {
		b    []byte
		says string
	}{
		"nothing":         {nil, "cut short"},
		"three items":     {append([]byte{0x83}, append(slices.Clone(inner[1:]), 0)...), "cap of 2"},
		"one item":        {append([]byte{0x81}, bytesOf(d.payload())...), "payload and signatures"},
		"not an array":    {bytesOf(inner), "expected an array"},
		"more after it":   {append(slices.Clone(inner), 0), "after the value"},
		"cut short":       {inner[:len(inner)-1], "passes the end"},
		"payload as text": {array(text("x"), bytesOf(nil)), "byte string"},
		"long head":       {append([]byte{0x98, 2}, inner[1:]...), "shortest"},
	} {
		t.Run(name, func(t *testing.T) { wantRefusal(t, c.b, c.says) })
	}
}

// SPEC §2.5: combinations of fields that no record has.
func TestSpec2_5Shape(t *testing.T) {
	one, two := testKey(1), testKey(2)
	pair := sortedKeys(2)
	refuseAll(t, []refusal{
		{"no signature", control().signedBy(), "0 bytes of signatures, wanted 64"},
		{"one signature too many", control().signedBy(one, two), "128 bytes of signatures, wanted 64"},
		{"one signature too few", cosigned(control(), 2).signedBy(one, pair[0]), "128 bytes of signatures, wanted 192"},
		{"co-signers descending", cosigned(control(), 2).
			with("o", array(multikey(pair[1]), multikey(pair[0]))).signedBy(one, pair[1], pair[0]), "not strictly ascending"},
		{"one co-signer twice", cosigned(control(), 2).
			with("o", array(multikey(pair[0]), multikey(pair[0]))).signedBy(one, pair[0], pair[0]), "not strictly ascending"},
		{"the signer co-signs", control().with("o", array(multikey(one))).signedBy(one, one), "the signer co-signs"},
		{"parents descending", control().with("u", array(link(testID(2)), link(testID(1)))), "not strictly ascending"},
		{"one parent twice", control().with("u", array(link(testID(2)), link(testID(2)))), "not strictly ascending"},
		{"no metastate", func() draft { d := control().without("m"); d.metastate = protocol.ID{}; return d }(), "no metastate"},
		{"no persona", control().without("p"), "an inception names none"},
		{"no persona, bulk", bulk().without("p"), "an inception names none"},
		{"no persona, unknown kind", control().ofKind("strike.call").without("p"), "an inception names none"},
		{"inception with a persona", inception().with("p", link(testID(3))), "an inception names none"},
		{"ballot without a subject", control().ofKind(protocol.Ballot), "a subject on the control plane"},
		{"proposal with a subject", bulk().ofKind(protocol.Propose), "a subject on the control plane"},
		{"bulk with prev", bulk().with("r", link(testID(4))), "a bulk record has no"},
		{"bulk with parents", bulk().with("u", links(1)), "a bulk record has no"},
		{"bulk with carried", bulk().ofKind("strike.vote").with("c", array(bytesOf(inception().inner()))), "a bulk record has no"},
		{"bulk seq over the cap", bulk().with("q", number(protocol.MaxBulkSeq+1)), "seq 65 of a bulk record"},
		{"unknown bulk seq over the cap", bulk().ofKind("strike.vote").with("q", number(protocol.MaxBulkSeq+1)), "seq 65 of a bulk record"},
		{"seq 0 with prev", control().with("q", number(0)), "seq 0 and no prev"},
		{"seq 1 without prev", control().without("r"), "seq 0 and no prev"},
		{"a proposal carries", control().with("c", array(bytesOf(inception().inner()))), "only an admission"},
		{"an inception carries", inception().with("c", array(bytesOf(inception().inner()))), "only an admission"},
		{"an unknown kind carries", control().ofKind("strike.call").with("c", array(bytesOf(inception().inner()))), "only an admission"},
	})
}

// SPEC §2.5: a genesis has nothing before it.
func TestSpec2_5Genesis(t *testing.T) {
	const says = "nothing before it"
	other := genesis().with("m", link(testID(1)))
	other.metastate = testID(1)
	refuseAll(t, []refusal{
		{"metastate", other, says},
		{"persona", genesis().with("p", link(testID(3))), says},
		{"subject", genesis().with("s", link(testID(3))), says},
		{"checkpoint", genesis().with("h", ref(1, testID(3))), says},
		{"seq", genesis().with("q", number(1)), says},
		{"prev", genesis().with("r", link(testID(3))), says},
		{"parents", genesis().with("u", links(1)), says},
		{"carried", genesis().with("c", array(bytesOf(inception().inner()))), says},
	})
}

// SPEC §2.6: caps, each at its edge and one past it.
func TestSpec2_6Limits(t *testing.T) {
	var carried [][]byte
	for range protocol.MaxCarried + 1 {
		carried = append(carried, inception().inner())
	}
	refuseAll(t, []refusal{
		{"parents", control().with("u", links(protocol.MaxParents+1)), "cap of 16"},
		{"co-signers", cosigned(control(), protocol.MaxCosigners+1), "cap of"},
		{"carried", admission(carried...), "cap of 2"},
		{"kind", control().ofKind(protocol.Kind(strings.Repeat("k", protocol.MaxKind+1))), "cap of 32"},
		{"seq", control().with("q", number(protocol.MaxSeq+1)), "seq 1099511627777 is over the cap"},
		{"height", control().with("h", ref(protocol.MaxHeight+1, testID(2))), "height 1099511627777 is over the cap"},
		{"time", control().with("t", number(protocol.MaxTime+1)), "time 1099511627777 is over the cap"},
		{"more parents claimed than there are", control().with("u", []byte{0x9a, 0xff, 0xff, 0xff, 0xff}), "cap of 16"},
	})
	for _, c := range []struct {
		d     draft
		limit int
	}{
		{control(), 60 << 10},
		{control().ofKind("strike.call"), 16 << 10},
		{bulk().ofKind("strike.vote"), 16 << 10},
		{bulk(), 60 << 10},
		{genesis(), 60 << 10},
		{inception(), 2 << 10},
		{control().ofKind(protocol.Grant), 2 << 10},
		{control().ofKind(protocol.Invite), 2 << 10},
		{control().ofKind(protocol.InviteRevoke), 2 << 10},
		{control().ofKind(protocol.Leave), 2 << 10},
		{control().ofKind(protocol.Admit), 16 << 10},
		{control().ofKind(protocol.Suspend), 4 << 10},
		{control().ofKind(protocol.Appoint), 4 << 10},
		{control().ofKind(protocol.Expel), 4 << 10},
		{control().ofKind(protocol.Endorse), 2 << 10},
		{control().ofKind(protocol.Recall), 4 << 10},
		{control().ofKind(protocol.Resign), 2 << 10},
		{control().ofKind(protocol.Serve), 2 << 10},
		{control().ofKind(protocol.Evidence), 2 << 10},
		{control().ofKind(protocol.Rotate), 2 << 10},
		{control().ofKind(protocol.Revoke), 8 << 10},
		{control().ofKind(protocol.Recover), 2 << 10},
	} {
		t.Run("payload of "+string(c.d.kind), func(t *testing.T) {
			rest := len(c.d.payload()) - 1 // without the body
			edge := c.d.with("b", bodyOf(c.limit-rest))
			if n := len(edge.payload()); n != c.limit {
				t.Fatalf("the test's payload has %d bytes, meant %d", n, c.limit)
			}
			mustParse(t, edge.inner())
			over := c.d.with("b", bodyOf(c.limit-rest+1))
			says := "the cap of"
			if c.limit == 60<<10 { // the inner form is refused before the payload is read
				says = "over the cap of 61440"
			}
			wantRefusal(t, over.inner(), says)
		})
	}
	t.Run("carried inner form", func(t *testing.T) {
		wantRefusal(t, admission(make([]byte, 16<<10+1)).inner(), "cap of 16384")
	})
	t.Run("inner form", func(t *testing.T) {
		wantRefusal(t, make([]byte, protocol.MaxInner+1), "the cap is")
	})
	t.Run("signatures", func(t *testing.T) {
		b := protocol.EncodeInner(control().payload(), make([]byte, (1+protocol.MaxCosigners)*identity.SignatureSize+1))
		wantRefusal(t, b, "cap of 832")
	})
}
