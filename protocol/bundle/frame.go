package bundle

import (
	"bytes"
	"encoding/binary"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A section of a CARv1 file is a varint of what follows, a CID and a block.
const (
	// MaxCertificate is the largest certificate in bytes.
	MaxCertificate = 512 << 10

	cidSize    = 4 + 32
	maxSection = cidSize + MaxCertificate + 16 // certificates are the largest: 16 for their framing
	maxVarint  = 3                             // bytes of a varint up to maxSection

	maxSignatures = (1 + protocol.MaxCosigners) * identity.SignatureSize
)

// cidPrefix begins every CID here: version 1, dag-cbor, sha2-256, 32 bytes.
// A link inside a block has a zero byte before it, which no section's varint
// ends in; so links are never taken for the start of a section.
var cidPrefix = []byte{0x01, 0x71, 0x12, 0x20}

// rawPrefix begins the CIDs of sealed blocks: the same but for the codec, raw.
var rawPrefix = []byte{0x01, 0x55, 0x12, 0x20}

// appendSection appends a block of DAG-CBOR with its framing and returns its id.
func appendSection(b, data []byte) ([]byte, protocol.ID) { return appendFramed(b, cidPrefix, data) }

func appendFramed(b, prefix, data []byte) ([]byte, protocol.ID) {
	id := protocol.Sum(data)
	b = binary.AppendUvarint(b, uint64(cidSize+len(data)))
	b = append(b, prefix...)
	b = append(b, id[:]...)
	return append(b, data...), id
}

// readVarint reads the varint at the start of b: width bytes, or width 0 if it
// is not the shortest form of a section's length.
func readVarint(b []byte) (n, width int) {
	v, width := binary.Uvarint(b[:min(len(b), maxVarint)])
	if width <= 0 || v <= cidSize || v > maxSection || (width > 1 && b[width-1] == 0) {
		return 0, 0
	}
	return int(v), width
}

// Header: {"roots": [link], "version": 1}, with its length in front.
var (
	headerBefore = []byte("\x3a\xa2\x65roots\x81\xd8\x2a\x58\x25\x00\x01\x71\x12\x20")
	headerAfter  = []byte("\x67version\x01")
)

const headerSize = 59

func header(root protocol.ID) []byte {
	return append(append(bytes.Clone(headerBefore), root[:]...), headerAfter...)
}

// headerShaped reports whether h is a header of ours, whatever its root, or
// the beginning of one.
func headerShaped(h []byte) bool {
	var root protocol.ID
	copy(root[:], h[min(len(h), len(headerBefore)):])
	return bytes.HasPrefix(header(root), h)
}

func signatureBlock(id protocol.ID, signatures []byte) []byte {
	return dagcbor.AppendBytes(dagcbor.AppendLink(dagcbor.AppendArray(nil, 2), id), signatures)
}

func parseSignatureBlock(b []byte) (id protocol.ID, signatures []byte, ok bool) {
	r := dagcbor.NewReader(b)
	n := r.Array(2)
	id = r.Link()
	signatures = r.Bytes(maxSignatures)
	return id, signatures, r.End() == nil && n == 2
}

func certificateBlock(height uint64, certificate []byte) []byte {
	return dagcbor.AppendBytes(dagcbor.AppendUint(dagcbor.AppendArray(nil, 2), height), certificate)
}

func parseCertificateBlock(b []byte) (height uint64, certificate []byte, ok bool) {
	r := dagcbor.NewReader(b)
	n := r.Array(2)
	height = r.Uint()
	certificate = r.Bytes(MaxCertificate)
	return height, certificate, r.End() == nil && n == 2
}
