package dagcbor

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"pgregory.net/rapid"
)

// shared returns the path of outside test data, which lives beside the
// repository, and skips the test where it is absent.
func shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "testdata", filepath.FromSlash(name))
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Skipf("outside vectors ../shared/testdata/%s are not here", name)
	}
	return path
}

// The fixtures of ipld/codec-fixtures are named by the CID of their bytes. All
// are canonical DAG-CBOR; the floats among them are outside our profile.
func TestValidFixtures(t *testing.T) {
	dir := shared(t, "dag-cbor/valid")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 50 {
		t.Fatalf("%d fixtures, error %v", len(files), err)
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			h, err := mh.Sum(b, mh.SHA2_256, -1)
			if err != nil {
				t.Fatal(err)
			}
			_, name, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".dag-cbor"), "--")
			name = name[strings.LastIndex(name, "--")+1:] // floats are named "float--1.1--bafy…"
			name = strings.TrimPrefix(name, "-")
			if got := cid.NewCidV1(cid.DagCBOR, h).String(); got != name {
				t.Fatalf("CID %s, the fixture says %s", got, name)
			}
			var v any
			if err := decMode.Unmarshal(b, &v); err != nil {
				t.Fatalf("the CBOR library can't read the fixture: %v", err)
			}
			err = Check(b)
			switch floats := holdsFloat(v); {
			case floats && !errors.Is(err, ErrNotCanonical):
				t.Errorf("a fixture with floats gave %v", err)
			case !floats && err != nil:
				t.Error(err)
			}
		})
	}
}

func holdsFloat(v any) bool {
	found := false
	walk(v, func(v any) {
		if _, ok := v.(float64); ok {
			found = true
		}
	})
	return found
}

func TestDuplicateKeyFixtures(t *testing.T) {
	b, err := os.ReadFile(shared(t, "dag-cbor/negative-duplicate-keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct{ Name, Hex string }
	if err := json.Unmarshal(b, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors, error %v", len(vectors), err)
	}
	for _, v := range vectors {
		if err := Check(unhex(t, v.Hex)); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const someLink = "d82a 5825 0001711220 0101010101010101010101010101010101010101010101010101010101010101"

func arrays(n int, inside string) string { return strings.Repeat("81", n) + inside }

var canonical = map[string]string{
	"zero":                "00",
	"23":                  "17",
	"24":                  "1818",
	"255":                 "18ff",
	"256":                 "190100",
	"65536":               "1a00010000",
	"2^32":                "1b0000000100000000",
	"2^64-1":              "1bffffffffffffffff",
	"-1":                  "20",
	"-2^64":               "3bffffffffffffffff",
	"no bytes":            "40",
	"text ü":              "62c3bc",
	"false, true, null":   "83f4f5f6",
	"keys by length":      "a36001 616202 62616103",
	"keys of one length":  "a2616101 616202",
	"a link":              someLink,
	"a link by identity":  "d82a 45 00 01 55 00 00",
	"16 arrays":           arrays(16, "00"),
	"a link in 16 arrays": arrays(16, someLink),
}

func TestCheckAcceptsCanonical(t *testing.T) {
	for name, h := range canonical {
		if err := Check(unhex(t, h)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each of these is another encoding of a value, or no value of the profile.
// The second column is what the refusal must say, so that every one tests the
// check it names.
var notCanonical = []struct{ name, hex, says string }{
	{"nothing", "", "cut short"},
	{"0 in two bytes", "1800", "shortest"},
	{"23 in two bytes", "1817", "shortest"},
	{"24 in three bytes", "190018", "shortest"},
	{"255 in three bytes", "1900ff", "shortest"},
	{"65535 in five bytes", "1a0000ffff", "shortest"},
	{"2^32-1 in nine bytes", "1b00000000ffffffff", "shortest"},
	{"-1 in two bytes", "3800", "shortest"},
	{"a long length of bytes", "580100", "shortest"},
	{"a long length of text", "780161", "shortest"},
	{"a long length of an array", "980100", "shortest"},
	{"a long length of a map", "b801 6161 00", "shortest"},
	{"a long tag", "d9002a 45 0001550000", "shortest"},
	{"indefinite bytes", "5f4100ff", "indefinite"},
	{"indefinite text", "7f6161ff", "indefinite"},
	{"indefinite array", "9f00ff", "indefinite"},
	{"indefinite map", "bf616100ff", "indefinite"},
	{"a break alone", "ff", "indefinite"},
	{"reserved length 28", "1c", "indefinite"},
	{"reserved length 30", "5e", "indefinite"},
	{"keys out of order", "a2616202 616101", "sorted"},
	{"a long key first", "a262616101 616202", "sorted"},
	{"one key twice", "a2616101 616102", "sorted"},
	{"the empty key twice", "a26001 6002", "sorted"},
	{"keys out of order deep down", "8181a2616202616101", "sorted"},
	{"a number for a key", "a10000", "text key"},
	{"bytes for a key", "a1416100", "text key"},
	{"tag 0", "c06161", "tag 0"},
	{"a bignum", "c24101", "tag 2"},
	{"self-described CBOR", "d9d9f700", "tag 55799"},
	{"tag 42 of a text", "d82a6161", "byte string"},
	{"tag 42 of nothing", "d82a40", "without a CID"},
	{"a link without the multibase byte", "d82a 44 01550000", "without a CID"},
	{"a link in base32", "d82a 45 6201550000", "without a CID"},
	{"a link and more", "d82a 46 000155000000", "without a CID"},
	{"a link cut short", "d82a 43 000155", "without a CID"},
	{"half float", "f93c00", "float"},
	{"single float", "fa3f800000", "float"},
	{"double float", "fb3ff0000000000000", "float"},
	{"NaN", "f97e00", "float"},
	{"undefined", "f7", "simple value"},
	{"simple value 0", "e0", "simple value"},
	{"false in two bytes", "f814", "float or reserved"},
	{"simple value 255", "f8ff", "float or reserved"},
	{"more after the value", "0000", "after the value"},
	{"text of a bad byte", "61ff", "UTF-8"},
	{"text of an overlong slash", "62c0af", "UTF-8"},
	{"text of a surrogate", "63eda080", "UTF-8"},
	{"a key of a bad byte", "a161ff00", "UTF-8"},
	{"bytes cut short", "4200", "passes the end"},
	{"text cut short", "6261", "passes the end"},
	{"2^64-1 bytes", "5bffffffffffffffff", "passes the end"},
	{"2^64-1 items", "9bffffffffffffffff", "passes the end"},
	{"2^63 pairs", "bb8000000000000000", "passes the end"},
	{"an array cut short", "8200", "passes the end"},
	{"an array of one long item cut short", "82 6161", "cut short"},
	{"a head cut short", "19ff", "cut short"},
	{"17 arrays", arrays(17, "00"), "deeper"},
	{"100000 arrays", arrays(100_000, "00"), "deeper"},
}

func TestCheckRefuses(t *testing.T) {
	for _, c := range notCanonical {
		b := unhex(t, c.hex)
		err := Check(b)
		if !errors.Is(err, ErrNotCanonical) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, should say %q", c.name, err, c.says)
		}
		var v any
		if err := Unmarshal(b, &v); !errors.Is(err, ErrNotCanonical) {
			t.Errorf("%s: Unmarshal gave %v", c.name, err)
		}
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	b := unhex(t, "a3 6161 83 00 1903e8 4401020304 6162 "+someLink+" 6163 6474657874")
	if n := testing.AllocsPerRun(100, func() {
		if Check(b) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type sample struct {
	Num   uint64            `cbor:"n"`
	Bytes []byte            `cbor:"b,omitempty"`
	Text  string            `cbor:"text,omitempty"`
	List  []uint64          `cbor:"li,omitempty"`
	Map   map[string]string `cbor:"map,omitempty"`
}

func TestUnmarshalIsStrict(t *testing.T) {
	for name, h := range map[string]string{
		"unknown field":   "a2616e01617800",
		"case of a field": "a1614e01",
		"wrong type":      "a1616e6131",
		"negative number": "a1616e20",
	} {
		b := unhex(t, h)
		if err := Check(b); err != nil {
			t.Errorf("%s: the bytes themselves are canonical: %v", name, err)
		}
		if err := Unmarshal(b, &sample{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestMarshalRefusesWhatHasNoForm(t *testing.T) {
	for name, v := range map[string]any{
		"a float":              1.5,
		"a whole float":        2.0,
		"NaN":                  math.NaN(),
		"text of a bad byte":   "\xff",
		"a number as key":      map[int]int{1: 1},
		"a tag":                cbor.Tag{Number: 1, Content: 1},
		"deeper than MaxDepth": deep(MaxDepth + 1),
		"a channel":            make(chan int),
	} {
		if b, err := Marshal(v); err == nil {
			t.Errorf("%s: encoded as %x", name, b)
		}
	}
	if _, err := Marshal(deep(MaxDepth)); err != nil {
		t.Error(err)
	}
}

func deep(n int) any {
	var v any = 0
	for range n {
		v = []any{v}
	}
	return v
}

// Appending by hand and Marshal write the same bytes, and Unmarshal and the
// Reader read them back.
func TestAppendEqualsMarshal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := sample{
			Num:   rapid.Uint64().Draw(t, "num") >> rapid.IntRange(0, 63).Draw(t, "shift"),
			Bytes: rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes"),
			Text:  rapid.String().Draw(t, "text"),
			List:  rapid.SliceOfN(rapid.Uint64(), 0, 40).Draw(t, "list"),
		}
		got, err := Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if want := appendSample(s); !bytes.Equal(got, want) {
			t.Fatalf("Marshal %x\n Append %x", got, want)
		}
		var back sample
		if err := Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if again, err := Marshal(back); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("read back as %+v, %v", back, err)
		}
	})
}

// appendSample writes keys by length and then bytes: b, n, li, text.
func appendSample(s sample) []byte {
	var b []byte
	n := 1
	if len(s.Bytes) > 0 {
		n++
		b = AppendBytes(AppendText(b, "b"), s.Bytes)
	}
	b = AppendUint(AppendText(b, "n"), s.Num)
	if len(s.List) > 0 {
		n++
		b = AppendArray(AppendText(b, "li"), len(s.List))
		for _, v := range s.List {
			b = AppendUint(b, v)
		}
	}
	if s.Text != "" {
		n++
		b = AppendText(AppendText(b, "text"), s.Text)
	}
	return append(AppendMap(nil, n), b...)
}
