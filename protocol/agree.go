package protocol

import "encoding/binary"

// Kinds of what clerks sign to agree on a checkpoint.
const (
	AgreeProposal  = 1
	AgreePrevote   = 2
	AgreePrecommit = 3
)

// A Statement is what a clerk signs in the agreement on a checkpoint
// (SPEC §7.4). Two different ones of one kind, height, round and era by one key
// are proof against it.
type Statement struct {
	Kind       uint8
	Height     uint64
	Round      uint32
	Value      ID    // zero: nil, in a vote
	ValidRound int64 // of a proposal; −1: none
	Era        ID    // the last recall under which others than the clerks in force signed, this one included; zero if there is none
}

// Bytes are signed. Every field has a fixed length. Under a recall and ever after
// the domain is another and the recall is named, so that nothing a clerk signs
// there speaks against what they sign where the recall is not.
func (s Statement) Bytes(metastate ID) []byte {
	b := make([]byte, 0, 160)
	if s.Era.IsZero() {
		b = append(b, "metastate/agree/v1"...)
		b = append(b, metastate[:]...)
	} else {
		b = append(b, "metastate/agree/recall/v1"...)
		b = append(b, metastate[:]...)
		b = append(b, s.Era[:]...)
	}
	b = append(b, s.Kind)
	b = binary.BigEndian.AppendUint64(b, s.Height)
	b = binary.BigEndian.AppendUint32(b, s.Round)
	b = append(b, s.Value[:]...)
	if s.Kind == AgreeProposal {
		b = binary.BigEndian.AppendUint32(b, uint32(s.ValidRound+1))
	}
	return b
}
