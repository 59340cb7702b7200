package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
	"github.com/metastate-p2p/metastate/protocol/state"
)

// Caps (SPEC §7.6). Sizes are bytes.
const (
	Version     = 1
	MaxManifest = 16 << 20
	// MaxChunk is the largest chunk of more than one leaf.
	MaxChunk = 256 << 10
	// MaxLeaf is the largest chunk of one leaf.
	MaxLeaf = 8 << 20

	maxTrees   = 1 << 16
	maxCharter = 1 << 16
	maxOffices = 1 << 16

	// chunkRoom is what a chunk's framing may take besides its leaves.
	chunkRoom = 16
)

// ErrManifest is wrapped when a manifest is malformed, or does not fit the
// certificate or the chunks that it leads to. Whoever made it is at fault.
var ErrManifest = errors.New("bad manifest")

// A kind says what a tree is a map of.
type kind uint64

const (
	members kind = iota + 1
	devices
	invites
	motions
	firsts
	polls
	said
	boards
	known
	claims
	pacts
	control
	ballots // of the poll named
	covered // records of the subject named

	lastFixed = control // kinds up to this one are there once, in this order
)

// A manifest is all of a snapshot but its chunks and records.
type manifest struct {
	certificate []byte
	charter     []byte
	offices     []byte
	sections    []byte
	trees       []tree
}

// A tree is how one map is cut.
type tree struct {
	kind   kind
	name   protocol.ID // zero up to lastFixed
	parts  [][32]byte  // digests of the subtrees, in order
	joints []byte      // critical bits between them
}

func (t tree) compare(o tree) int { return cmp.Or(cmp.Compare(t.kind, o.kind), t.name.Compare(o.name)) }

// encode gives the manifest's canonical bytes (SPEC §7.6).
func (m *manifest) encode() []byte {
	b := dagcbor.AppendMap(nil, 6)
	b = dagcbor.AppendBytes(dagcbor.AppendText(b, "c"), m.certificate)
	b = dagcbor.AppendBytes(dagcbor.AppendText(b, "h"), m.charter)
	b = dagcbor.AppendBytes(dagcbor.AppendText(b, "o"), m.offices)
	b = dagcbor.AppendBytes(dagcbor.AppendText(b, "s"), m.sections)
	b = dagcbor.AppendArray(dagcbor.AppendText(b, "t"), len(m.trees))
	for _, t := range m.trees {
		b = dagcbor.AppendUint(dagcbor.AppendArray(b, 4), uint64(t.kind))
		var name []byte
		if t.kind > lastFixed {
			name = t.name[:]
		}
		b = dagcbor.AppendBytes(b, name)
		b = dagcbor.AppendBytes(b, slices.Concat(digestSlices(t.parts)...))
		b = dagcbor.AppendBytes(b, t.joints)
	}
	return dagcbor.AppendUint(dagcbor.AppendText(b, "v"), Version)
}

func digestSlices(digests [][32]byte) [][]byte {
	out := make([][]byte, len(digests))
	for i := range digests {
		out[i] = digests[i][:]
	}
	return out
}

// parseManifest reads a manifest. What it returns is well formed and shares
// b's memory; nothing of it is verified. Errors wrap [ErrManifest].
func parseManifest(b []byte) (m manifest, err error) {
	if len(b) > MaxManifest {
		return m, fmt.Errorf("%w: over %d bytes", ErrManifest, MaxManifest)
	}
	r := dagcbor.NewReader(b)
	ok := r.Map(6) == 6
	key := func(name string) { ok = string(r.Key(nil)) == name && ok }
	key("c")
	m.certificate = r.Bytes(certificate.MaxCertificateSize)
	key("h")
	m.charter = r.Bytes(maxCharter)
	key("o")
	m.offices = r.Bytes(maxOffices)
	key("s")
	m.sections = r.Bytes(state.MaxSections)
	key("t")
	for n := r.Array(maxTrees); n > 0 && ok && r.Err() == nil; n-- {
		t, good := readTree(&r)
		if last := len(m.trees) - 1; last >= 0 && m.trees[last].compare(t) >= 0 {
			good = false
		}
		ok = ok && good
		m.trees = append(m.trees, t)
	}
	key("v")
	ok = r.Uint() == Version && ok
	if err := r.End(); err != nil {
		return manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if !ok {
		return manifest{}, fmt.Errorf("%w: not the form of one", ErrManifest)
	}
	return m, nil
}

func readTree(r *dagcbor.Reader) (t tree, ok bool) {
	ok = r.Array(4) == 4
	t.kind = kind(r.Uint())
	name := r.Bytes(len(t.name))
	digests := r.Bytes(MaxManifest)
	t.joints = r.Bytes(MaxManifest)
	if r.Err() != nil || len(digests)%32 != 0 || t.kind == 0 || t.kind > covered {
		return t, false
	}
	if t.kind > lastFixed {
		ok = ok && len(name) == len(t.name) && len(digests) > 0
		copy(t.name[:], name)
		ok = ok && !t.name.IsZero()
	} else {
		ok = ok && len(name) == 0
	}
	t.parts = make([][32]byte, len(digests)/32)
	for i := range t.parts {
		t.parts[i] = [32]byte(digests[32*i:])
	}
	return t, ok
}

// root is the root of the tree that is cut so. The error wraps [ErrManifest].
func (t tree) root() ([32]byte, error) {
	root, err := merkle.Join(t.parts, t.joints)
	if err != nil {
		return root, fmt.Errorf("%w: tree %d of %s: %w", ErrManifest, t.kind, t.name, err)
	}
	return root, nil
}
