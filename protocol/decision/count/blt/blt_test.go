package blt_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/blt"
)

func Example() {
	e, err := blt.Read(strings.NewReader(`3 1
[tie 2 1 3]
-3
2 1 2 0
1 2=1 0
1 1 2 0
0
"Adam"
"Basil"
"Charlotte"
"Chair"
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Title, e.Names, e.Seats, e.Withdrawn, e.Tie)
	for _, b := range e.Ballots {
		fmt.Println(b.N, count.Ranking{}.Line(e.Names, b.Marks))
	}
	_, err = blt.Read(strings.NewReader("3 1\n1 4 0\n"))
	fmt.Println(err)
	// Output:
	// Chair [Adam Basil Charlotte] 1 [false false true] [1 0 2]
	// 3 Adam>Basil
	// 1 Adam=Basil
	// blt: line 2: 4 is the number of no candidate, they go from 1 to 3
}

func read(t *testing.T, file string) *blt.Election {
	t.Helper()
	e, err := blt.Read(strings.NewReader(file))
	if err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	return e
}

const plain = `3 2
4 1 2 0
2 3 0
1 0
0
"Castor"
"Pollux"
"Helen of Troy"
"Who ties"
`

// All of these say what plain says.
func TestSame(t *testing.T) {
	want := read(t, plain)
	if want.Title != "Who ties" || want.Seats != 2 || want.Total() != 7 || want.Withdrawn != nil || want.Tie != nil ||
		!reflect.DeepEqual(want.Names, []string{"Castor", "Pollux", "Helen of Troy"}) ||
		!reflect.DeepEqual(want.Ballots, []count.Ballot{{Marks: count.Marks{1, 2, 0}, N: 4}, {Marks: count.Marks{0, 0, 1}, N: 2}, {Marks: count.Marks{0, 0, 0}, N: 1}}) {
		t.Fatalf("%+v", want)
	}
	for what, file := range map[string]string{
		"byte-order mark":      "\ufeff" + plain,
		"no last line break":   strings.TrimSuffix(plain, "\n"),
		"CRLF":                 strings.ReplaceAll(plain, "\n", "\r\n"),
		"CR":                   strings.ReplaceAll(plain, "\n", "\r"),
		"one line":             strings.ReplaceAll(plain, "\n", " "),
		"a word a line":        strings.ReplaceAll(strings.Split(plain, "\n\"")[0], " ", "\n") + plain[strings.Index(plain, "\n\""):],
		"tabs and blank lines": strings.ReplaceAll(strings.ReplaceAll(plain, "\n", "\n\t\n"), "4 1", "\t4\t1 "),
		"without quotes":       strings.ReplaceAll(plain, `"`, ""),
		"some quotes":          strings.Replace(plain, `"Castor"`, "  Castor # the first", 1),
		"hashes":               "# an election\n" + strings.ReplaceAll(plain, "\n", "# \"comment\"\n"),
		"stars":                "/* an */ /*election /* of two*/ \n*/ " + strings.ReplaceAll(plain, "\n", " /* # */\n"),
		"a comment in names":   strings.Replace(plain, `"Pollux"`, "/* a\n \"b\" */ \"Pollux\"", 1),
		"weights apart":        strings.Replace(plain, "4 1 2 0", "1 1 2 0\n0003 1 2 0", 1),
		"nicks":                strings.NewReplacer("3 2\n", "3 2\n[nick c p helen]\n", "4 1 2", "4 c 2", "2 3 0", "2 helen 0").Replace(plain),
		"nicks, spaced":        strings.NewReplacer("3 2\n", "3 2\n[ nick c p helen ]\n", "4 1 2", "4 c p").Replace(strings.Replace(plain, "3 2\n", "3 2\n", 1)),
		"ids":                  strings.NewReplacer("4 1 2 0", "(a) 1 2 0 ( b)1 2 0"[:11]+"(b) 1 2 0 (c d) 1 2 0 ( e ) 1 2 0", "2 3 0", "(1) 3 0 (2) 3 0", "\n1 0", "\n(3) 0").Replace(plain),
		"other options":        strings.Replace(plain, "3 2\n", "3 2 [droop precision=5] [undeclared 3]\n", 1),
		"skipped ranks":        strings.Replace(plain, "4 1 2 0", "4 - 1 - 2 - 0", 1),
		"more after the title": plain + "\"source\" \"comment\"\nA: 4 votes \x00\xff",
	} {
		if what == "nicks, spaced" {
			file = strings.Replace(file, "[ nick", "[nick", 1)
		}
		if got := read(t, file); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// TestParties reads names as councils publish them, with a party beside each,
// and as spreadsheets write these.
func TestParties(t *testing.T) {
	for _, lines := range []string{
		"\"Ann\" \"Greens\"\n\"Bob \"Bo\" Cox\" \"Greens\"\n\n\"Cat\" \"Ind\" # none\n\"Ward 1\"\n\"Council\" \"2022",
		"\"\"\"Ann\"\" \"\"Greens\"\"\"\n\"Bob \"Bo\" Cox\" \"Greens\"\n\"\"\"Cat\"\" \"\"Ind\"\"\"\n\"\"\"Ward 1\"\"\"",
		"\"Ann\"\n\"Bob \"\"Bo\"\" Cox\"\n\"Cat\"\n\"Ward 1\"",
		"\"Ann\" \"Bob \"\n\"Cat\" \"Ward 1\"",
		"\"Ann\" \"Bob \"\n\"Cat\" \"Ward 1\"\n\"Council\"",
	} {
		e := read(t, "3 1\n2 1 0\n0\n"+lines)
		if n := strings.ReplaceAll(strings.Join(e.Names, "|"), ` "Bo" Cox`, ""); n != "Ann|Bob|Cat" || e.Title != "Ward 1" {
			t.Errorf("%s: %q, %q", lines, e.Names, e.Title)
		}
	}
}

func TestParts(t *testing.T) {
	e := read(t, "4 9 -2 [nick a b c d] [withdrawn d] [tie c a b] 2 a=c b 0 0 A \"B c\" C\n\"William \"Bill\" Smith\"\n\n\" \"")
	if !reflect.DeepEqual(e, &blt.Election{
		Names: []string{"A", "B c", "C", `William "Bill" Smith`}, Seats: 9,
		Withdrawn: []bool{false, true, false, true}, Tie: []int{2, 0, 1, 3},
		Ballots: []count.Ballot{{Marks: count.Marks{1, 2, 1, 0}, N: 2}},
	}) {
		t.Errorf("%+v", e)
	}
	if e := read(t, "3 1 1 2 0 0 Adam Basil Charlotte Chair\n"); e.Title != "Chair" || e.Names[1] != "Basil" {
		t.Errorf("words of one line: %+v", e)
	}
	if e := read(t, "2 1\n0\nAdam Smith\nBasil \"the Great\""); e.Names[1] != "Basil" || e.Title != "the Great" {
		t.Errorf("quoted after words: %+v", e)
	}
	q := read(t, "3 2 -1 [tie 3 2 1] 5 1 2 0 0 a b c d").Question()
	if !reflect.DeepEqual(q, count.Question{
		Options: []string{"a", "b", "c"}, Seats: 2, Electorate: 5, Cast: 5, Order: []int{2, 1, 0}, Withdrawn: []bool{true, false, false},
	}) {
		t.Errorf("%+v", q)
	}
}

func TestRefused(t *testing.T) {
	const rest = " 4 1 2 0 2 3 0 0 \"A\" \"B\" \"C\" \"T\""
	for file, want := range map[string]string{
		"":                                                "line 1: the file ends too early",
		"1 2":                                             "ends too early",
		"3x 2" + rest:                                     "line 1: \"3x\" stands where the number of candidates",
		"3 2x" + rest:                                     "the number of seats",
		"3 0" + rest:                                      "0 seats",
		"0 1" + rest:                                      "0 candidates",
		"256 1" + rest:                                    "more than 255 candidates",
		"3 9999999999999999999999 ":                       "seats",
		"3 2 -4" + rest:                                   "4 is the number of no candidate",
		"3 2 -2x" + rest:                                  `"2x" stands where a candidate`,
		"3 2 -2 -2" + rest:                                "withdrawn twice",
		"3 2 -2 [withdrawn 2]" + rest:                     "withdrawn twice",
		"3 2 [x 1]" + rest:                                "an option [x …] is not known",
		"3 2 [tie 3 2]" + rest:                            "has 2 of 3 candidates",
		"3 2\n[tie 3 2 3]\n" + rest:                       "line 2: the order for ties has a candidate twice",
		"3 2 [tie 3 2 1x]" + rest:                         `"1x" stands where`,
		"3 2 [tie 3 2 1][tie" + rest:                      "does not end",
		"3 2 [tie 3 2 1] [tie]" + rest:                    "a second [tie",
		"3 2 [tie 3 2 \"A\"" + rest:                       "does not end",
		"3 2 [nick a b]" + rest:                           "has 2 names",
		"3 2 [nick a b a]" + rest:                         "stands twice",
		"3 2 [nick 2 1 3]" + rest:                         "is read as a candidate's number",
		"3 2 [nick a b c] 1 d 0" + rest:                   "neither",
		"3 2 1.5 1 0" + rest:                              `"1.5" stands where a ballot's weight`,
		"3 2 1 1 0 -2" + rest:                             `"-2" stands where a ballot's weight`,
		"3 2 1 2 2 0" + rest:                              "twice on a ballot",
		"3 2 1 2=2 0" + rest:                              "twice on a ballot",
		"3 2 1 2==3 0" + rest:                             `"" stands where`,
		"3 2 1 =2 0" + rest:                               `"" stands where`,
		"3 2 1 (2 3) 0" + rest:                            "join equal candidates with =",
		"3 2 1 1 2\n1 2 0" + rest:                         "line 2: candidate 1 stands twice on a ballot: does the ballot end with 0?",
		"3 2\n1 3 2\n0\n\"A\"":                            "line 4: a name stands before the end",
		"3 2\n1 3 2\n\"A\"":                               "line 3: a name stands within a ballot",
		"3 2 (a) 1 0 (a) 2 0" + rest:                      "twice",
		"3 2 (a) 1 0 1 2 0" + rest:                        "without an id",
		"3 2 1 1 0 (a) 2 0" + rest:                        "ballots before have none",
		"3 2 (a 1 0 \"" + rest:                            "does not end",
		"3 2 68719476737 1 0" + rest:                      "more ballots than",
		"3 2 68719476736 1 0 1 1 0" + rest:                "more ballots than",
		"3 2 99999999999999999999999 1 0" + rest:          "more ballots than",
		"3 2 1 1 0 0\n\"A\"\n\"B\"\n\"C\"\n":              "line 5: the file has 3 names and titles and should have 4",
		"3 2 1 1 0 0\nA b c\nd\n":                         "has 2 names",
		"3 2 1 1 0 0 \"A\" \"B\" \"A\" \"T\"":             `the name "A" stands twice`,
		"3 2 1 1 0 0 \"A\" \"B\" \"\" \"T\"":              "a name is empty",
		"3 2 1 1 0 0\n\"A\nB\"\n":                         "line 2: the name \"A has no closing quote",
		"3 2 1 1 0 0 \"A\xff\" B C T":                     "not UTF-8",
		"1 1 0\nA\x1b[2J\nT":                              "can't be seen",
		"1 1 0\nA\nT\x1b[2J":                              "line 3: the title has a character",
		"1 1 /* ":                                         "a comment that begins",
		"1 1 /* /* */ 0 A T":                              "a comment that begins",
		"\xff\xfe1\x00":                                   "UTF-16",
		"<html>" + strings.Repeat("x", 300):               "is it a BLT file",
		"3 2 [tie " + strings.Repeat("1 ", 600):           "does not end",
		"3 2 (a " + strings.Repeat("b ", 600):             "does not end",
		"1 1 0 \"" + strings.Repeat("x", 5000):            "the line is longer than",
		"1 1 0 \"" + strings.Repeat("x", 1001) + "\" T\n": "longer than 1000 bytes",
	} {
		e, err := blt.Read(strings.NewReader(file))
		if err == nil {
			t.Errorf("%q is taken: %+v", file, e)
		} else if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "blt: ") {
			t.Errorf("%q: %v", file, err)
		}
	}
}

func elections(t *rapid.T) *blt.Election {
	n := rapid.IntRange(1, 9).Draw(t, "n")
	name := rapid.StringMatching(`[A-Zå]([a-z0-9 #*/=\[\]'.,ž-]{0,9}[a-z])?`)
	e := &blt.Election{
		Title: rapid.StringMatching(`([A-Z][a-z /*#]{0,9}[a-z])?`).Draw(t, "title"),
		Names: rapid.SliceOfNDistinct(name, n, n, rapid.ID[string]).Draw(t, "names"),
		Seats: rapid.Uint64Range(1, 20).Draw(t, "seats"),
	}
	if rapid.Bool().Draw(t, "tie") {
		e.Tie = rapid.Permutation(count.AsListed(n)).Draw(t, "order")
	}
	if i := rapid.IntRange(0, n).Draw(t, "withdrawn"); i < n {
		e.Withdrawn = make([]bool, n)
		e.Withdrawn[i] = true
	}
	seen := map[string]bool{}
	for range rapid.IntRange(0, 6).Draw(t, "ballots") {
		m, rank := make(count.Marks, n), uint8(0)
		for k, i := range rapid.Permutation(count.AsListed(n)).Draw(t, "by rank")[:rapid.IntRange(0, n).Draw(t, "ranked")] {
			if k == 0 || rapid.Bool().Draw(t, "next") {
				rank++
			}
			m[i] = rank
		}
		if !seen[string(m)] {
			e.Ballots = append(e.Ballots, count.Ballot{Marks: m, N: rapid.Uint64Range(1, 1<<32).Draw(t, "n")})
		}
		seen[string(m)] = true
	}
	return e
}

func TestWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := elections(t)
		var b bytes.Buffer
		if err := e.Write(&b); err != nil {
			t.Fatalf("%v: %+v", err, e)
		}
		again, err := blt.Read(&b)
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%+v is read as\n%+v, %v", e, again, err)
		}
	})
}

func TestNotWritten(t *testing.T) {
	good := blt.Election{Names: []string{"a", "b"}, Seats: 1, Ballots: []count.Ballot{{Marks: count.Marks{1, 0}, N: 0}}}
	var b bytes.Buffer
	if err := good.Write(&b); err != nil || b.String() != "2 1\n0\n\"a\"\n\"b\"\n\"\"\n" {
		t.Errorf("%q %v", b.String(), err)
	}
	for what, change := range map[string]func(e *blt.Election){
		"seats":     func(e *blt.Election) { e.Seats = 0 },
		"names":     func(e *blt.Election) { e.Names = nil },
		"quote":     func(e *blt.Election) { e.Names = []string{`"`, "b"} },
		"line":      func(e *blt.Election) { e.Names = []string{"a\nb", "b"} },
		"twice":     func(e *blt.Election) { e.Names = []string{"b", "b"} },
		"space":     func(e *blt.Election) { e.Names = []string{"b ", "b"} },
		"title":     func(e *blt.Election) { e.Title = "a\"b" },
		"title, 2":  func(e *blt.Election) { e.Title = "a\nb" },
		"withdrawn": func(e *blt.Election) { e.Withdrawn = []bool{true} },
		"tie":       func(e *blt.Election) { e.Tie = []int{0, 0} },
		"a gap":     func(e *blt.Election) { e.Ballots = []count.Ballot{{Marks: count.Marks{2, 0}, N: 1}} },
		"many":      func(e *blt.Election) { e.Ballots = []count.Ballot{{Marks: count.Marks{1, 0}, N: 1 << 50}} },
	} {
		e := good
		change(&e)
		if e.Write(&b) == nil {
			t.Errorf("%s: written", what)
		}
	}
}

// Reference elections are read, and written, the same.
func TestReferences(t *testing.T) {
	dir := "."
	for range 8 {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Join(dir, "..")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "../shared/testdata/elections/stv/*.blt"))
	if len(files) == 0 {
		t.Skip("no reference elections at ../shared/testdata/elections/stv")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e := read(t, string(data))
		seen := map[string]bool{}
		for _, ballot := range e.Ballots {
			if seen[string(ballot.Marks)] {
				t.Errorf("%s: equal ballots stand apart", file)
			}
			seen[string(ballot.Marks)] = true
		}
		var b bytes.Buffer
		if err := e.Write(&b); err != nil {
			t.Fatal(file, err)
		}
		if again := read(t, b.String()); !reflect.DeepEqual(e, again) {
			t.Errorf("%s is not written as it is read", file)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte("\ufeff4 9 -2 [nick a b c d] [withdrawn d] [tie c a b] 2 a=c b 0 0 A \"B c\" C # d\n \"William \"Bill\" Smith\"\n\n\" \""))
	f.Add([]byte("2 1 (a b) 1 - 2 0 0 /* /* */ */ A B T"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := blt.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		if _, err := count.Count(ranked{}, e.Question(), e.Ballots); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := e.Write(&b); err != nil {
			if strings.Contains(err.Error(), "quote") {
				return
			}
			t.Fatal(err)
		}
		if again, err := blt.Read(&b); err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%+v is read as\n%+v, %v", e, again, err)
		}
	})
}

// ranked takes all rankings.
type ranked struct{}

func (ranked) Options(given []string) ([]string, error)          { return given, nil }
func (ranked) Check(count.Question) error                        { return nil }
func (ranked) Form(count.Question) count.Form                    { return count.Ranking{} }
func (ranked) Count(count.Question, []count.Ballot) count.Result { return count.Result{} }

// A million different ballots on twenty options.
func BenchmarkRead(b *testing.B) {
	var file bytes.Buffer
	file.WriteString("20 5\n")
	x := uint32(1)
	for range 1_000_000 {
		p := count.AsListed(20)
		file.WriteString("1")
		for i := range p {
			x = x*1664525 + 1013904223
			j := i + int(x>>8)%(20-i)
			p[i], p[j] = p[j], p[i]
			fmt.Fprintf(&file, " %d", p[i]+1)
		}
		file.WriteString(" 0\n")
	}
	file.WriteString("0\n")
	for i := range 21 {
		fmt.Fprintf(&file, "\"c%d\"\n", i)
	}
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		if e, err := blt.Read(bytes.NewReader(file.Bytes())); err != nil || e.Total() != 1_000_000 {
			b.Fatal(err)
		}
	}
}
