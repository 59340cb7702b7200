// Package chart draws counts as SVG: bars of each option for each round with the
// quota as a line, a bar of seats for lists, and a table of who is preferred to
// whom.
//
// A drawing is the same bytes for the same count. It has no script, loads nothing
// from anywhere, follows the reader's choice of light or dark, tells its content as
// text to those who can't see it, and shows no state by colour alone.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math/big"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// A Count is what is drawn.
type Count struct {
	Title   string
	Options []string // as the matrix has them
	Seats   []count.Option
	Matrix  [][]uint64
	Rounds  []count.Round
	// Bare leaves the style out, for pages whose style sheet has it.
	Bare bool
}

// Style is the style sheet of drawings.
const Style = `.ct{color:#1b1f24;background:#fff;font:14px/1.4 system-ui,sans-serif}
.ct text{fill:currentColor}
.ct .small{font-size:12px}
.ct .head{font-weight:600}
.ct .num{font-variant-numeric:tabular-nums}
.ct .elected{fill:#1a7f37}
.ct .hopeful,.ct .plain{fill:#5a6572}
.ct .excluded,.ct .withdrawn{fill:none;stroke:#8b949e;stroke-dasharray:3 2}
.ct .quota{stroke:currentColor;stroke-dasharray:4 3}
.ct .s0{fill:#0b5cad}.ct .s1{fill:#9a4b00}.ct .s2{fill:#1a7f37}.ct .s3{fill:#8b2a7f}.ct .s4{fill:#4b5b6b}.ct .s5{fill:#a8202d}
.ct text.on{fill:#fff}
@media (prefers-color-scheme:dark){.ct{color:#e6edf3;background:#0d1117}
.ct .elected{fill:#3fb950}.ct .hopeful,.ct .plain{fill:#8b98a5}
.ct .excluded,.ct .withdrawn{stroke:#8b949e}}`

// Measures in pixels, and bounds of what is drawn.
const (
	width    = 760
	margin   = 16
	label    = 200 // of a bar
	bar      = 340
	row      = 22
	textLine = 19
	perLine  = 96   // runes of text
	maxLabel = 26   // runes
	maxBars  = 4000 // in all
	maxCells = 40   // options of a matrix
)

type drawing struct {
	bytes.Buffer
	y    int
	bars int
}

// SVG draws a count.
func SVG(c Count) []byte {
	var d drawing
	d.y = margin
	if c.Title != "" {
		d.text("head", margin, c.Title)
	}
	d.seats(c.Seats)
	d.matrix(c.Options, c.Matrix)
	for i, r := range c.Rounds {
		if d.bars += len(r.Lines); d.bars > maxBars {
			d.wrapped("", fmt.Sprintf("%d more rounds are not drawn.", len(c.Rounds)-i))
			break
		}
		d.round(i+1, r)
	}
	height := d.y + margin
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" class="ct" role="img" aria-labelledby="ct-title ct-desc" width="%d" height="%d" viewBox="0 0 %d %d">`, width, height, width, height)
	title := c.Title
	if title == "" {
		title = "A count"
	}
	fmt.Fprintf(&out, "\n<title id=\"ct-title\">%s</title>\n<desc id=\"ct-desc\">%s</desc>\n", escape(title), escape(describe(c)))
	if !c.Bare {
		fmt.Fprintf(&out, "<style>%s</style>\n", Style)
	}
	out.Write(d.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// describe is the count as text.
func describe(c Count) string {
	var b strings.Builder
	for i, r := range c.Rounds {
		fmt.Fprintf(&b, "%d. %s\n", i+1, r.Text)
	}
	return strings.TrimSpace(b.String())
}

// escape makes text of anything, as XML has it.
func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes all
	return b.String()
}

// short cuts a label.
func short(s string) string {
	r := []rune(s)
	if len(r) <= maxLabel {
		return s
	}
	return string(r[:maxLabel-1]) + "…"
}

// text draws a line of text and moves below it.
func (d *drawing) text(class string, x int, s string) {
	d.y += textLine
	d.at(class, x, d.y, "", s)
}

func (d *drawing) at(class string, x, y int, anchor, s string) {
	if anchor != "" {
		anchor = fmt.Sprintf(" text-anchor=%q", anchor)
	}
	if class != "" {
		class = fmt.Sprintf("class=%q ", class)
	}
	fmt.Fprintf(d, "<text %sx=\"%d\" y=\"%d\"%s>%s</text>\n", class, x, y, anchor, escape(s))
}

// wrapped draws text in as many lines as it needs.
func (d *drawing) wrapped(class, s string) {
	line := ""
	for word := range strings.FieldsSeq(s) {
		if r := []rune(word); len(r) > perLine {
			word = string(r[:perLine-1]) + "…"
		}
		if line != "" && len([]rune(line))+1+len([]rune(word)) > perLine {
			d.text(class, margin, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		d.text(class, margin, line)
	}
}

// round draws a step: its text, and a bar for each of its lines.
func (d *drawing) round(n int, r count.Round) {
	d.y += row / 2
	d.wrapped("", fmt.Sprintf("%d. %s", n, r.Text))
	if len(r.Lines) == 0 {
		return
	}
	quota := figure(fact(r.Facts, "quota"))
	top := new(big.Rat)
	for _, l := range r.Lines {
		if v := figure(l.Value); v != nil && v.Cmp(top) > 0 {
			top = v
		}
	}
	if top.Sign() == 0 || quota != nil && quota.Cmp(new(big.Rat).Mul(top, big.NewRat(2, 1))) > 0 {
		quota = nil // it would leave no bars to see
	}
	if quota != nil && quota.Cmp(top) > 0 {
		top = quota
	}
	d.y += 6
	from := d.y
	for _, l := range r.Lines {
		d.bar(l, top)
	}
	if quota != nil {
		x := margin + label + along(quota, top)
		fmt.Fprintf(d, "<line class=\"quota\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", x, x, from, d.y)
		d.y += textLine
		d.at("small", x, d.y-4, "middle", "quota "+fact(r.Facts, "quota"))
	}
}

func fact(facts []count.Line, name string) string {
	for _, f := range facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// bar draws how an option stands.
func (d *drawing) bar(l count.Line, top *big.Rat) {
	base := d.y + row - 7
	fmt.Fprintf(d, "<g><title>%s: %s</title>\n", escape(l.Name), escape(strings.TrimSpace(l.Value+" "+l.State)))
	d.at("", margin+label-8, base, "end", short(l.Name))
	class := "plain"
	switch l.State {
	case count.StateElected, count.StateHopeful, count.StateExcluded, count.StateWithdrawn:
		class = l.State
	}
	long := 0
	if v := figure(l.Value); v != nil && top.Sign() > 0 {
		long = along(v, top)
		fmt.Fprintf(d, "<rect class=%q x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", class, margin+label, d.y+3, max(long, 1), row-6)
	}
	words := l.Value
	if l.State != "" && l.State != count.StateHopeful {
		words = strings.TrimSpace(words + " " + l.State)
	}
	d.at("small num", margin+label+long+6, base, "", short(words))
	d.WriteString("</g>\n")
	d.y += row
}

// figure reads a decimal or a fraction, or is nil.
func figure(s string) *big.Rat {
	const longest = 600 // digits that are drawn to
	if len(s) > longest || strings.ContainsAny(s, "eEpPxX_") {
		return nil
	}
	v, ok := new(big.Rat).SetString(s)
	if !ok || v.Sign() < 0 {
		return nil
	}
	return v
}

// along is how long a bar is, rounded down.
func along(v, top *big.Rat) int {
	x := new(big.Rat).Quo(v, top)
	x.Mul(x, big.NewRat(bar, 1))
	return int(new(big.Int).Quo(x.Num(), x.Denom()).Int64())
}
