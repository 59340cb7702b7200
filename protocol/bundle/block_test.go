package bundle

import (
	"bytes"
	"slices"
	"testing"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Blocks of certificates and signatures are arrays of two and nothing besides,
// within their caps.
func TestBlocksAreExact(t *testing.T) {
	height := dagcbor.AppendUint(nil, 7)
	link := dagcbor.AppendLink(nil, protocol.ID{1})
	text := dagcbor.AppendBytes(nil, []byte("c"))
	two, one := dagcbor.AppendArray(nil, 2), dagcbor.AppendArray(nil, 1)
	big := dagcbor.AppendBytes(nil, make([]byte, MaxCertificate+1))
	for name, c := range map[string]struct {
		head, tail []byte
		ok         bool
	}{
		"as written":        {two, text, true},
		"an array of one":   {one, text, false},
		"more after it":     {two, append(slices.Clone(text), 0), false},
		"two after it":      {two, slices.Concat(text, text), false},
		"cut short":         {two, nil, false},
		"bytes over a cap":  {two, big, false},
		"text for bytes":    {two, []byte("\x61c"), false},
		"an array of three": {dagcbor.AppendArray(nil, 3), slices.Concat(text, text), false},
	} {
		if _, _, ok := parseCertificateBlock(slices.Concat(c.head, height, c.tail)); ok != c.ok {
			t.Errorf("a certificate, %s: %t", name, ok)
		}
		if _, _, ok := parseSignatureBlock(slices.Concat(c.head, link, c.tail)); ok != c.ok {
			t.Errorf("signatures, %s: %t", name, ok)
		}
	}
	if _, _, ok := parseSignatureBlock(signatureBlock(protocol.ID{1}, make([]byte, maxSignatures+1))); ok {
		t.Error("more signatures than a record has")
	}
	if h, c, ok := parseCertificateBlock(certificateBlock(9, make([]byte, MaxCertificate))); !ok || h != 9 || len(c) != MaxCertificate {
		t.Error("the largest certificate")
	}
}

// A section that begins with its CID, for want of a length, is damage and no
// more.
func TestLengthMissing(t *testing.T) {
	section, _ := appendSection(nil, []byte("block"))
	next, id := appendSection(nil, []byte("next"))
	for n := 1; n < len(section); n++ {
		s := newScanner(bytes.NewReader(slices.Concat(section[n:], next)))
		lost, ok := s.next()
		if !ok || lost.damaged == "" || lost.data != nil {
			t.Fatalf("without its first %d bytes: %+v", n, lost)
		}
		if found, ok := s.next(); !ok || found.damaged != "" || found.id != id {
			t.Fatalf("after one without its first %d bytes: %+v", n, found)
		}
	}
}

// A block is sound only if all of it is there, whatever the buffer holds after
// it; and a section that shows no CID is named by none.
func TestCutBlock(t *testing.T) {
	section, _ := appendSection(nil, []byte("block"))
	_, width := readVarint(section)
	whole := section[width:]
	if soundBlock(cidPrefix, whole, len(whole)) == nil || soundBlock(cidPrefix, whole[:len(whole)-1], len(whole)) != nil {
		t.Error("a block that is cut is sound")
	}
	if id := claimedID(cidPrefix, bytes.Repeat([]byte{0xff}, maxVarint+cidSize)); !id.IsZero() {
		t.Errorf("named %s", id)
	}
}
