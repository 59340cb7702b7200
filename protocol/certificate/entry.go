package certificate

import (
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/merkle"
)

// MaxSections is the longest encoding of a state's map of sections, in bytes.
const MaxSections = 2 << 10

// ErrProof is wrapped when an entry is not shown to be in a state.
var ErrProof = errors.New("the proof does not hold")

// An Entry shows what one of the maps of a state has at a key, or that it has
// nothing there, to someone who has only a checkpoint's state root (SPEC §6.3).
type Entry struct {
	Sections []byte       `cbor:"sections"` // whose SHA-256 is the state root
	Entry    []byte       `cbor:"entry"`    // the leaf, empty if there is none
	Path     merkle.Proof `cbor:"path"`
}

// Verify checks that the map that a state's section names has the entry at key;
// if it is empty, that it has none. Errors wrap [ErrProof].
func (e Entry) Verify(root [32]byte, section string, key protocol.ID) error {
	if len(e.Sections) > MaxSections || protocol.Sum(e.Sections) != root {
		return fmt.Errorf("certificate: entry of %s: %w: its sections are not those of the state root", key, ErrProof)
	}
	digest, err := sectionOf(e.Sections, section)
	if err != nil {
		return fmt.Errorf("certificate: entry of %s: %w: %w", key, ErrProof, err)
	}
	if len(e.Entry) == 0 {
		err = merkle.VerifyAbsent(digest, key, e.Path)
	} else {
		err = merkle.VerifyPresent(digest, key, e.Entry, e.Path)
	}
	if err != nil {
		return fmt.Errorf("certificate: entry of %s: %w: %w", key, ErrProof, err)
	}
	return nil
}

// sectionOf is a digest by its name in a map of sections.
func sectionOf(sections []byte, name string) (digest [32]byte, err error) {
	r := dagcbor.NewReader(sections)
	found := false
	var last []byte
	for n := r.Map(MaxSections); n > 0 && r.Err() == nil; n-- {
		key := r.Key(last)
		if string(key) != name {
			r.Skip()
		} else if b := r.Bytes(len(digest)); len(b) == len(digest) {
			digest, found = [32]byte(b), true
		}
		last = key
	}
	if err := r.End(); err != nil {
		return digest, err
	}
	if !found {
		return digest, fmt.Errorf("no digest of %.20q", name)
	}
	return digest, nil
}
