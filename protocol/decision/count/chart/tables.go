package chart

import (
	"fmt"
	"strconv"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// seats draws a bar in which each list has the part of its seats, and a legend.
func (d *drawing) seats(seats []count.Option) {
	var total uint64
	for _, s := range seats {
		total += s.N
	}
	if total == 0 {
		return
	}
	d.y += row / 2
	const long, high = width - 2*margin, 34
	var before uint64
	shade := 0
	for _, s := range seats {
		if s.N == 0 {
			continue
		}
		from, to := int(before*long/total), int((before+s.N)*long/total)
		before += s.N
		fmt.Fprintf(d, "<g><title>%s: %d</title>\n<rect class=\"s%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", escape(s.Name), s.N, shade%6, margin+from, d.y, max(to-from-1, 1), high)
		if to-from > 10*len(strconv.FormatUint(s.N, 10))+4 {
			fmt.Fprintf(d, "<text class=\"on num\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%d</text>\n", margin+(from+to)/2, d.y+22, s.N)
		}
		d.WriteString("</g>\n")
		shade++
	}
	d.y += high + 6
	shade = 0
	for _, s := range seats {
		if s.N == 0 {
			continue
		}
		fmt.Fprintf(d, "<rect class=\"s%d\" x=\"%d\" y=\"%d\" width=\"12\" height=\"12\"/>\n", shade%6, margin, d.y+textLine-11)
		d.text("small", margin+18, fmt.Sprintf("%s: %d of %d seats", short(s.Name), s.N, total))
		shade++
	}
}

// matrix draws how many prefer each option to each other. Who is preferred by
// more than the other way round is marked.
func (d *drawing) matrix(options []string, matrix [][]uint64) {
	n := len(matrix)
	if n == 0 || n != len(options) {
		return
	}
	d.y += row / 2
	if n > maxCells {
		d.wrapped("", fmt.Sprintf("A table of %d options is too wide to draw.", n))
		return
	}
	d.wrapped("small", "How many prefer the option of a row to that of a column; + where more do than the other way round.")
	cell := min(60, (width-2*margin-label)/n)
	d.y += textLine
	for j := range n {
		d.at("small num", margin+label+cell*(j+1)-6, d.y, "end", strconv.Itoa(j+1))
	}
	for i, line := range matrix {
		d.y += textLine
		d.at("small", margin, d.y, "", fmt.Sprintf("%d %s", i+1, short(options[i])))
		for j, v := range line {
			if j >= n || i == j {
				continue
			}
			text, class := strconv.FormatUint(v, 10), "small num"
			if j < len(matrix) && i < len(matrix[j]) && v > matrix[j][i] {
				text, class = text+"+", class+" head"
			}
			d.at(class, margin+label+cell*(j+1)-6, d.y, "end", text)
		}
	}
}
