package schulze_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/counttest"
	"github.com/metastate-p2p/metastate/protocol/decision/count/schulze"
)

// TestDebian counts votes of the Debian project, and compares with what it
// published: the matrix, what was dropped, the winner.
func TestDebian(t *testing.T) {
	dir := counttest.Shared(t, "elections/debian")
	tallies, err := filepath.Glob(filepath.Join(dir, "*_tally.txt"))
	if err != nil || len(tallies) == 0 {
		t.Fatal(err, "no tallies")
	}
	compared := 0
	for _, path := range tallies {
		vote := strings.TrimSuffix(path, "_tally.txt")
		published := read(t, vote+"_results.src")
		if published == "" {
			continue
		}
		compared++
		t.Run(filepath.Base(vote), func(t *testing.T) {
			q, ballots := tally(t, read(t, path))
			majority, quorum := read(t, vote+"_majority.src"), read(t, vote+"_quorum.src")
			needs(t, &q, majority, quorum)
			r := counttest.Must(t, schulze.Method{}, q, ballots)
			if want := beats(t, published, len(q.Options)); !reflect.DeepEqual(r.Matrix, want) {
				t.Errorf("the matrix is %v, published %v", r.Matrix, want)
			}
			_, defeats, ok := strings.Cut(published, "Pair-wise defeats")
			defeats, winners, ok2 := strings.Cut(defeats, "The Schwartz Set contains")
			var dropped []string
			for _, o := range q.Options {
				if o != q.Params.Default && !strings.Contains(defeats, "Option "+o+" ") {
					dropped = append(dropped, o)
				}
			}
			if !ok || !ok2 {
				t.Fatal("no defeats are published")
			}
			if !slices.Equal(r.Dropped, dropped) {
				t.Errorf("dropped %v, published %v", r.Dropped, dropped)
			}
			winner := regexp.MustCompile(`<li>Option (\d+) `).FindStringSubmatch(winners)[1]
			if !slices.Equal(r.Winners, []string{winner}) || (r.Outcome == count.Rejected) != (winner == q.Params.Default) {
				t.Errorf("%s %v, published %s", r.Outcome, r.Winners, winner)
			}
		})
	}
	if compared < 16 {
		t.Errorf("only %d votes were compared", compared)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// tally reads ballots: a digit for each option, of which higher ones are lower
// ranks, and a dash where there is none. The last option is the default.
func tally(t *testing.T, sheet string) (count.Question, []count.Ballot) {
	t.Helper()
	var q count.Question
	var ballots []count.Ballot
	for _, m := range regexp.MustCompile(`(?m)^V: ([-0-9]+)\s`).FindAllStringSubmatch(sheet, -1) {
		marks := make(count.Marks, len(m[1]))
		ranks := []byte(strings.ReplaceAll(m[1], "-", ""))
		slices.Sort(ranks)
		ranks = slices.Compact(ranks)
		for i := range m[1] {
			marks[i] = uint8(slices.Index(ranks, m[1][i]) + 1)
		}
		ballots = append(ballots, count.Ballot{Marks: marks, N: 1})
	}
	for i := range ballots[0].Marks {
		q.Options = append(q.Options, strconv.Itoa(i+1))
	}
	q.Order, q.Params.Default = count.AsListed(len(q.Options)), q.Options[len(q.Options)-1]
	return q, ballots
}

// needs reads the quorum and the majorities.
func needs(t *testing.T, q *count.Question, majority, quorum string) {
	t.Helper()
	if m := regexp.MustCompile(`quorum: .*?([0-9.]+)</li>`).FindStringSubmatch(quorum); m != nil {
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		q.Params.Quorum = uint64(math.Ceil(f))
	}
	for _, m := range regexp.MustCompile(`Option(\d+)[^=<>]*?\(\d+/\d+\) [&lgt;=]* (\d+)</li>`).FindAllStringSubmatch(majority, -1) {
		var n uint64
		if _, err := fmt.Sscan(m[2], &n); err != nil {
			t.Fatal(err)
		}
		q.Params.Majority = append(q.Params.Majority, count.Majority{Option: m[1], Ratio: charter.Fraction{Num: n, Den: 1}})
	}
}

// beats reads the published matrix of n options.
func beats(t *testing.T, page string, n int) [][]uint64 {
	t.Helper()
	_, page, _ = strings.Cut(page, "The Beat Matrix")
	page, _, _ = strings.Cut(page, "</table>")
	cells := regexp.MustCompile(`<td>\s*(&nbsp;|\d+)\s*</td>`).FindAllStringSubmatch(page, -1)
	if len(cells) != n*n {
		t.Fatalf("%d cells for %d options", len(cells), n)
	}
	matrix := make([][]uint64, n)
	for i, c := range cells {
		v, _ := strconv.ParseUint(c[1], 10, 64)
		matrix[i/n] = append(matrix[i/n], v)
	}
	return matrix
}
