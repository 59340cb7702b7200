package bundle

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// A Writer writes one bundle. It serves one goroutine. The first error sticks.
type Writer struct {
	w            *bufio.Writer
	manifest     Manifest
	records      uint64
	certificates uint64
	digest       hash.Hash
	buf          []byte
	err          error
}

// NewWriter begins a bundle on w. The manifest stands first in the file, so
// its counts and [Digest] are known before: a caller goes over its ids first.
func NewWriter(w io.Writer, m Manifest) (*Writer, error) {
	data, err := m.encode()
	if err != nil {
		return nil, fmt.Errorf("bundle: writing the manifest: %w", err)
	}
	block, id := appendSection(nil, data)
	bw := &Writer{w: bufio.NewWriter(w), manifest: m, digest: newDigest()}
	bw.write(header(id))
	bw.write(block)
	return bw, bw.err
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	if _, err := w.w.Write(b); err != nil {
		w.err = fmt.Errorf("bundle: writing: %w", err)
	}
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return w.err
}

// Certificate writes the checkpoint certificate of a height, at most
// [MaxCertificate] bytes. Certificates come before records.
func (w *Writer) Certificate(height uint64, certificate []byte) error {
	switch {
	case w.err != nil:
		return w.err
	case w.records > 0:
		return w.fail(errors.New("bundle: writing a certificate: after records"))
	case w.certificates == w.manifest.Certificates:
		return w.fail(fmt.Errorf("bundle: writing a certificate: the manifest says %d", w.manifest.Certificates))
	case len(certificate) > MaxCertificate:
		return w.fail(fmt.Errorf("bundle: writing a certificate: %d bytes, the cap is %d", len(certificate), MaxCertificate))
	}
	w.certificates++
	w.buf, _ = appendSection(w.buf[:0], certificateBlock(height, certificate))
	w.write(w.buf)
	return w.err
}

// Record writes a record given in its inner form (protocol.Record.Inner). Its
// signatures are not verified.
func (w *Writer) Record(inner []byte) error {
	if w.err != nil {
		return w.err
	}
	payload, signatures, err := protocol.SplitInner(inner)
	if err != nil {
		return w.fail(fmt.Errorf("bundle: writing a record: %w", err))
	}
	if w.records == w.manifest.Records {
		return w.fail(fmt.Errorf("bundle: writing a record: the manifest says %d", w.manifest.Records))
	}
	w.records++
	buf, id := appendSection(w.buf[:0], payload)
	w.buf, _ = appendSection(buf, signatureBlock(id, signatures))
	w.digest.Write(id[:])
	w.write(w.buf)
	return w.err
}

// Close ends the bundle and reports whether it is whole: every write reached
// the underlying writer, and what was written is what the manifest says. It
// does not close the underlying writer.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	if err := w.w.Flush(); err != nil {
		return w.fail(fmt.Errorf("bundle: writing: %w", err))
	}
	var d identity.Digest
	w.digest.Sum(d[:0])
	if w.records != w.manifest.Records || w.certificates != w.manifest.Certificates || d != w.manifest.Digest {
		return w.fail(errors.New("bundle: closing: what was written is not what the manifest says"))
	}
	w.err = errors.New("bundle: writing: closed")
	return nil
}
