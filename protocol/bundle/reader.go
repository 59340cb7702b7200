package bundle

import (
	"fmt"
	"hash"
	"iter"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// A Reader reads one bundle from front to back. It serves one goroutine.
type Reader struct {
	scan     scanner
	sealed   *Opener // nil unless the bundle is sealed
	manifest Manifest
	known    bool      // the manifest was readable
	opening  []Problem // met before the first record

	// What the walk over the records keeps.
	yield        func(Item, *Problem) bool
	stopped      bool
	half         *section // a payload whose signatures have not been met yet
	records      uint64
	certificates uint64
	spoiled      uint64 // records that gave a problem
	problems     bool
	digest       hash.Hash
}

// An Item is a record or a certificate that stands undamaged in the bundle: of
// Inner and Certificate one is set. Neither has been verified.
type Item struct {
	Offset int64 // of its first block
	ID     protocol.ID
	Inner  []byte // a record's inner form; ID is its id

	Height      uint64
	Certificate []byte // opaque
}

// Manifest is what the bundle says of itself; ok is false if damage made it
// unreadable, and then [Reader.All] yields a problem that says so.
func (r *Reader) Manifest() (m Manifest, ok bool) { return r.manifest, r.known }

// Err is the error of the underlying reader, if it ended [Reader.All] early.
func (r *Reader) Err() error {
	if r.scan.err != nil {
		return fmt.Errorf("bundle: reading: %w", r.scan.err)
	}
	return nil
}

// size is how many bytes of the file were read.
func (r *Reader) size() int64 {
	if r.sealed != nil {
		return r.sealed.scan.offset
	}
	return r.scan.offset
}

// All yields what the bundle holds, in file order, and every problem with it.
// The problem is nil with an item; with a problem the item is empty. It can be
// ranged over once.
func (r *Reader) All() iter.Seq2[Item, *Problem] {
	return func(yield func(Item, *Problem) bool) {
		r.yield = yield
		for _, p := range r.opening {
			r.problem(p)
		}
		for !r.stopped {
			sec, ok := r.scan.next()
			if !ok {
				break
			}
			r.take(sec)
		}
		r.finish()
	}
}

func (r *Reader) emit(it Item, p *Problem) {
	if r.sealed != nil {
		it.Offset = r.sealed.Place(it.Offset)
	}
	if !r.stopped {
		r.stopped = !r.yield(it, p)
	}
}

func (r *Reader) problem(p Problem) {
	r.problems = true
	if r.sealed != nil {
		p.Offset = r.sealed.Place(p.Offset)
	}
	r.emit(Item{}, &p)
}

// spoil reports a problem with one record.
func (r *Reader) spoil(id protocol.ID, offset int64, reason string) {
	r.spoiled++
	r.problem(Problem{id, offset, reason})
}

// drop reports on the payload that waits for its signatures in vain.
func (r *Reader) drop() {
	if h := r.half; h != nil {
		r.half = nil
		reason := h.damaged
		if reason == "" {
			reason = "its signatures are missing"
		}
		r.spoil(h.id, h.offset, reason)
	}
}

// take sorts a section by what it holds.
func (r *Reader) take(sec section) {
	if sec.damaged != "" {
		r.takeDamaged(sec)
		return
	}
	if id, signatures, ok := parseSignatureBlock(sec.data); ok {
		r.join(sec, id, signatures)
		return
	}
	r.drop()
	if height, certificate, ok := parseCertificateBlock(sec.data); ok {
		r.certificates++
		r.emit(Item{Offset: sec.offset, Height: height, Certificate: certificate}, nil)
		return
	}
	r.half = &sec
}

// takeDamaged finds out what a damaged section was: it follows a sound payload
// and so held its signatures, or it stands among the certificates, or it was a
// payload, whose signatures will name it.
func (r *Reader) takeDamaged(sec section) {
	switch {
	case r.half != nil && r.half.damaged == "":
		id := r.half.id
		r.half = nil
		r.spoil(id, sec.offset, "signatures: "+sec.damaged)
	case r.known && r.certificates < r.manifest.Certificates:
		r.certificates++
		r.problem(Problem{Offset: sec.offset, Reason: "a certificate: " + sec.damaged})
	default:
		r.drop()
		r.half = &sec
	}
}

// join puts a payload and its signatures together.
func (r *Reader) join(sec section, id protocol.ID, signatures []byte) {
	h := r.half
	switch {
	case h == nil:
		r.spoil(id, sec.offset, "its payload is missing")
		return
	case h.damaged != "":
		r.half = nil
		r.spoil(id, h.offset, "payload: "+h.damaged)
		return
	case h.id != id:
		r.drop()
		r.spoil(id, sec.offset, "its payload is missing")
		return
	}
	r.half = nil
	inner := protocol.EncodeInner(h.data, signatures)
	if len(inner) > protocol.MaxInner {
		r.spoil(id, h.offset, "over the cap of a record")
		return
	}
	r.records++
	r.digest.Write(id[:])
	r.emit(Item{Offset: h.offset, ID: id, Inner: inner}, nil)
}

// finish holds what was read against the manifest.
func (r *Reader) finish() {
	if r.scan.err != nil || r.stopped {
		return
	}
	r.drop()
	if r.sealed != nil { // what befell the sealed blocks, at offsets of the file
		for _, p := range r.sealed.problems {
			r.problems = true
			r.emit(Item{}, &p)
		}
	}
	if !r.known {
		return
	}
	r.compare("record", r.records+r.spoiled, r.manifest.Records)
	r.compare("certificate", r.certificates, r.manifest.Certificates)
	var d identity.Digest
	r.digest.Sum(d[:0])
	if !r.problems && d != r.manifest.Digest {
		r.problem(Problem{Offset: headerSize, Reason: "the records are not those that the manifest's digest names"})
	}
}

func (r *Reader) compare(what string, got, want uint64) {
	if got < want {
		missing := fmt.Sprintf("the file lacks %d of the %s that it should have", want-got, counted(want, what))
		if got == 0 {
			missing = fmt.Sprintf("the file has none of the %s that it should have", counted(want, what))
		}
		r.problem(Problem{Offset: r.scan.offset, Reason: missing})
	}
	if got > want {
		r.problem(Problem{Offset: r.scan.offset, Reason: fmt.Sprintf("the file has %s and should have %d", counted(got, what), want)})
	}
}

func counted(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
