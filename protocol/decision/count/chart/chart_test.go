package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/chart"
)

func Example() {
	svg := chart.SVG(chart.Count{
		Title: "Trees", Bare: true,
		Rounds: []count.Round{{Text: "Oak has most votes.", Lines: []count.Line{{Name: "oak", Value: "4", State: count.StateElected}, {Name: "elm", Value: "2"}}}},
	})
	fmt.Print(string(svg))
	// Output:
	// <svg xmlns="http://www.w3.org/2000/svg" class="ct" role="img" aria-labelledby="ct-title ct-desc" width="760" height="131" viewBox="0 0 760 131">
	// <title id="ct-title">Trees</title>
	// <desc id="ct-desc">1. Oak has most votes.</desc>
	// <text class="head" x="16" y="35">Trees</text>
	// <text x="16" y="65">1. Oak has most votes.</text>
	// <g><title>oak: 4 elected</title>
	// <text x="208" y="86" text-anchor="end">oak</text>
	// <rect class="elected" x="216" y="74" width="340" height="16"/>
	// <text class="small num" x="562" y="86">4 elected</text>
	// </g>
	// <g><title>elm: 2</title>
	// <text x="208" y="108" text-anchor="end">elm</text>
	// <rect class="plain" x="216" y="96" width="170" height="16"/>
	// <text class="small num" x="392" y="108">2</text>
	// </g>
	// </svg>
}

// sound requires XML of elements and attributes that draw and load nothing, all
// inside of the drawing.
func sound(t interface{ Fatalf(string, ...any) }, svg []byte) {
	elements := map[string]bool{"svg": true, "title": true, "desc": true, "style": true, "g": true, "text": true, "rect": true, "line": true}
	attributes := map[string]int{
		"xmlns": 0, "class": 0, "role": 0, "aria-labelledby": 0, "id": 0, "viewBox": 0, "text-anchor": 0,
		"x": 760, "x1": 760, "x2": 760, "width": 760, "y": 1 << 30, "y1": 1 << 30, "y2": 1 << 30, "height": 1 << 30,
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !elements[e.Name.Local] {
			t.Fatalf("an element %s", e.Name.Local)
		}
		for _, a := range e.Attr {
			most, ok := attributes[a.Name.Local]
			if n, err := strconv.Atoi(a.Value); !ok || most > 0 && (err != nil || n < 0 || n > most) {
				t.Fatalf("an attribute %s=%q", a.Name.Local, a.Value)
			}
		}
	}
}

func drawn(t *rapid.T) chart.Count {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`</title><script>alert(1)</script>`, `" onload="x`, "a\x00b\xff", strings.Repeat("long ", 90), strings.Repeat("x", 300)}))
	value := rapid.OneOf(rapid.SampledFrom([]string{"0", "7", "4/3", "22.50000", "1/0", "-3", "4 to 2", "", "1e999999999", "0x1p99", strings.Repeat("9", 500)}), rapid.StringMatching(`[0-9]{1,9}(/[1-9])?`))
	line := rapid.Custom(func(t *rapid.T) count.Line {
		return count.Line{Name: text.Draw(t, "name"), Value: value.Draw(t, "value"), State: rapid.SampledFrom([]string{"", count.StateElected, count.StateExcluded, count.StateWithdrawn, count.StateHopeful, `"x`}).Draw(t, "state")}
	})
	c := chart.Count{
		Title: text.Draw(t, "title"), Bare: rapid.Bool().Draw(t, "bare"),
		Options: rapid.SliceOfN(text, 0, 5).Draw(t, "options"),
		Rounds: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) count.Round {
			r := count.Round{Text: text.Draw(t, "text"), Lines: rapid.SliceOfN(line, 0, 4).Draw(t, "lines")}
			if rapid.Bool().Draw(t, "quota") {
				r.Facts = append(r.Facts, count.Line{Name: "quota", Value: value.Draw(t, "value")})
			}
			return r
		}), 0, 4).Draw(t, "rounds"),
		Seats: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) count.Option {
			return count.Option{Name: text.Draw(t, "list"), N: rapid.Uint64Range(0, 1<<20).Draw(t, "n")}
		}), 0, 5).Draw(t, "seats"),
	}
	for range c.Options {
		c.Matrix = append(c.Matrix, rapid.SliceOfN(rapid.Uint64(), len(c.Options), len(c.Options)).Draw(t, "row"))
	}
	return c
}

func TestSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t)
		svg := chart.SVG(c)
		sound(t, svg)
		if !bytes.Equal(svg, chart.SVG(c)) {
			t.Fatalf("drawn twice it differs")
		}
		if bytes.Contains(svg, []byte("<style>")) == c.Bare {
			t.Fatalf("the style is there if it is bare, or the other way round")
		}
	})
}

// What is seen is also told.
func TestTold(t *testing.T) {
	svg := string(chart.SVG(chart.Count{
		Options: []string{"oak", "elm"}, Matrix: [][]uint64{{0, 5}, {3, 0}},
		Seats: []count.Option{{Name: "oak", N: 7}, {Name: "elm", N: 0}, {Name: "ash", N: 3}},
		Rounds: []count.Round{{
			Text:  "The first & only.",
			Lines: []count.Line{{Name: "oak", Value: "9", State: count.StateElected}, {Name: "elm", Value: "3/2", State: count.StateExcluded}},
			Facts: []count.Line{{Name: "quota", Value: "6"}},
		}},
	}))
	for _, want := range []string{
		"<title id=\"ct-title\">A count</title>", "<desc id=\"ct-desc\">1. The first &amp; only.</desc>", "@media (prefers-color-scheme:dark)",
		">oak: 7 of 10 seats</text>", ">ash: 3 of 10 seats</text>", ">5+</text>", ">3</text>", ">quota 6</text>", ">9 elected</text>", ">3/2 excluded</text>",
		`<line class="quota" x1="442"`, // 216 + 340·6/9
	} {
		if !strings.Contains(svg, want) {
			t.Errorf("%s is not in\n%s", want, svg)
		}
	}
	if strings.Contains(svg, "elm: 0 of") {
		t.Error("a list without seats is drawn")
	}
}

func TestBounds(t *testing.T) {
	round := count.Round{Text: "r", Lines: make([]count.Line, 255)}
	var rounds []count.Round
	for range 300 {
		rounds = append(rounds, round)
	}
	svg := chart.SVG(chart.Count{Rounds: rounds})
	if len(svg) > 2<<20 || !bytes.Contains(svg, []byte("285 more rounds are not drawn.")) {
		t.Errorf("%d bytes", len(svg))
	}
	long := chart.SVG(chart.Count{Rounds: []count.Round{{Lines: []count.Line{{Name: "a", Value: strings.Repeat("9", 601)}}}}})
	if bytes.Contains(long, []byte("<rect")) {
		t.Error("a figure of 601 digits is drawn")
	}
	wide := chart.Count{Options: make([]string, 41), Matrix: make([][]uint64, 41)}
	if svg := chart.SVG(wide); !bytes.Contains(svg, []byte("too wide to draw")) {
		t.Error("a table of 41 options is drawn")
	}
}
