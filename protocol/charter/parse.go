package charter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxYAML is the largest YAML form that is read, in bytes. It leaves room for
// the largest statutes, in which each byte may take two, and for comments.
const MaxYAML = 128 << 10

// ParseYAML reads a charter from YAML and validates it. It wants every field,
// as a constitution leaves nothing to the defaults of a program, and refuses
// fields it does not know, fields that stand twice, anchors, aliases, tags and
// more than one document. Offices and classes may stand in any order.
//
// It returns every problem, joined: one line each with the number of the line,
// the field, why, and what to write instead.
func ParseYAML(b []byte) (Charter, error) {
	if len(b) > MaxYAML {
		return Charter{}, fmt.Errorf("charter: the file has %d bytes; shorten it to at most %d", len(b), MaxYAML)
	}
	root, err := document(b)
	if err != nil {
		return Charter{}, err
	}
	var c Charter
	p := parser{lines: map[string]int{}}
	p.value(root, reflect.ValueOf(&c).Elem(), "")
	if len(p.found) > 0 {
		return Charter{}, p.err(p.lines)
	}
	p.charter(c) // before sorting, as problems count items in the file's order
	slices.SortStableFunc(c.Offices, func(a, b Office) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(c.Classes, func(a, b Class) int { return strings.Compare(a.Name, b.Name) })
	p.order(c)
	if err := p.err(p.lines); err != nil {
		return Charter{}, err
	}
	return c, nil
}

// document returns the value of the only document in b.
func document(b []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("charter: the file is empty; start from a template")
	case err != nil:
		return nil, fmt.Errorf("charter: the file is not YAML: %s; look for a wrong indent, colon or quote there",
			strings.TrimPrefix(err.Error(), "yaml: "))
	case len(doc.Content) != 1:
		return nil, errors.New("charter: the file is empty; start from a template")
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New(`charter: something follows the charter's end; keep one document, without "---" after it`)
	}
	return doc.Content[0], nil
}

// maxProblems bounds the list of what is wrong with the form of one file.
const maxProblems = 20

// A parser turns nodes of YAML into a charter. Types decide: int64 is a
// duration, uint64 a number, a struct a map of exactly its fields.
type parser struct {
	checker
	lines map[string]int // of fields, by the names that problems give them
}

func (p *parser) fail(n *yaml.Node, field, format string, args ...any) {
	if len(p.found) < maxProblems {
		p.add(field, format, args...)
		p.found[len(p.found)-1].line = n.Line
	}
}

// value reads n into v, which is the given field. It recurses as deep as the
// types do, not as n does.
func (p *parser) value(n *yaml.Node, v reflect.Value, field string) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.fail(n, field, "anchors (&) and aliases (*) are not read; write the value itself")
		return
	case n.Style&yaml.TaggedStyle != 0:
		p.fail(n, field, "tags (!) are not read; write the plain value")
		return
	}
	p.lines[field] = n.Line
	_, fraction := v.Interface().(Fraction)
	switch {
	case fraction || v.Kind() != reflect.Struct && v.Kind() != reflect.Slice:
		p.scalar(n, v, field)
	case v.Kind() == reflect.Slice:
		p.list(n, v, field)
	default:
		p.fields(n, v, field)
	}
}

// fields reads a map of exactly the fields of the struct v.
func (p *parser) fields(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.MappingNode {
		p.fail(n, field, `fields are wanted here, each on a line of its own, like "name: value"`)
		return
	}
	under := func(name string) string { return strings.TrimPrefix(field+": "+name, ": ") }
	at := map[string]int{} // field of the struct by name in YAML
	for i := range v.NumField() {
		name, _ := yamlName(v.Type().Field(i))
		at[name] = i
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		name := key.Value
		switch index, ok := at[name]; {
		case !ok || key.Kind != yaml.ScalarNode || key.Anchor != "":
			p.fail(key, field, "%s is not a field; the fields are %s", quoted(name), fieldNames(v.Type()))
		case seen[name]:
			p.fail(key, under(name), "stands twice; keep one")
		default:
			seen[name] = true
			p.value(n.Content[i+1], v.Field(index), under(name))
		}
	}
	for i := range v.NumField() {
		if name, optional := yamlName(v.Type().Field(i)); !seen[name] && !optional {
			p.fail(n, under(name), "missing; write it out, as the built-in templates do")
		}
	}
}

func fieldNames(t reflect.Type) string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _ = yamlName(t.Field(i))
	}
	return strings.Join(names, ", ")
}

// yamlName is what a field is called, and whether a file may leave it out.
func yamlName(f reflect.StructField) (name string, optional bool) {
	name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name, rest == "omitempty"
}

// list reads a list of structs, which are called by their names in problems.
func (p *parser) list(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.SequenceNode {
		p.fail(n, field, `a list is wanted here, each item after a "-"`)
		return
	}
	if most := max(MaxOffices, MaxClasses); len(n.Content) > most {
		p.fail(n, field, "%d are too many; keep at most %d", len(n.Content), most)
		return
	}
	kind := strings.TrimSuffix(field, "s") // "offices", of office
	if field == "classes" {
		kind = "class"
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		p.value(item, v.Index(i), itemField(kind, i, nameOf(item)))
	}
}

// nameOf returns the value of a map's field "name", or nothing.
func nameOf(n *yaml.Node) string {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == "name" {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// scalar reads one value.
func (p *parser) scalar(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.ScalarNode {
		p.fail(n, field, "a single value is wanted here, not a list or fields")
		return
	}
	if err := setScalar(n, v); err != nil {
		p.fail(n, field, "%s is %v", quoted(n.Value), err)
	}
}

var (
	errBool = errors.New("neither true nor false: write one of them")
	errText = errors.New(`not a text: put it in quotes, like "text"`)
)

func setScalar(n *yaml.Node, v reflect.Value) error {
	switch x := v.Addr().Interface().(type) {
	case *Fraction:
		return x.UnmarshalText([]byte(n.Value))
	case *bool:
		*x = n.Value == "true"
		if !*x && n.Value != "false" {
			return errBool
		}
	case *string:
		*x = n.Value
		if n.ShortTag() != "!!str" {
			return errText
		}
	case *uint64:
		u, err := parseUint(n.Value)
		*x = u
		return err
	case *int64:
		s, err := parseSeconds(n.Value)
		*x = s
		return err
	}
	return nil
}
