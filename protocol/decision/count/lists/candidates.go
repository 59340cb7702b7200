package lists

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
)

// checkCandidates requires candidates for all lists or none, and each once.
func checkCandidates(all []count.List, options int) error {
	if len(all) == 0 {
		return nil
	}
	if len(all) != options {
		return fmt.Errorf("candidates of %d lists, and there are %d: name those of each list, in the order of lists", len(all), options)
	}
	seen := map[string]bool{}
	for _, list := range all {
		for _, c := range list {
			if err := checkLine(c.Name); err != nil {
				return err
			}
			if c.Group != "" {
				if err := checkLine(c.Group); err != nil {
					return err
				}
			}
			if seen[c.Name] {
				return fmt.Errorf("the candidate %q stands twice", c.Name)
			}
			seen[c.Name] = true
		}
	}
	if len(seen) > MaxCandidates {
		return fmt.Errorf("%d candidates, at most %d can stand", len(seen), MaxCandidates)
	}
	return nil
}

func checkLine(s string) error {
	if s == "" || len(s) > MaxName || !utf8.ValidString(s) {
		return fmt.Errorf("the name of a candidate or a group must be 1 to %d bytes of text", MaxName)
	}
	for _, r := range s {
		if identity.Hidden(r) {
			return errors.New("the name of a candidate or a group must be one line of printable text")
		}
	}
	return nil
}

// checkBalance requires groups that stand, by rising name, and parts of no more
// than the whole.
func checkBalance(balance []count.Balance, all []count.List) error {
	if len(balance) == 0 {
		return nil
	}
	if len(all) == 0 || len(balance) > MaxGroups {
		return fmt.Errorf("balance is of groups of the lists' candidates: name the candidates, and at most %d groups", MaxGroups)
	}
	stands := map[string]bool{}
	for _, list := range all {
		for _, c := range list {
			stands[c.Group] = true
		}
	}
	last := ""
	for _, b := range balance {
		switch {
		case b.Group <= last:
			return errors.New("groups of balance stand each once, by rising name")
		case !stands[b.Group]:
			return fmt.Errorf("no candidate is of the group %q", b.Group)
		case b.Share.Num == 0 || b.Share.Num > b.Share.Den:
			return fmt.Errorf("the share of the group %q is a fraction of a list's seats over 0 and at most 1, as 2/5", b.Group)
		}
		last = b.Group
	}
	return nil
}

// candidates are those elected: of each list as many as it has seats.
func (t *tally) candidates(lists []int) []string {
	var names []string
	for _, i := range lists {
		list := t.Params.Lists[i]
		n := min(t.seats[i], uint64(len(list)))
		if open := t.seats[i] - n; open > 0 {
			t.say("%s has %d candidates: %s of its %d stay open.", t.Options[i], n, count.Seated(open), t.seats[i])
		}
		on := make([]bool, len(list))
		for k := range n {
			on[k] = true
		}
		t.balance(i, list, on, n)
		for k, c := range list {
			if on[k] {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// balance changes who of a list's n elected candidates stays, so that each group
// has its part of them: group by group, the last one who can be spared gives way
// to the first of the group who is not elected.
func (t *tally) balance(option int, list count.List, on []bool, n uint64) {
	has, needs := map[string]uint64{}, map[string]uint64{}
	for k, c := range list {
		if on[k] {
			has[c.Group]++
		}
	}
	for _, b := range t.Params.Balance {
		needs[b.Group] = b.Share.Needs(n)
	}
	for _, b := range t.Params.Balance {
		for has[b.Group] < needs[b.Group] {
			in, out := firstOff(list, on, b.Group), -1
			for k, c := range list {
				if on[k] && c.Group != b.Group && has[c.Group] > needs[c.Group] {
					out = k
				}
			}
			if in < 0 || out < 0 {
				t.say("%s can't have %d of the group %s among its %d elected: it has %d.", t.Options[option], needs[b.Group], b.Group, n, has[b.Group])
				break
			}
			on[in], on[out] = true, false
			has[b.Group]++
			has[list[out].Group]--
			t.say("%s: %s gives way to %s, so that %d of its %d elected are of the group %s.", t.Options[option], list[out].Name, list[in].Name, needs[b.Group], n, b.Group)
		}
	}
}

// firstOff is the list's first candidate of a group who is not elected, or -1.
func firstOff(list count.List, on []bool, group string) int {
	for k, c := range list {
		if !on[k] && c.Group == group {
			return k
		}
	}
	return -1
}
