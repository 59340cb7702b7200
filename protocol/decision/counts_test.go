package decision_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

var update = flag.Bool("update", false, "write testdata/counts.json anew")

const countsFile = "testdata/counts.json"

// counts is the file's form, for readers in any language.
type counts struct {
	Note   string      `json:"note"`
	Counts []countCase `json:"counts"`
}

type countCase struct {
	Name      string            `json:"name"`
	Method    string            `json:"method"`
	Options   []string          `json:"options"`
	Seats     uint64            `json:"seats"`
	Order     []int             `json:"order"`
	Open      bool              `json:"open,omitempty"`
	Withdrawn []bool            `json:"withdrawn,omitempty"`
	Default   string            `json:"default,omitempty"`
	Quorum    uint64            `json:"quorum,omitempty"`
	Majority  map[string]string `json:"majority,omitempty"`
	Ballots   []countBallots    `json:"ballots"`
	Result    countResult       `json:"result"`
}

type countBallots struct {
	N      uint64       `json:"n"`
	Choice count.Choice `json:"choice"`
}

// countResult is a result without its words.
type countResult struct {
	Outcome string       `json:"outcome"`
	Winners []string     `json:"winners"`
	Votes   []uint64     `json:"votes"` // in the order of options
	Tied    bool         `json:"tied"`
	Matrix  [][]uint64   `json:"matrix,omitempty"`
	Dropped []string     `json:"dropped,omitempty"`
	Rounds  []countRound `json:"rounds"`
}

type countRound struct {
	Values []string    `json:"values"` // in the order of options
	States []string    `json:"states"`
	Facts  [][2]string `json:"facts"`
}

func (c countCase) count(t *testing.T) countResult {
	t.Helper()
	m, err := decision.MethodByName(c.Method)
	if err != nil {
		t.Fatal(err)
	}
	q := count.Question{
		Options: c.Options, Seats: c.Seats, Order: c.Order, Open: c.Open, Withdrawn: c.Withdrawn,
		Params: count.Params{Default: c.Default, Quorum: c.Quorum},
	}
	for _, o := range c.Options {
		if ratio, ok := c.Majority[o]; ok {
			f, err := charter.ParseFraction(ratio)
			if err != nil {
				t.Fatal(err)
			}
			q.Params.Majority = append(q.Params.Majority, count.Majority{Option: o, Ratio: f})
		}
	}
	var ballots []count.Ballot
	for _, b := range c.Ballots {
		marks, err := m.Form(q).Parse(c.Options, string(b.Choice))
		if err != nil {
			t.Fatal(err)
		}
		ballots, q.Cast, q.Electorate = append(ballots, count.Ballot{Marks: marks, N: b.N}), q.Cast+b.N, q.Electorate+b.N
	}
	r, err := count.Count(m, q, ballots)
	if err != nil {
		t.Fatal(err)
	}
	out := countResult{Outcome: r.Outcome, Winners: append([]string{}, r.Winners...), Tied: r.Tied, Matrix: r.Matrix, Dropped: r.Dropped}
	for _, v := range r.Votes {
		out.Votes = append(out.Votes, v.N)
	}
	for _, round := range r.Rounds {
		x := countRound{Values: []string{}, States: []string{}, Facts: [][2]string{}}
		for _, l := range round.Lines {
			x.Values, x.States = append(x.Values, l.Value), append(x.States, l.State)
		}
		for _, f := range round.Facts {
			x.Facts = append(x.Facts, [2]string{f.Name, f.Value})
		}
		out.Rounds = append(out.Rounds, x)
	}
	return out
}

// TestCounts holds the methods to the figures that other implementations are
// to reproduce (SPEC §8.3).
func TestCounts(t *testing.T) {
	data, err := os.ReadFile(countsFile)
	if err != nil {
		t.Fatal(err)
	}
	var file counts
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil || len(file.Counts) < 15 {
		t.Fatal(len(file.Counts), err)
	}
	for i, c := range file.Counts {
		t.Run(c.Method+" "+strings.ReplaceAll(c.Name, " ", "_"), func(t *testing.T) {
			got := c.count(t)
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(c.Result)
			if file.Counts[i].Result = got; !*update && !bytes.Equal(a, b) {
				t.Errorf("%s\nwant %s", a, b)
			}
		})
	}
	if *update {
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		out.WriteString("{\"note\":")
		_ = e.Encode(file.Note)
		out.WriteString(",\"counts\":[\n")
		for i, c := range file.Counts {
			if i > 0 {
				out.WriteByte(',')
			}
			_ = e.Encode(c)
		}
		out.WriteString("]}\n")
		if err := os.WriteFile(countsFile, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
