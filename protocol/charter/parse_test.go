package charter

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Each file of the corpus begins with the whole error that it deserves, the
// first line after "# want: ", further ones after "# and: ".
func TestParseYAMLInvalid(t *testing.T) {
	paths, err := filepath.Glob("testdata/invalid/*.yaml")
	if err != nil || len(paths) < 60 {
		t.Fatalf("%d files in the corpus, error %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for line := range strings.Lines(string(b)) {
				text, ok := strings.CutPrefix(line, "# want: ")
				if !ok {
					text, ok = strings.CutPrefix(line, "# and: ")
				}
				if !ok {
					break
				}
				want = append(want, strings.TrimSuffix(text, "\n"))
			}
			c, err := ParseYAML(b)
			if err == nil {
				t.Fatal("accepted")
			}
			if got := err.Error(); got != strings.Join(want, "\n") {
				t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
			}
			if !reflect.DeepEqual(c, Charter{}) {
				t.Error("a refused file gave a charter")
			}
		})
	}
}

func TestParseYAMLTooLong(t *testing.T) {
	b := YAML(mustTemplate(t, "club"))
	b = append(b, bytes.Repeat([]byte("#"), MaxYAML-len(b))...)
	if _, err := ParseYAML(b); err != nil {
		t.Errorf("a file of the greatest size: %v", err)
	}
	if _, err := ParseYAML(append(b, '#')); err == nil {
		t.Error("a longer file is read")
	}
}

// Deep nesting must neither exhaust the stack nor take long.
func TestParseYAMLDeep(t *testing.T) {
	for _, s := range []string{"[", "{a: ", "- ", "? "} {
		if _, err := ParseYAML(bytes.Repeat([]byte(s), MaxYAML/len(s))); err == nil {
			t.Errorf("%q repeated is a charter", s)
		}
	}
}

// The order of lists has no meaning to those who write them.
func TestParseYAMLSorts(t *testing.T) {
	want := mustTemplate(t, "union")
	c := mustTemplate(t, "union")
	c.Offices[0], c.Offices[3] = c.Offices[3], c.Offices[0]
	c.Classes[1], c.Classes[2] = c.Classes[2], c.Classes[1]
	if got, err := ParseYAML(YAML(c)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("unsorted: %v", err)
	}
}

// Anchors and aliases are refused in the place of field names too.
func TestParseYAMLKeys(t *testing.T) {
	file := string(YAML(mustTemplate(t, "club")))
	for _, change := range [][2]string{
		{"suspend: 24h", "&a suspend: 24h"},
		{"template: club", "template: &suspend club"}, // and below: *suspend
	} {
		edited := strings.Replace(file, change[0], change[1], 1)
		if strings.Contains(edited, "&suspend") {
			edited = strings.Replace(edited, "suspend: 24h", "*suspend : 24h", 1)
		}
		if _, err := ParseYAML([]byte(edited)); err == nil || !strings.Contains(err.Error(), `"suspend" is not a field`) {
			t.Errorf("%q: %v", change[1], err)
		}
	}
}

func anyName() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-z][a-z0-9-]{0,31}`), rapid.SampledFrom(reserved))
}

func anyFraction(least uint64) *rapid.Generator[Fraction] {
	return rapid.Custom(func(t *rapid.T) Fraction {
		den := rapid.Uint64Range(2, MaxDen).Draw(t, "den")
		return Fraction{rapid.Uint64Range(least, den-1).Draw(t, "num"), den}
	})
}

func anyClass(name string) *rapid.Generator[Class] {
	return rapid.Custom(func(t *rapid.T) Class {
		period := rapid.Int64Range(0, MaxPeriod)
		c := Class{
			Name: name, Threshold: anyFraction(1).Draw(t, "threshold"), Strict: rapid.Bool().Draw(t, "strict"),
			Of: rapid.SampledFrom([]string{OfVotes, OfRoll}).Draw(t, "of"), Quorum: anyFraction(0).Draw(t, "quorum"),
			Discussion: period.Draw(t, "discussion"), Freeze: period.Draw(t, "freeze"), Voting: period.Draw(t, "voting"),
			Contest: period.Draw(t, "contest"), Exit: period.Draw(t, "exit"),
			QuorumOf: rapid.SampledFrom([]string{"", OfRoll, OfTurnout}).Draw(t, "quorumOf"),
		}
		if c.Discussion >= hour && rapid.Bool().Draw(t, "support") {
			c.Support = Support{rapid.Uint64Range(0, MaxSponsors).Draw(t, "sponsors"), Fraction{1, 50}}
		}
		if c.Contest > 0 && rapid.Bool().Draw(t, "objections") {
			c.Objections = Objections{SetAside: Fraction{1, 10}, Override: Fraction{4, 5}}
		}
		if name == ClassExpulsion || name == ClassCharter || name == ClassEntrenched {
			c.Threshold, c.Of = Fraction{2, 3}, OfRoll
		}
		return c
	})
}

func anyStatutes() *rapid.Generator[string] {
	line := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", " ", "\t", "# x", "- a: b", "---", "...", "'", "\"", "\\", "%", "@", " a", "a ", "ö 𝔸 \u200f\u2067"}))
	return rapid.Map(rapid.SliceOfN(line, 1, 12), func(lines []string) string {
		s := strings.Join(append(lines, "x"), "\n")
		s = strings.Map(func(r rune) rune {
			if !textRune(r) {
				return -1
			}
			return r
		}, s)
		return s + []string{"", "\n", "\n\n"}[len(s)%3]
	})
}

func anyCharter() *rapid.Generator[Charter] {
	return rapid.Custom(func(t *rapid.T) Charter {
		c := Charter{
			Version: rapid.Uint64Range(1, MaxVersion).Draw(t, "version"), Statutes: anyStatutes().Draw(t, "statutes"),
			Template: rapid.OneOf(rapid.Just(""), anyName()).Draw(t, "template"), Suspend: rapid.Int64Range(1, MaxSuspend).Draw(t, "suspend"),
			Admission: Admission{
				rapid.SampledFrom([]string{PolicyOpen, PolicyInvite, PolicyRegistrar}).Draw(t, "policy"),
				rapid.SampledFrom([]string{InvitesMembers, InvitesOfficers}).Draw(t, "invites"),
				1, rapid.Uint64Range(1, MaxUses).Draw(t, "uses"), rapid.Int64Range(1, MaxAge).Draw(t, "age"),
				Vouch{},
			},
		}
		if rapid.Bool().Draw(t, "by others") {
			c.Delegation, c.Assist = Delegation{rapid.Uint64Range(1, MaxCarried).Draw(t, "carried")}, Assist{OfficeClerk, rapid.Uint64Range(1, MaxAssisted).Draw(t, "assisted")}
		}
		names := func(must ...string) []string {
			more := rapid.SliceOfN(anyName(), 0, 8).Draw(t, "names")
			return rapid.Permutation(append(must, more...)).Draw(t, "order")
		}
		seen := map[string]bool{}
		for _, n := range names(OfficeClerk, OfficeRegistrar) {
			if !seen[n] {
				c.Offices = append(c.Offices, Office{n, rapid.Uint64Range(1, MaxClerks).Draw(t, "seats"), rapid.Int64Range(0, MaxTerm).Draw(t, "term")})
			}
			seen[n] = true
		}
		clear(seen)
		for _, n := range names(ClassOrdinary, ClassCharter, ClassElection, ClassExpulsion) {
			if !seen[n] {
				c.Classes = append(c.Classes, anyClass(n).Draw(t, "class"))
			}
			seen[n] = true
		}
		return c
	})
}

// Law: what is read back is what was written, and valid; writing it again
// gives the same bytes.
func TestYAMLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unsorted := anyCharter().Draw(t, "charter")
		want, err := ParseYAML(YAML(unsorted))
		if err != nil {
			t.Fatalf("%v\n%s", err, YAML(unsorted))
		}
		if err := want.Validate(); err != nil {
			t.Fatal(err)
		}
		if len(want.Classes) != len(unsorted.Classes) || len(want.Offices) != len(unsorted.Offices) || want.Statutes != unsorted.Statutes || want.Admission != unsorted.Admission {
			t.Fatalf("changed on reading:\n%+v\n%+v", unsorted, want)
		}
		got, err := ParseYAML(YAML(want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v: %v", got, want, err)
		}
	})
}

// The largest valid charter can be written and read.
func TestYAMLLargest(t *testing.T) {
	for _, unit := range []string{"\n", "\"", "a\n", "\t"} {
		c := mustTemplate(t, "union")
		c.Statutes = "x" + strings.Repeat(unit, (MaxStatutes-1)/len(unit))
		for i := byte('a'); len(c.Offices) < MaxOffices; i++ {
			c.Offices = append(c.Offices, Office{"z" + strings.Repeat(string(i), MaxName-1), MaxSeats, MaxTerm})
		}
		for i := byte('a'); len(c.Classes) < MaxClasses; i++ {
			k := c.Classes[1]
			k.Name = "z" + strings.Repeat(string(i), MaxName-1)
			c.Classes = append(c.Classes, k)
		}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		if got, err := ParseYAML(YAML(c)); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("statutes of %q: %v", unit, err)
		}
	}
}

func FuzzParseYAML(f *testing.F) {
	for _, glob := range []string{"testdata/invalid/*.yaml", "templates/*.yaml"} {
		paths, err := filepath.Glob(glob)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseYAML(b)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("read, but not valid: %v", err)
		}
		if got, err := ParseYAML(YAML(c)); err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("not the same when written and read: %v", err)
		}
	})
}
