package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// draw shows what happened over time, a column for so many seconds.
func (w *world) draw(out io.Writer, width int) {
	columns := width - 14
	span := (w.clock() + time.Duration(columns) - 1) / time.Duration(columns)
	at := func(d time.Duration) int { return min(int(d/span), columns-1) }

	lanes := w.lanes(columns, at)
	fmt.Fprintf(out, "%-13s %s\n", "", axis(columns, span))
	for _, l := range lanes {
		fmt.Fprintf(out, "%-13s %s\n", l.name, l.cells)
	}
	fmt.Fprintf(out, "%-13s each column is %.1f s; ▁…█ are shares of the most there is in the row; one · is none\n\n", "", span.Seconds())
	for _, e := range w.told.events {
		fmt.Fprintf(out, "  %6.1f s  %s\n", e.at.Seconds(), e.what)
	}
}

type lane struct{ name, cells string }

// lanes are the rows of the drawing.
func (w *world) lanes(columns int, at func(time.Duration) int) []lane {
	var final [2][]float64
	for side := range final {
		final[side] = make([]float64, columns)
	}
	for _, m := range w.told.made {
		final[m.side][at(m.at)]++
	}
	lies, open, roots, top := make([]float64, columns), make([]float64, columns), make([]float64, columns), make([]float64, columns)
	far := make([]float64, columns)
	for _, l := range w.told.lies {
		lies[at(l.at)]++
	}
	for _, l := range w.told.looks {
		c := at(l.at)
		open[c], far[c] = max(open[c], float64(l.open[0])), max(far[c], float64(l.open[1]))
		roots[c], top[c] = float64(l.roots), l.top
	}
	net := []rune(strings.Repeat("█", columns))
	for c := at(partsAt); c < at(healsAt); c++ {
		net[c] = '▚'
	}
	return []lane{
		{"network", string(net)},
		{"final, 60 %", bars(final[0])},
		{"final, 40 %", bars(final[1])},
		{"not yet, 60 %", bars(open)},
		{"not yet, 40 %", bars(far)},
		{"lies", bars(lies)},
		{"state roots", digits(roots)},
		{"up to date", bars(top)},
	}
}

// bars are eighths of the largest value.
func bars(values []float64) string {
	most := 0.0
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		if v == 0 {
			b.WriteRune('·')
			continue
		}
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(int(v/most*8), 7)])
	}
	return b.String()
}

// digits are numbers up to 9, and + for more.
func digits(values []float64) string {
	var b strings.Builder
	for _, v := range values {
		if v > 9 {
			b.WriteByte('+')
		} else {
			fmt.Fprintf(&b, "%.0f", v)
		}
	}
	return b.String()
}

// axis marks the minutes.
func axis(columns int, span time.Duration) string {
	line := []byte(strings.Repeat(" ", columns))
	for m := 0; ; m++ {
		c := int(time.Duration(m) * time.Minute / span)
		if c >= columns {
			return strings.TrimRight(string(line), " ")
		}
		copy(line[c:], fmt.Sprintf("%d:00", m))
	}
}

// svg is the same as a picture.
func (w *world) svg() []byte {
	const width, lane, left = 960, 60, 130
	x := func(d time.Duration) float64 { return left + float64(d)/float64(w.clock())*(width-left-20) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, 5*lane+50)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><rect x="%.1f" y="20" width="%.1f" height="%d" fill="#f3e3c8"/><text x="%.1f" y="15">60 %% and 40 %% do not hear each other</text>`+"\n",
		x(partsAt), x(healsAt)-x(partsAt), 5*lane, x(partsAt))
	curve := func(row int, name, colour string, most float64, value func(look) float64) {
		bottom := float64(20 + (row+1)*lane - 8)
		fmt.Fprintf(&b, `<text x="8" y="%.0f" fill="%s">%s</text><polyline fill="none" stroke="%s" stroke-width="1.5" points="`, bottom-20, colour, name, colour)
		for _, l := range w.told.looks {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(l.at), bottom-value(l)/max(most, 1)*(lane-16))
		}
		b.WriteString("\"/>\n")
	}
	var height, open, roots float64
	for _, l := range w.told.looks {
		height, open, roots = max(height, float64(l.heights[0])), max(open, float64(max(l.open[0], l.open[1]))), max(roots, float64(l.roots))
	}
	curve(0, "checkpoint, 60 %", "#1b6ca8", height, func(l look) float64 { return float64(l.heights[0]) })
	curve(1, "checkpoint, 40 %", "#a8441b", height, func(l look) float64 {
		if l.heights[1] == 0 {
			return float64(l.heights[0])
		}
		return float64(l.heights[1])
	})
	curve(2, "not final, 40 %", "#a8441b", open, func(l look) float64 { return float64(l.open[1]) })
	curve(3, "state roots", "#555", roots, func(l look) float64 { return float64(l.roots) })
	curve(4, "up to date", "#2a7d3f", 1, func(l look) float64 { return l.top })
	for _, l := range w.told.lies {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#c00" stroke-opacity=".35"/>`+"\n", x(l.at), x(l.at), 5*lane+20, 5*lane+28)
	}
	fmt.Fprintf(&b, `<text x="8" y="%d" fill="#c00">lies</text></svg>`+"\n", 5*lane+28)
	return []byte(b.String())
}
