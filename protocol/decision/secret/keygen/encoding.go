package keygen

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
	"github.com/metastate-p2p/metastate/protocol/internal/wire"
)

func appendKey(b []byte, name string) []byte { return dagcbor.AppendText(b, name) }

func appendProof(b []byte, name string, p proof.Proof) []byte {
	return dagcbor.AppendBytes(appendKey(b, name), p.Append(nil))
}

func appendPoint(b []byte, name string, p group.Point) []byte {
	enc := p.Bytes()
	return dagcbor.AppendBytes(appendKey(b, name), enc[:])
}

// readKey reads a point that is not the identity.
func readKey(d *wire.Decoder, name string) group.Point {
	d.Key(name)
	b := d.Digest()
	p, err := group.ParseKey(b[:])
	if err != nil {
		d.Fail("%s: %w", name, err)
	}
	return p
}

func readProof(d *wire.Decoder, name string) proof.Proof {
	d.Key(name)
	var b [proof.Size]byte
	d.Fixed(b[:])
	p, err := proof.Parse(b[:])
	if err != nil {
		d.Fail("%w", err)
	}
	return p
}

// Bytes is the encoding: {key, proof}.
func (a Announcement) Bytes() []byte {
	return appendProof(appendPoint(dagcbor.AppendMap(nil, 2), "key", a.key), "proof", a.proof)
}

// ParseAnnouncement decodes one. It does not [Announcement.Check] it.
func ParseAnnouncement(b []byte) (Announcement, error) {
	d := wire.NewDecoder(b)
	d.Open(2, 2)
	a := Announcement{key: readKey(d, "key"), proof: readProof(d, "proof")}
	if err := d.End(); err != nil {
		return Announcement{}, fmt.Errorf("keygen: announcement: %w", err)
	}
	return a, nil
}

// Bytes is the encoding: {digest}.
func (c Commitment) Bytes() []byte {
	return dagcbor.AppendBytes(appendKey(dagcbor.AppendMap(nil, 1), "digest"), c[:])
}

// ParseCommitment decodes one.
func ParseCommitment(b []byte) (Commitment, error) {
	d := wire.NewDecoder(b)
	d.Open(1, 1)
	d.Key("digest")
	c := Commitment(d.Digest())
	if err := d.End(); err != nil {
		return Commitment{}, fmt.Errorf("keygen: commitment: %w", err)
	}
	return c, nil
}

// Bytes is the encoding: {key, proof, shares, sealing, commitments}.
func (d *Deal) Bytes() []byte {
	var shares, points []byte
	for _, s := range d.shares {
		shares = append(shares, s[:]...)
	}
	for _, enc := range encodings(d.points) {
		points = append(points, enc...)
	}
	b := appendProof(appendPoint(dagcbor.AppendMap(nil, 5), "key", d.ephemeral), "proof", d.proof)
	b = dagcbor.AppendBytes(appendKey(b, "shares"), shares)
	b = appendProof(b, "sealing", d.sealing)
	return dagcbor.AppendBytes(appendKey(b, "commitments"), points)
}

// ParseDeal decodes the dealer's deal and refuses it if it has shares or points
// for another number of trustees, is not the one committed to, or proves nothing.
func ParseDeal(r *Roster, dealer int, committed Commitment, b []byte) (*Deal, error) {
	if err := r.has(dealer); err != nil {
		return nil, err
	}
	in := wire.NewDecoder(b)
	in.Open(5, 5)
	d := &Deal{roster: r, dealer: dealer, ephemeral: readKey(in, "key"), proof: readProof(in, "proof")}
	in.Key("shares")
	shares := make([]byte, r.N()*boxSize)
	in.Fixed(shares)
	d.sealing = readProof(in, "sealing")
	in.Key("commitments")
	points := make([]byte, r.K()*group.Size)
	in.Fixed(points)
	for ; len(shares) > 0; shares = shares[boxSize:] {
		d.shares = append(d.shares, box(shares))
	}
	for ; len(points) > 0; points = points[group.Size:] {
		p, err := group.ParsePoint(points[:group.Size])
		if err != nil {
			in.Fail("a commitment: %w", err)
		}
		d.points = append(d.points, p)
	}
	if err := in.End(); err != nil {
		return nil, fmt.Errorf("keygen: deal of trustee %d: %w", dealer, err)
	}
	if err := d.check(committed); err != nil {
		return nil, err
	}
	return d, nil
}

// Bytes is the encoding: {key, proof, dealer}.
func (c Complaint) Bytes() []byte {
	b := appendProof(appendPoint(dagcbor.AppendMap(nil, 3), "key", c.shared), "proof", c.proof)
	return dagcbor.AppendUint(appendKey(b, "dealer"), uint64(c.dealer))
}

// ParseComplaint decodes one.
func ParseComplaint(b []byte) (Complaint, error) {
	d := wire.NewDecoder(b)
	d.Open(3, 3)
	c := Complaint{shared: readKey(d, "key"), proof: readProof(d, "proof")}
	d.Key("dealer")
	if c.dealer = int(d.Uint(3*MaxFaults + 1)); c.dealer == 0 {
		d.Fail("there is no trustee 0")
	}
	if err := d.End(); err != nil {
		return Complaint{}, fmt.Errorf("keygen: complaint: %w", err)
	}
	return c, nil
}
