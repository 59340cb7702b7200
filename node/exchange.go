package node

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// Export writes every record held, or those not covered at a checkpoint, to a
// bundle: a CAR file that can be carried to a node that no network reaches. Sealed,
// only nodes of the metastate's members can read it.
func (c *Community) Export(ctx context.Context, w io.Writer, req BundleRequest) (records int, err error) {
	release, err := c.Hold()
	if err != nil {
		return 0, err
	}
	defer release()
	l := c.book()
	if l == nil {
		return 0, errNotYet()
	}
	if !req.Sealed {
		return c.export(ctx, l, w, req)
	}
	s, err := bundle.NewSealer(w, bundle.NewSeal(bundle.WithEpoch), c.epochs()[0])
	if err != nil {
		return 0, err
	}
	if records, err = c.export(ctx, l, s, req); err != nil {
		return records, err
	}
	return records, s.Close()
}

func (c *Community) export(ctx context.Context, l *ledger, w io.Writer, req BundleRequest) (records int, err error) {
	ids, from, top, err := l.since(req.Since, c.Persona(), req.Own)
	if err != nil {
		return 0, err
	}
	out, err := bundle.NewWriter(w, bundle.Manifest{
		Metastate: c.id, From: from, Records: uint64(len(ids)), Certificates: top - from,
		Digest: bundle.Digest(func(yield func(protocol.ID) bool) {
			for _, id := range ids {
				if !yield(id) {
					return
				}
			}
		}),
	})
	if err != nil {
		return 0, err
	}
	for h := from + 1; h <= top; h++ {
		p, err := l.packCheckpoint(h)
		if err != nil {
			return 0, l.errHistory(h, err)
		}
		b, err := dagcbor.Marshal(p)
		if err != nil {
			return 0, err
		}
		if err := out.Certificate(h, b); err != nil {
			return 0, err
		}
	}
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return records, err
		}
		inner, err := c.stored(id)
		if err != nil {
			return records, storeError(err)
		}
		if err := out.Record(inner); err != nil {
			return records, err
		}
		records++
	}
	return records, out.Close()
}

// since lists records in order of arrival, parents first, that a checkpoint does
// not cover; or, of those that none covers, a persona's own.
func (l *ledger) since(height uint64, persona protocol.ID, own bool) (ids []protocol.ID, from, top uint64, err error) {
	list := map[protocol.ID]bool{} // covered since, or not at all
	l.mu.Lock()
	top = l.tip.Ref().Height
	for id, r := range l.open {
		if !own || r.Header().Persona == persona {
			list[id] = true
		}
	}
	if own {
		height = top
	}
	l.mu.Unlock() // reading the whole store must not hold up anything else
	if height > top {
		return nil, 0, 0, &Error{Code: "not-found", Exit: ExitNotFound, Message: fmt.Sprintf("there is no checkpoint %d: the latest is %d", height, top)}
	}
	for h := height + 1; h <= top; h++ {
		_, sets, err := l.coverAt(h)
		if err != nil {
			return nil, 0, 0, err
		}
		for _, set := range sets {
			for _, id := range set.IDs {
				list[id] = true
			}
		}
	}
	for e, err := range l.store.Log(0) {
		if err != nil {
			return nil, 0, 0, storeError(err)
		}
		if !list[e.ID] {
			continue
		}
		if held, err := l.store.Has(e.ID); err != nil || !held { // who takes the bundle could not recompute it
			return nil, 0, 0, l.errHistory(height, cmp.Or(err, store.ErrNotFound))
		}
		ids = append(ids, e.ID)
	}
	return ids, height, top, nil
}

// A packed checkpoint is its certificate with the chunks it names.
type packed struct {
	Certificate []byte   `cbor:"certificate"`
	Chunks      [][]byte `cbor:"chunks"`
}

// packCheckpoint reads the checkpoint at a height. Errors are the store's.
func (l *ledger) packCheckpoint(height uint64) (packed, error) {
	c, err := l.store.Checkpoint(height)
	if err != nil {
		return packed{}, err
	}
	p := packed{Certificate: c.Cert, Chunks: [][]byte{}}
	for _, id := range c.Chunks {
		b, err := l.store.Chunk(id)
		if err != nil {
			return packed{}, err
		}
		p.Chunks = append(p.Chunks, b)
	}
	return p, nil
}

const (
	importBatch    = 512       // records of a bundle that are verified and stored together
	maxImportCerts = 128 << 20 // bytes of checkpoints that wait for the bundle's records
)

// Import takes in a bundle: each record is verified and checked as if it came
// from a peer, and a bad one is named without losing the good ones.
func (c *Community) Import(ctx context.Context, r io.Reader, dryRun bool) (out ImportReport, err error) {
	release, err := c.Hold()
	if err != nil {
		return out, err
	}
	defer release()
	out.Refused = []Refusal{}
	var im importer
	defer func() {
		out.Refused = append(append(out.Refused, im.damaged...), im.unruly...)
		out.Damaged = len(im.damaged)
	}()
	l := c.book()
	if l == nil {
		return out, errNotYet()
	}
	rd, err := c.readBundle(r)
	for _, alien := range []error{bundle.ErrNotCAR, bundle.ErrNotBundle} {
		if errors.Is(err, alien) { // without its reasons, which are for who writes such files
			im.refuse(protocol.ID{}, new(int64), alien)
			return out, nil
		}
	}
	if err != nil {
		return out, err
	}
	if m, ok := rd.Manifest(); ok && m.Metastate != c.id {
		return out, &Error{Code: "other-metastate", Exit: ExitRefused, Message: "the bundle is of another metastate: " + m.Metastate.String(), Hint: "name it with --metastate; metastate list"}
	}
	im.ledger, im.dry, im.out = l, dryRun, &out
	for item, problem := range rd.All() {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		switch {
		case problem != nil:
			im.refuse(problem.ID, &problem.Offset, errors.New(problem.Reason))
		case item.Certificate != nil:
			var p packed
			if err := dagcbor.Unmarshal(item.Certificate, &p); err != nil {
				im.refuse(protocol.ID{}, &item.Offset, err)
				continue
			}
			if !dryRun && item.Height <= l.currentTip().Ref().Height { // nothing to wait for
				if _, err := im.finalise(p); err != nil {
					return out, err
				}
				continue
			}
			if im.size += len(item.Certificate); im.size > maxImportCerts {
				im.refuse(protocol.ID{}, &item.Offset, errTooMany)
				continue
			}
			im.certs = append(im.certs, p)
		default:
			if err := im.add(item.Inner); err != nil {
				return out, err
			}
		}
	}
	if err := rd.Err(); err != nil {
		return out, err
	}
	if err := im.flush(); err != nil || dryRun {
		return out, err
	}
	return out, im.settle(true)
}

// epochs are the secrets of the epochs that this node knows, newest first.
func (c *Community) epochs() (secrets [][32]byte) {
	for _, e := range (doorkeeper{c}).Epochs() {
		secrets = append(secrets, e.Secret)
	}
	return secrets
}

// readBundle begins to read a bundle, and opens it if it is sealed for the members.
func (c *Community) readBundle(r io.Reader) (*bundle.Reader, error) {
	src := bufio.NewReader(r)
	if !bundle.IsSealed(src) {
		return bundle.NewReader(src)
	}
	o, err := bundle.NewOpener(src)
	if err != nil {
		return nil, err
	}
	if o.Seal().With == bundle.WithPassphrase {
		return nil, &Error{Code: "bundle-sealed", Exit: ExitLocked, Message: "the bundle is sealed with a passphrase", Hint: "give it with --open-with-passphrase-file FILE"}
	}
	for _, secret := range c.epochs() {
		if err = o.Unlock(secret); err == nil {
			return bundle.NewSealedReader(o)
		}
	}
	if !errors.Is(err, bundle.ErrOtherKey) {
		return nil, err
	}
	return nil, &Error{
		Code: "other-metastate", Exit: ExitRefused, Err: err,
		Message: "the bundle is sealed for members of another metastate, or of a time whose keys this node does not have",
		Hint:    "name the metastate with --metastate; metastate list",
	}
}

var errTooMany = errors.New("more checkpoints than can be taken in at once: import the file again")

type importer struct {
	ledger  *ledger
	dry     bool
	out     *ImportReport
	batch   [][]byte
	certs   []packed // that wait for records, lowest first
	size    int      // of all checkpoints that came to wait, in bytes
	damaged []Refusal
	unruly  []Refusal // sound, and against the rules or too much
}

func (im *importer) refuse(id protocol.ID, offset *int64, why error) {
	r := Refusal{Offset: offset, Reason: why.Error()}
	if !id.IsZero() {
		r.ID = id.String()
	}
	if errors.Is(why, state.ErrRefused) || errors.Is(why, errTooMany) {
		im.unruly = append(im.unruly, r)
	} else {
		im.damaged = append(im.damaged, r)
	}
}

func (im *importer) add(inner []byte) error {
	if im.batch = append(im.batch, inner); len(im.batch) < importBatch {
		return nil
	}
	return im.flush()
}

func (im *importer) flush() error {
	batch := im.batch
	im.batch = nil
	if im.dry {
		_, errs := protocol.ParseBatch(im.ledger.keys, batch)
		for i := range batch {
			switch held, err := im.ledger.store.Has(idOf(batch[i])); {
			case err != nil:
				return storeError(err)
			case errs[i] != nil:
				im.refuse(idOf(batch[i]), nil, errs[i])
			case held:
				im.out.Duplicate++
			default:
				im.out.Imported++
			}
		}
		return nil
	}
	d, err := im.ledger.deliver(batch)
	im.out.Imported += d.taken + d.waiting
	im.out.Duplicate += d.duplicate
	for _, x := range d.refused {
		im.refuse(x.id, nil, x.err)
	}
	if err != nil {
		return err
	}
	return im.settle(false)
}

// settle takes in checkpoints as far as their records are there, so that what they
// cover is stored and waits no more; all that are left, at the end.
func (im *importer) settle(end bool) error {
	for len(im.certs) > 0 {
		waits, err := im.finalise(im.certs[0])
		if err != nil || waits && !end {
			return err
		}
		im.certs = im.certs[1:]
	}
	return nil
}

// finalise offers a checkpoint of the bundle.
func (im *importer) finalise(p packed) (waits bool, err error) {
	for _, b := range p.Chunks {
		if err := im.ledger.addChunk(b); err != nil {
			im.refuse(protocol.ID{}, nil, err)
		}
	}
	cert, err := certificate.ParseCertificate(p.Certificate)
	if err == nil {
		err = im.ledger.finalise(cert)
	}
	switch {
	case errors.Is(err, errWaiting):
		return true, nil
	case errors.Is(err, store.ErrFull):
		return false, err
	case err != nil:
		im.refuse(protocol.ID{}, nil, fmt.Errorf("a checkpoint: %w", err))
	}
	return false, nil
}
