package snapshot

import (
	"bytes"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// MakeSmall makes a snapshot of small chunks, so that few leaves fill several.
var MakeSmall = take

// The kinds of trees that tests take out of a manifest.
const (
	Members = members
	Control = control
	Ballots = ballots
	Covered = covered
)

// Without is a manifest without its first tree of a kind.
func Without(b []byte, k kind) []byte {
	return forge(b, func(m *manifest) {
		i := slices.IndexFunc(m.trees, func(t tree) bool { return t.kind == k })
		m.trees = slices.Delete(m.trees, i, i+1)
	})
}

// Renamed is a manifest whose first tree of a kind has another name.
func Renamed(b []byte, k kind, name protocol.ID) []byte {
	return forge(b, func(m *manifest) {
		i := slices.IndexFunc(m.trees, func(t tree) bool { return t.kind == k })
		m.trees[i].name = name
		slices.SortFunc(m.trees, tree.compare)
	})
}

// Also is a manifest with another's first tree of a kind under a new name.
func Also(b, from []byte, k kind, name protocol.ID) []byte {
	return forge(b, func(m *manifest) {
		o, _ := parseManifest(from)
		i := slices.IndexFunc(o.trees, func(t tree) bool { return t.kind == k })
		t := o.trees[i]
		t.name = name
		m.trees = append(m.trees, t)
		slices.SortFunc(m.trees, tree.compare)
	})
}

// Certified is a manifest with another certificate.
func Certified(b, certificate []byte) []byte {
	return forge(b, func(m *manifest) { m.certificate = certificate })
}

func forge(b []byte, change func(*manifest)) []byte {
	m, err := parseManifest(b)
	if err != nil {
		panic(err)
	}
	change(&m)
	return m.encode()
}

// Again is what a manifest is written as once it was read, if it can be.
func Again(b []byte) ([]byte, bool) {
	m, err := parseManifest(b)
	if err != nil {
		return nil, false
	}
	return m.encode(), true
}

// CheckChunk is how a chunk is judged.
var CheckChunk = checkChunk

// Mixed is a manifest with fields of another: "h", "o" or "s".
func Mixed(b, from []byte, field string) []byte {
	return forge(b, func(m *manifest) {
		o, _ := parseManifest(from)
		switch field {
		case "h":
			m.charter = o.charter
		case "o":
			m.offices = o.offices
		case "s":
			m.sections = o.sections
		}
	})
}

// Retyped is a manifest whose first tree of a kind is of another.
func Retyped(b []byte, k, to kind) []byte {
	return forge(b, func(m *manifest) {
		i := slices.IndexFunc(m.trees, func(t tree) bool { return t.kind == k })
		m.trees[i].kind = to
	})
}

// Twice is a manifest with a tree of a kind twice.
func Twice(b []byte, k kind) []byte {
	return forge(b, func(m *manifest) {
		i := slices.IndexFunc(m.trees, func(t tree) bool { return t.kind == k })
		m.trees = slices.Insert(m.trees, i, m.trees[i])
	})
}

// Versioned is a manifest of a later version.
func Versioned(b []byte) []byte {
	i := bytes.LastIndex(b, []byte{0x61, 'v', Version})
	b = bytes.Clone(b)
	b[i+2]++
	return b
}

// WithoutNamed is a manifest without one tree.
func WithoutNamed(b []byte, k kind, name protocol.ID) []byte {
	return forge(b, func(m *manifest) {
		m.trees = slices.DeleteFunc(m.trees, func(t tree) bool { return t.kind == k && t.name == name })
	})
}

// Shifted is a manifest whose polls and control plane have the kinds after
// their own.
func Shifted(b []byte, name protocol.ID) []byte {
	return forge(b, func(m *manifest) {
		m.trees[polls-1].kind, m.trees[control-1].kind, m.trees[control-1].name = control, ballots, name
	})
}

// Fill has a chain hold as many handovers as it can.
func Fill(c *Chain) { c.handovers = MaxHandovers }
