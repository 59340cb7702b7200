package sheet_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/sheet"
)

func Example() {
	s, err := sheet.Read(strings.NewReader("voters,oak,elm\n3,5,\n2,1,4\n1,5,0\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, b := range s.Ballots {
		fmt.Println(b.N, count.Scores{Top: 5}.Line(s.Options, b.Marks))
	}
	_, err = sheet.Read(strings.NewReader("name,votes\noak,2 358\n"))
	fmt.Println(err)
	// Output:
	// 4 oak:5
	// 2 oak:1,elm:4
	// csv: line 2: "2 358" stands where a whole number is expected, digits only and at most 68719476736
}

const plain = "name,votes\n\"Oak, \"\"old\"\"\",7\nelm tree,5\n"

// All of these say what plain says.
func TestSame(t *testing.T) {
	want := &sheet.Sheet{Options: []string{`Oak, "old"`, "elm tree"}, Ballots: []count.Ballot{
		{Marks: count.Marks{1, 0}, N: 7}, {Marks: count.Marks{0, 1}, N: 5},
	}}
	for what, file := range map[string]string{
		"":                   plain,
		"byte-order mark":    "\ufeff" + plain,
		"no last line break": strings.TrimSuffix(plain, "\n"),
		"CRLF":               strings.ReplaceAll(plain, "\n", "\r\n"),
		"no heading":         strings.TrimPrefix(plain, "name,votes\n"),
		"semicolons":         "name;votes\n\"Oak, \"\"old\"\"\";7\nelm tree;5\n",
		"tabs":               "\"Oak, \"\"old\"\"\"\t7\nelm tree\t5\n",
		"spaces":             "name , votes\n \"Oak, \"\"old\"\"\", 7 \n elm tree , 5\n",
		"empty lines":        strings.ReplaceAll(plain, "\n", "\n\n"),
		"zeros":              strings.ReplaceAll(plain, ",5", ",005"),
	} {
		if got, err := sheet.Read(strings.NewReader(file)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if q := want.Question(); q.Cast != 12 || q.Seats != 1 || len(q.Order) != 2 {
		t.Errorf("%+v", q)
	}
}

func TestRefused(t *testing.T) {
	for file, want := range map[string]string{
		"":                                     "the file is empty",
		"\n\n":                                 "the file is empty",
		"name,votes\n":                         "no line of name,votes",
		"a\nb\n":                               "line 1: 1 columns",
		"a,1\nb\n":                             "line 2: it has more or fewer columns",
		"a,1\nb,2,3\n":                         "line 2: it has more or fewer columns",
		"a,1\nb,-2\n":                          `line 2: "-2" stands where`,
		"a,1\nb,2.5\n":                         `"2.5" stands where`,
		"a,1\n\nb,\"1,000\"\n":                 `line 3: "1,000" stands where`,
		"a,1\na,2\n":                           "line 2: the name \"a\" stands twice",
		"a,1\n ,2\n":                           "line 2: a name is empty",
		"a,1\nb\"c,2\n":                        "line 2: bare \"",
		"a,1\n\"b,2\n":                         "line 2: extraneous or missing",
		"a,1\nb\x1b[m,2\n":                     "can't be seen",
		"a,1\nb\xff,2\n":                       "not UTF-8",
		"\xff\xfea":                            "UTF-16",
		"a,68719476736\nb,1\n":                 "can't be counted",
		"a,68719476737\n":                      "no line of name,votes",
		"n,a,b\n68719476737,1,1\n":             "stands where",
		"n,a,b\n68719476736,1,\n1,,1":          "more ballots than",
		"n,a,b\n1,256,0\n":                     "at most 255",
		"n,a,b\n1,x,0\n":                       `"x" stands where`,
		"n,a,a\n1,1,0\n":                       "stands twice",
		"n,a,b\n1,1\n":                         "line 2: it has more or fewer columns",
		"n" + strings.Repeat(",a", 256) + "\n": "257 columns",
	} {
		s, err := sheet.Read(strings.NewReader(file))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "csv: ") {
			t.Errorf("%q: %+v, %v", file, s, err)
		}
	}
	var many strings.Builder
	for i := range 256 {
		fmt.Fprintf(&many, "l%d,1\n", i)
	}
	if _, err := sheet.Read(strings.NewReader(many.String())); err == nil {
		t.Error("takes 256 lists")
	}
}

func TestWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "n")
		s := &sheet.Sheet{Options: rapid.SliceOfNDistinct(rapid.StringMatching(`[A-Zé]([a-z ,;"'#]{0,5}[a-z])?`), n, n, rapid.ID[string]).Draw(t, "options")}
		seen := map[string]bool{}
		for range rapid.IntRange(0, 6).Draw(t, "ballots") {
			marks := count.Marks(rapid.SliceOfN(rapid.Uint8Range(0, 3), n, n).Draw(t, "marks"))
			if !seen[string(marks)] {
				s.Ballots = append(s.Ballots, count.Ballot{Marks: marks, N: rapid.Uint64Range(0, 99).Draw(t, "N")})
			}
			seen[string(marks)] = true
		}
		if rapid.Bool().Draw(t, "votes") {
			s.Ballots = nil
			for i := range n {
				marks := make(count.Marks, n)
				marks[i] = 1
				s.Ballots = append(s.Ballots, count.Ballot{Marks: marks, N: uint64(i)})
			}
		}
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if again, err := sheet.Read(&b); err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%+v is read as %+v, %v\n%s", s, again, err, text)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte("\ufeffn;a;\"b;c\"\r\n3;1;\r\n1;;2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := sheet.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		if again, err := sheet.Read(&b); err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%+v is read as %+v, %v", s, again, err)
		}
	})
}

func TestLists(t *testing.T) {
	want := []count.List{{{Name: "Ann", Group: "w"}, {Name: "Bob"}}, {{Name: "Cid, Jr", Group: "m"}}}
	for _, file := range []string{
		"Oak,Ann,w\nElm,\"Cid, Jr\",m\nOak,Bob,\n", "\ufefflist;candidate;group\r\nOak;Ann;w\r\nElm;Cid, Jr;m\r\n Oak ; Bob ;",
	} {
		names, lists, err := sheet.ReadLists(strings.NewReader(file))
		if err != nil || !reflect.DeepEqual(names, []string{"Oak", "Elm"}) || !reflect.DeepEqual(lists, want) {
			t.Errorf("%q: %v %+v %v", file, names, lists, err)
		}
	}
	if names, lists, err := sheet.ReadLists(strings.NewReader("list,candidate\na,b\n")); err != nil || len(names) != 1 || lists[0][0].Name != "b" {
		t.Error(names, lists, err)
	}
	for _, bad := range []string{"", "a\n", "a,b,c,d\n", "a,\n", ",b\n", "a,b\nc\n", "a,b\x1b\n", "\xff\xfea", strings.Repeat("a,b\n", 10_001), "a,b\nc,\"d\n"} {
		if names, _, err := sheet.ReadLists(strings.NewReader(bad)); err == nil {
			t.Errorf("%.20q is taken: %.40v", bad, names)
		}
	}
	var many strings.Builder
	for i := range 256 {
		fmt.Fprintf(&many, "l%d,c\n", i)
	}
	if _, _, err := sheet.ReadLists(strings.NewReader(many.String())); err == nil {
		t.Error("takes 256 lists")
	}
}

func FuzzReadLists(f *testing.F) {
	f.Add([]byte("list;candidate;group\na;b;c\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, lists, err := sheet.ReadLists(bytes.NewReader(data))
		if err == nil && len(names) != len(lists) {
			t.Fatal(names, lists)
		}
	})
}
