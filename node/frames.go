package node

import (
	"errors"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// What a frame of a checkpoint or of the clerks' agreement holds (SPEC §9.3). A
// certificate comes after the chunks it names.
const (
	partChunk       = 0
	partCertificate = 1
	partMessage     = 2
)

// part frames a piece of a checkpoint.
func part(kind uint64, b []byte) []byte {
	out := dagcbor.AppendUint(dagcbor.AppendArray(make([]byte, 0, len(b)+8), 2), kind)
	return dagcbor.AppendBytes(out, b)
}

// agreementPart frames a message between clerks, or a chunk that a proposal
// names. The number of the try makes what is sent again differ from what gossip
// has passed on already, which it would drop.
func agreementPart(try, kind uint64, b []byte) []byte {
	out := dagcbor.AppendArray(make([]byte, 0, len(b)+16), 3)
	out = dagcbor.AppendUint(dagcbor.AppendUint(out, try), kind)
	return dagcbor.AppendBytes(out, b)
}

// parseAgreementPart reads what agreementPart writes.
func parseAgreementPart(part []byte) (kind uint64, b []byte, err error) {
	r := dagcbor.NewReader(part)
	n := r.Array(3)
	r.Uint()
	kind, b = r.Uint(), r.Bytes(len(part))
	if err := r.End(); err != nil {
		return 0, nil, err
	}
	if n != 3 || kind != partChunk && kind != partMessage {
		return 0, nil, errors.New("node: a part of the agreement is malformed")
	}
	return kind, b, nil
}
