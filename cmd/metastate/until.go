package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/node"
)

// A condition is what --until waits for: a field of an answer and what it has
// to be. Dots descend; in an array a number picks an element, and a name looks
// in every one. An array, compared, is its length.
type condition struct {
	text  string
	path  []string
	op    string // "", "=" or ">="
	value string
}

var errCondition = errors.New("say FIELD, FIELD=VALUE or FIELD>=N, such as members=3 or metastates.0.peers>=1")

// parseCondition reads FIELD, FIELD=VALUE or FIELD>=N.
func parseCondition(s string) (condition, error) {
	c := condition{text: s}
	field := s
	if i := strings.IndexAny(s, "=><!"); i >= 0 {
		field = s[:i]
		switch rest := s[i:]; {
		case strings.HasPrefix(rest, ">="):
			c.op, c.value = ">=", rest[2:]
			if _, ok := number(c.value); !ok {
				return condition{}, errCondition
			}
		case rest[0] == '=' && !strings.HasPrefix(rest, "=="):
			c.op, c.value = "=", rest[1:]
		default:
			return condition{}, errCondition
		}
	}
	c.path = strings.Split(field, ".")
	if slices.Contains(c.path, "") {
		return condition{}, errCondition
	}
	return c, nil
}

// holds reports whether an answer, as decoded from JSON with numbers as written,
// is as the condition says.
func (c condition) holds(data any) bool {
	return slices.ContainsFunc(descend(data, c.path), c.met)
}

// descend returns the values that a path leads to.
func descend(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	switch v := v.(type) {
	case map[string]any:
		if field, ok := v[path[0]]; ok {
			return descend(field, path[1:])
		}
	case []any:
		if i, err := strconv.Atoi(path[0]); err == nil {
			if i >= 0 && i < len(v) {
				return descend(v[i], path[1:])
			}
			return nil
		}
		var all []any
		for _, element := range v {
			all = append(all, descend(element, path)...)
		}
		return all
	}
	return nil
}

func (c condition) met(v any) bool {
	if list, ok := v.([]any); ok {
		v = json.Number(strconv.Itoa(len(list)))
	}
	switch c.op {
	case "":
		return !isEmpty(v)
	case ">=":
		have, ok := v.(json.Number)
		if !ok {
			return false
		}
		n, ok1 := number(have.String())
		least, ok2 := number(c.value)
		return ok1 && ok2 && n.Cmp(least) >= 0
	}
	switch v := v.(type) {
	case nil:
		return c.value == "" || c.value == "null"
	case bool:
		return c.value == strconv.FormatBool(v)
	case string:
		return c.value == v
	case json.Number:
		n, ok1 := number(v.String())
		want, ok2 := number(c.value)
		return ok1 && ok2 && n.Cmp(want) == 0
	}
	return false
}

// isEmpty reports what a bare field does not hold for.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case json.Number:
		n, ok := number(v.String())
		return !ok || n.Sign() == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// number reads a decimal number, exactly. Exponents are refused: a short one
// could ask for any amount of memory.
func number(s string) (*big.Rat, bool) {
	if len(s) == 0 || len(s) > 40 || strings.Trim(s, "0123456789.-") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// await asks until the condition holds, and returns that answer. That something
// is not there, or that no node runs, means 'not yet'.
func await[T any](ctx context.Context, wait time.Duration, cond condition, ask func(context.Context) (T, error)) (T, error) {
	var none T
	limit, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := lastAnswer{cond: cond, wait: wait}
	for {
		v, err := ask(limit)
		switch {
		case limit.Err() != nil && ctx.Err() == nil && err != nil:
			return none, last.timedOut()
		case err != nil && !notYet(err):
			return none, err
		case err != nil:
			last.err, last.tree = err, nil
		default:
			tree, err := asTree(v)
			if err != nil {
				return none, err
			}
			if cond.holds(tree) {
				return v, nil
			}
			last.err, last.tree = nil, tree
		}
		select {
		case <-tick.C:
		case <-limit.Done():
			if ctx.Err() != nil { // interrupted
				return none, ctx.Err()
			}
			return none, last.timedOut()
		}
	}
}

func notYet(err error) bool {
	exit := asFailure(err).Exit
	return exit == node.ExitNotFound || exit == node.ExitUnreachable
}

// asTree gives an answer the form that scripts see.
func asTree[T any](v T) (tree any, err error) {
	b, err := json.Marshal(v)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		err = d.Decode(&tree)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return tree, nil
}

// lastAnswer is what was heard last while waiting.
type lastAnswer struct {
	cond condition
	wait time.Duration
	err  error
	tree any
}

// maxValue is how much of a field a timeout repeats, in runes.
const maxValue = 60

// timedOut says what was waited for and what was there instead.
func (l lastAnswer) timedOut() error {
	f := &failure{
		Code: "timed-out", Exit: node.ExitTimeout,
		Message: fmt.Sprintf("after %v, %q does not hold yet", l.wait, l.cond.text),
		Hint:    "wait longer with --wait",
	}
	if l.err != nil {
		last := asFailure(l.err)
		f.Message += ": " + last.Message
		if last.Hint != "" {
			f.Hint = last.Hint
		}
		return f
	}
	if l.tree == nil {
		f.Message += ": the node did not answer"
		return f
	}
	f.Message += ": " + l.cond.found(l.tree)
	if b, err := json.Marshal(l.tree); err == nil {
		f.data = b
	}
	return f
}

// found says in a few words what an answer has where the condition looks. The
// whole answer would bury it.
func (c condition) found(tree any) string {
	field := strings.Join(c.path, ".")
	values := descend(tree, c.path)
	switch len(values) {
	case 0:
		if top, ok := tree.(map[string]any); ok && len(c.path) == 1 {
			return fmt.Sprintf("the answer has no field %s; it has %s", field, strings.Join(slices.Sorted(maps.Keys(top)), ", "))
		}
		return fmt.Sprintf("the answer has no field %s", field)
	case 1:
		switch v := values[0].(type) {
		case []any:
			return fmt.Sprintf("%s has %d elements", field, len(v))
		case map[string]any:
			return field + " is an object"
		}
		b, err := json.Marshal(values[0])
		text := []rune(string(b))
		if err != nil || len(text) > maxValue {
			return field + " is something else"
		}
		return field + " is " + string(text)
	}
	return fmt.Sprintf("none of the %d values of %s is so", len(values), field)
}
