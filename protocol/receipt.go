package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// MaxReceipt is the largest encoding of a receipt in bytes.
const MaxReceipt = 192

// A Receipt is a clerk's word that it holds a record which the checkpoint after
// a height can cover (SPEC §7.8).
type Receipt struct {
	Key    identity.PublicKey // of the clerk's device that signs checkpoints
	Height uint64             // of the latest checkpoint that was final there; 1..[MaxHeight]
	Record ID
	Sig    [signatureSize]byte
}

// receiptBytes are signed. Every field has a fixed length.
func receiptBytes(metastate, record ID, height uint64) []byte {
	b := make([]byte, 0, 96)
	b = append(b, "metastate/receipt/v1"...)
	b = append(b, metastate[:]...)
	b = append(b, record[:]...)
	return binary.BigEndian.AppendUint64(b, height)
}

// SignReceipt signs that the clerk's device holds a record as of a height.
func SignReceipt(metastate, record ID, height uint64, device identity.Signer) Receipt {
	return Receipt{
		Key: device.Public(), Height: height, Record: record,
		Sig: device.Sign(receiptBytes(metastate, record, height)),
	}
}

// Encode returns the canonical bytes.
func (r Receipt) Encode() []byte {
	b := make([]byte, 0, MaxReceipt)
	b = dagcbor.AppendMap(b, 4)
	b = dagcbor.AppendBytes(dagcbor.AppendText(b, "c"), r.Key.Multikey())
	b = dagcbor.AppendUint(dagcbor.AppendText(b, "h"), r.Height)
	b = dagcbor.AppendLink(dagcbor.AppendText(b, "r"), r.Record)
	return dagcbor.AppendBytes(dagcbor.AppendText(b, "s"), r.Sig[:])
}

// ParseReceipt reads a receipt whose signature holds. Whether its key is a
// clerk's is for the caller to find out. Errors wrap [ErrMalformed] or
// [ErrBadSignature].
func ParseReceipt(metastate ID, b []byte) (Receipt, error) {
	r, err := decodeReceipt(b)
	if err != nil {
		return Receipt{}, fmt.Errorf("protocol: receipt: %w: %w", ErrMalformed, err)
	}
	if !identity.Verify(r.Key, receiptBytes(metastate, r.Record, r.Height), r.Sig[:]) {
		return Receipt{}, fmt.Errorf("protocol: receipt of %s: %w", r.Record, ErrBadSignature)
	}
	return r, nil
}

func decodeReceipt(b []byte) (r Receipt, err error) {
	if len(b) > MaxReceipt {
		return r, fmt.Errorf("%d bytes, the cap is %d", len(b), MaxReceipt)
	}
	d := dagcbor.NewReader(b)
	d.Map(4)
	d.Key(nil)
	key := d.Bytes(identity.MultikeySize)
	d.Key(nil)
	r.Height = d.Uint()
	d.Key(nil)
	r.Record = d.Link()
	d.Key(nil)
	copy(r.Sig[:], d.Bytes(signatureSize))
	if err := d.End(); err != nil {
		return r, err
	}
	if r.Key, err = identity.ParseMultikey(key); err != nil {
		return r, err
	}
	if r.Height == 0 || r.Height > MaxHeight || r.Record.IsZero() {
		return r, fmt.Errorf("height %d, record %s", r.Height, r.Record)
	}
	if !bytes.Equal(b, r.Encode()) { // the keys' names, and how long the signature is
		return r, errors.New("fields of something else")
	}
	return r, nil
}
