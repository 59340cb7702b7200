package sheet

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// maxCandidates bounds a table of candidates.
const maxCandidates = 10_000

// ReadLists reads the candidates of party lists, the first of a list first: lines
// of list,candidate or list,candidate,group, with or without a heading that says
// so. Lists are in the order in which they first come.
func ReadLists(from io.Reader) (names []string, lists []count.List, err error) {
	r, row, err := table(from)
	if err == io.EOF {
		return nil, nil, errors.New("csv: the file is empty: write lines of list,candidate")
	}
	if err != nil {
		return nil, nil, err
	}
	if len(row) != 2 && len(row) != 3 {
		return nil, nil, at(1, fmt.Errorf("%d columns: write list,candidate or list,candidate,group", len(row)))
	}
	if slices.Equal(row, []string{"list", "candidate", "group"}[:len(row)]) {
		row, err = r.Read()
	}
	for n := 1; err == nil; n++ {
		line, _ := r.FieldPos(0)
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
			if err := count.CheckText("name", row[i]); err != nil {
				return nil, nil, at(line, err)
			}
		}
		if row[0] == "" || row[1] == "" || n > maxCandidates {
			return nil, nil, at(line, fmt.Errorf("a list or candidate without a name, or more than %d candidates", maxCandidates))
		}
		i := slices.Index(names, row[0])
		if i < 0 {
			i, names, lists = len(names), append(names, row[0]), append(lists, nil)
		}
		if len(names) > count.MaxOptions {
			return nil, nil, at(line, fmt.Errorf("more than %d lists", count.MaxOptions))
		}
		c := count.Candidate{Name: row[1]}
		if len(row) == 3 {
			c.Group = row[2]
		}
		lists[i] = append(lists[i], c)
		row, err = r.Read()
	}
	if err != io.EOF {
		return nil, nil, told(err)
	}
	return names, lists, nil
}
