package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/sheet"
)

// methodFlags are what a counting method is told besides options and seats.
type methodFlags struct {
	threshold string
	majority  []string
	costs     string
	lists     string
	balance   []string
	params    count.Params
}

func (m *methodFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&m.threshold, "threshold", "", "least part of all votes that a list needs, as 3% or 1/30")
	f.StringVar(&m.params.Base, "quota-base", "", "what the quota of hare and droop is of: all votes, or those for seated lists (default all)")
	f.StringVar(&m.lists, "lists", "", "file with the candidates of party lists: a line of list,candidate or list,candidate,group for each")
	f.StringArrayVar(&m.balance, "balance", nil, "GROUP=40%: the least part of each list's seats for a group of candidates; may be repeated")
	f.StringVar(&m.params.Default, "default", "", "the option that others must beat, by schulze")
	f.StringArrayVar(&m.majority, "majority", nil, "NAME=3:1: how much an option must beat the default by, by schulze; may be repeated")
	f.Uint64Var(&m.params.Quorum, "quorum", 0, "voters who must prefer an option to the default, by schulze")
	f.Uint64Var(&m.params.Top, "top", 0, "the highest score (default 5), or a voter's credits by quadratic (default 100)")
	f.StringVar(&m.costs, "costs", "", "what each option costs, in their order, as 200,150,80, by equal-shares")
	f.Uint64Var(&m.params.Budget, "budget", 0, "what there is to spend, with --costs")
	f.StringVar(&m.params.Complete, "complete", "", "how money left over is used, by equal-shares: none, utilitarian or add1u (default add1u)")
}

// maxLists is the bytes of the largest file with the candidates of lists.
const maxLists = 1 << 24

// arrange puts the candidates of lists in the order of options, which are those of
// the file if there are none.
func (m *methodFlags) arrange(c *cobra.Command, options []string) ([]string, error) {
	if m.lists == "" {
		return options, nil
	}
	f, err := openFile(m.lists)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, lists, err := sheet.ReadLists(&capped{f, maxLists, maxLists})
	if err != nil {
		return nil, notBallots(m.lists, err)
	}
	if len(options) == 0 {
		m.params.Lists = lists
		return names, nil
	}
	m.params.Lists = make([]count.List, len(options))
	for i, name := range names {
		at := slices.Index(options, name)
		if at < 0 {
			return nil, usage(c, "%s has candidates of a list %q, which is none of the options", m.lists, name)
		}
		m.params.Lists[at] = lists[i]
	}
	return options, nil
}

// parse reads the flags that are text.
func (m *methodFlags) parse(c *cobra.Command) (err error) {
	p := &m.params
	if m.threshold != "" {
		if p.Threshold, err = parsePart(m.threshold); err != nil {
			return usage(c, "--threshold is a part of all votes, as 3%%, 3.25%% or 1/30, not %q", m.threshold)
		}
	}
	for _, s := range m.majority {
		i := strings.LastIndexByte(s, '=')
		if i < 1 {
			return usage(c, "--majority is NAME=3:1, not %q", s)
		}
		num, den, ok := strings.Cut(s[i+1:], ":")
		n, err1 := strconv.ParseUint(num, 10, 32)
		d, err2 := strconv.ParseUint(den, 10, 32)
		if !ok || err1 != nil || err2 != nil || n == 0 || d == 0 {
			return usage(c, "--majority is NAME=3:1, not %q", s)
		}
		p.Majority = append(p.Majority, count.Majority{Option: s[:i], Ratio: charter.Fraction{Num: n, Den: d}})
	}
	if m.costs != "" {
		for part := range strings.SplitSeq(m.costs, ",") {
			n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 64)
			if err != nil {
				return usage(c, "--costs are whole numbers, as 200,150,80, not %q", part)
			}
			p.Costs = append(p.Costs, n)
		}
	}
	for _, s := range m.balance {
		i := strings.LastIndexByte(s, '=')
		if i < 1 {
			return usage(c, "--balance is GROUP=40%% or GROUP=2/5, not %q", s)
		}
		share, err := parsePart(s[i+1:])
		if err != nil {
			return usage(c, "--balance is GROUP=40%% or GROUP=2/5, not %q", s)
		}
		p.Balance = append(p.Balance, count.Balance{Group: s[:i], Share: share})
	}
	slices.SortStableFunc(p.Balance, func(a, b count.Balance) int { return strings.Compare(a.Group, b.Group) })
	slices.SortStableFunc(p.Majority, func(a, b count.Majority) int { return strings.Compare(a.Option, b.Option) })
	return nil
}

// parsePart reads 3%, 3.25% or 1/30.
func parsePart(s string) (f charter.Fraction, err error) {
	number, percent := strings.CutSuffix(s, "%")
	if !percent {
		return charter.ParseFraction(s)
	}
	whole, decimals, _ := strings.Cut(number, ".")
	if len(whole) > 3 || len(decimals) > 4 || strings.HasSuffix(number, ".") {
		return f, fmt.Errorf("%q is no percentage", s)
	}
	f.Den = 100
	for range decimals {
		f.Den *= 10
	}
	f.Num, err = strconv.ParseUint(whole+decimals, 10, 64)
	return f, err
}
