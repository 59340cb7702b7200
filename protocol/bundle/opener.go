package bundle

import (
	"cmp"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/metastate-p2p/metastate/protocol"
)

// An Opener reads a sealed bundle: its outer hashes without a key ([Opener.Check]),
// or what it seals ([Opener.Unlock], then [NewSealedReader]). It serves one
// goroutine.
type Opener struct {
	scan     scanner
	seal     Seal
	next     uint64 // index of the block to come
	last     bool   // the last block was met
	problems []Problem
	unlisted uint64

	aead    cipher.AEAD
	waiting waiting // for a key that opens it
	plain   []byte  // opened and not read yet
	read    int64   // bytes of what is sealed, up to the end of plain
	begun   bool    // a block was opened, so that the key is right
	spans   []span  // where what is sealed lies in the file
}

// A span relates an offset in what is sealed to one in the file.
type span struct{ plain, file int64 }

// waiting is a sealed block, at an offset, after a hole or not.
type waiting struct {
	data []byte
	at   int64
	hole bool
}

// NewOpener begins to read a sealed bundle. Errors wrap [ErrNotSealed], or are the
// underlying reader's.
func NewOpener(src io.Reader) (*Opener, error) {
	o := &Opener{scan: newScanner(src)}
	b := o.scan.peek(maxEnvelope)
	seal, root, size := envelopeIn(b)
	if o.scan.err != nil {
		return nil, fmt.Errorf("bundle: reading: %w", o.scan.err)
	}
	if size == 0 {
		return nil, fmt.Errorf("bundle: opening: %w", ErrNotSealed)
	}
	for i, c := range header(root) {
		if b[i] != c {
			o.problem(Problem{Offset: int64(i), Reason: "the CAR header is damaged"})
			break
		}
	}
	o.seal = seal
	o.scan.discard(size)
	o.scan.prefix = rawPrefix
	return o, nil
}

// Seal says how the bundle is sealed.
func (o *Opener) Seal() Seal { return o.seal }

func (o *Opener) problem(p Problem) {
	if len(o.problems) == MaxProblems {
		o.unlisted++
		return
	}
	o.problems = append(o.problems, p)
}

// block is the next sealed block that is sound and in its place, nil at the end.
// hole says that some before it are missing.
func (o *Opener) block() (data []byte, at int64, hole bool) {
	for {
		sec, ok := o.scan.next()
		if !ok {
			if !o.last && o.scan.err == nil {
				o.problem(Problem{Offset: o.scan.offset, Reason: "the file ends before its last sealed block"})
			}
			return nil, o.scan.offset, hole
		}
		index, last, ok := parseSealed(sec.data)
		switch {
		case sec.damaged != "":
			hole = true
			o.problem(Problem{Offset: sec.offset, Reason: "a sealed block: " + sec.damaged})
			continue
		case !ok:
			hole = true
			o.problem(Problem{Offset: sec.offset, Reason: "a block that is no sealed one"})
			continue
		case o.last:
			o.problem(Problem{Offset: sec.offset, Reason: "a block after the last"})
			continue
		case uint64(index) < o.next:
			o.problem(Problem{Offset: sec.offset, Reason: "a sealed block that came before"})
			continue
		case uint64(index) > o.next && !hole:
			hole = true
			o.problem(Problem{Offset: sec.offset, Reason: fmt.Sprintf("%d sealed blocks are missing before it", uint64(index)-o.next)})
		}
		o.next, o.last = uint64(index)+1, last
		return sec.data, sec.offset, hole
	}
}

// Check reads the whole file and checks all that needs no key: each block against
// its CID, their order, and that none is missing. Records and certificates in
// the report are 0.
func (o *Opener) Check() (Report, error) {
	for data, _, _ := o.block(); data != nil; data, _, _ = o.block() {
	}
	if o.scan.err != nil {
		return Report{}, fmt.Errorf("bundle: reading: %w", o.scan.err)
	}
	return Report{Bytes: o.scan.offset, Problems: o.problems, Unlisted: o.unlisted}, nil
}

// Unlock gives the secret that the bundle was sealed with. The error wraps
// [ErrOtherKey] if it opens nothing, and then another may be tried.
func (o *Opener) Unlock(secret [32]byte) (err error) {
	if o.aead, err = o.seal.cipher(secret); err != nil || o.begun {
		return err
	}
	if err = o.fill(); errors.Is(err, io.EOF) {
		return nil // there is nothing to open
	}
	return err
}

// A bundle whose first block is lost begins as any does, so that the rest of it
// is found.
var (
	lostPart  = make([]byte, 64) // breaks off what stands before a hole from what stands after
	lostStart = append(header(protocol.ID{}), lostPart...)
)

// lose puts something in place of blocks that are lost.
func (o *Opener) lose(at int64) {
	if o.read == 0 {
		o.add(lostStart, at)
	} else {
		o.add(lostPart, at)
	}
}

func (o *Opener) add(b []byte, at int64) {
	o.spans = append(o.spans, span{o.read, at})
	o.plain = append(o.plain, b...)
	o.read += int64(len(b))
}

// fill opens the next block. It returns io.EOF at the end.
func (o *Opener) fill() error {
	if o.waiting.data == nil {
		o.waiting.data, o.waiting.at, o.waiting.hole = o.block()
	}
	w := o.waiting
	if w.data == nil {
		if o.scan.err != nil {
			return fmt.Errorf("bundle: reading: %w", o.scan.err)
		}
		if o.read == 0 {
			o.lose(w.at)
			return nil
		}
		return io.EOF
	}
	index, _, _ := parseSealed(w.data)
	plain, err := o.aead.Open(nil, sealNonce(index), w.data[sealedHeader:], w.data[:sealedHeader])
	if err != nil && !o.begun {
		return fmt.Errorf("bundle: opening: %w", ErrOtherKey)
	}
	o.begun = true
	o.waiting = waiting{}
	if w.hole || err != nil {
		o.lose(w.at)
	}
	if err != nil {
		o.problem(Problem{Offset: w.at, Reason: "a sealed block that does not open: it was changed on purpose"})
		return nil
	}
	o.add(plain, w.at)
	return nil
}

// Read gives the next bytes of the bundle that was unlocked, with something in
// place of blocks that are lost: a [Reader] finds what comes after. [NewSealedReader]
// does so and tells of all damage.
func (o *Opener) Read(b []byte) (int, error) {
	for len(o.plain) == 0 {
		if err := o.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, o.plain)
	if o.plain = o.plain[n:]; len(o.plain) == 0 {
		o.plain = nil
	}
	return n, nil
}

// Problems are what befell the sealed blocks read so far, with offsets of the
// file.
func (o *Opener) Problems() []Problem { return o.problems }

// Place is where in the file the block lies that holds an offset of what is
// sealed.
func (o *Opener) Place(plain int64) int64 {
	i, found := slices.BinarySearchFunc(o.spans, plain, func(s span, at int64) int { return cmp.Compare(s.plain, at) })
	if !found {
		i--
	}
	if i < 0 {
		return headerSize
	}
	return o.spans[i].file
}
