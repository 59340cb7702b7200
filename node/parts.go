package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// restored is the base that the store has, nil if there is none. It is verified
// again from the checkpoint that the node knew.
func (l *ledger) restored() (*base, error) {
	if b, err := l.store.Private(privKnown); err == nil && len(b) == refSize {
		l.restoring.known = parseKnown(b)
	}
	b, err := l.store.Private(privWhole)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, storeError(err)
	}
	if len(b) < refSize {
		return nil, errors.New("the snapshot it began with: no name")
	}
	known, name := parseKnown(b[:refSize]), string(b[refSize:])
	rest, err := l.verifyHead(known, l.getParts(name))
	var tip checkpoint.Tip
	if err == nil {
		l.resumeParts(rest)
		tip, err = rest.Finish()
	}
	if err != nil && name == headName {
		l.log.Error("the snapshot it began with is damaged; taking another", "cause", err)
		return nil, l.beginAgain(known)
	}
	if err != nil {
		return nil, fmt.Errorf("the snapshot it began with: %w", err)
	}
	l.pruned = strings.HasPrefix(name, ownHead)
	l.recent = l.pruned
	return &base{tip, rest.Certificate()}, nil
}

// beginAgain makes the node a newcomer, who knows a checkpoint. As a clerk it may
// have signed at heights that it comes by again.
func (l *ledger) beginAgain(known protocol.Ref) error {
	l.restoring.known = known
	for _, x := range []struct {
		key   string
		value []byte
	}{
		{privRebuilt, []byte(l.now().UTC().Format(time.RFC3339))},
		{privKnown, knownCheckpoint(known)},
	} {
		if err := l.store.PutPrivate(x.key, x.value); err != nil {
			return storeError(err)
		}
	}
	if err := l.store.DeletePrivate(privWhole); err != nil {
		return storeError(err)
	}
	return nil
}

const refSize = 8 + len(protocol.ID{})

// wholeSnapshot names the head to begin with, and the checkpoint that it leads
// on from.
func wholeSnapshot(known protocol.Ref, name string) []byte {
	return append(knownCheckpoint(known), name...)
}

func parseKnown(b []byte) protocol.Ref {
	return protocol.Ref{Height: binary.BigEndian.Uint64(b), ID: protocol.ID(b[8:])}
}

// knownCheckpoint is what a newcomer keeps of the checkpoint that its invite names.
func knownCheckpoint(ref protocol.Ref) []byte {
	return append(binary.BigEndian.AppendUint64(nil, ref.Height), ref.ID[:]...)
}

// putParts stores a part in place of an older one of the name.
func (l *ledger) putParts(name string, b []byte) error {
	pieces := map[string][]byte{}
	l.cutPart(pieces, name, b)
	if err := l.store.PutPrivates(pieces); err != nil {
		return storeError(err)
	}
	return nil
}

// cutPart adds a part in pieces that private values have room for, and that
// nothing is left of an older one of the name.
func (l *ledger) cutPart(pieces map[string][]byte, name string, b []byte) {
	n := 0
	for ; n*privPiece < len(b); n++ {
		pieces[pieceKey(name, n)] = b[n*privPiece : min((n+1)*privPiece, len(b))]
	}
	for _, key := range l.store.PrivateKeys(privSnapshot + name + "/") {
		if key >= pieceKey(name, n) {
			pieces[key] = nil
		}
	}
}

func pieceKey(name string, i int) string { return fmt.Sprintf("%s%s/%04d", privSnapshot, name, i) }

// getParts is a stored part, nil if there is none.
func (l *ledger) getParts(name string) (b []byte) {
	for _, key := range l.store.PrivateKeys(privSnapshot + name + "/") {
		part, err := l.store.Private(key)
		if err != nil {
			return nil
		}
		b = append(b, part...)
	}
	return b
}

// forgetSnapshot deletes the snapshot that the ledger began with.
func (l *ledger) forgetSnapshot() error {
	if err := l.store.DeletePrivate(privWhole); err != nil {
		return storeError(err)
	}
	return l.forgetParts(nil)
}

// forgetParts deletes parts of snapshots but those named.
func (l *ledger) forgetParts(keep map[string]bool) error {
	for _, key := range l.store.PrivateKeys(privSnapshot) {
		name, _, _ := strings.Cut(strings.TrimPrefix(key, privSnapshot), "/")
		if keep[name] {
			continue
		}
		if err := l.store.DeletePrivate(key); err != nil {
			return storeError(err)
		}
	}
	return nil
}
