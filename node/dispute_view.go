package node

import (
	"context"
	"encoding/hex"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Dispute is what a node knows of branches of checkpoints besides its own, and
// why it stopped.
type Dispute struct {
	Trouble string            `json:"trouble,omitempty"` // why finality stopped, empty if it has not
	Common  CheckpointRef     `json:"common"`            // the last checkpoint in common with all other branches; height 0 while that is not known
	Here    Branch            `json:"here"`              // what this node follows after it
	Others  []Branch          `json:"others"`
	Accused []protocol.ID     `json:"accused"` // who signed for more than one branch where they part
	Acts    []BranchAct       `json:"acts"`    // of this device, only on this branch
	Orders  []BranchOrder     `json:"orders"`  // that were given here, oldest first
	Names   map[string]string `json:"names"`   // of the personas in them
}

// Branch is a sequence of checkpoints after one that others share.
type Branch struct {
	First       *CheckpointRef `json:"first"` // nil: none yet
	Last        *CheckpointRef `json:"last"`
	Signers     []protocol.ID  `json:"signers"` // of the first
	Recall      *protocol.ID   `json:"recall"`  // by which more than half of the members chose it
	Checked     bool           `json:"checked"` // its records were recomputed and lead to what was signed
	Fault       string         `json:"fault,omitempty"`
	Left        bool           `json:"left"`                  // by order of the person
	Certificate []byte         `json:"certificate,omitempty"` // of the first, as signed
}

// BranchAct is a record of this device's that other branches don't have.
type BranchAct struct {
	Record protocol.ID `json:"record"`
	Kind   string      `json:"kind"`
	Stays  bool        `json:"stays"` // it is good on other branches as it is; else it is said again there
}

// BranchOrder is what the person decided earlier.
type BranchOrder struct {
	At     time.Time     `json:"at"`
	Common uint64        `json:"common"` // height up to which nothing changed
	Path   []protocol.ID `json:"path"`   // checkpoints of other branches that it led to
}

// Dispute is what is known of other branches of checkpoints.
func (c *Community) Dispute() (Dispute, error) {
	l := c.book()
	if l == nil {
		return Dispute{}, errNotYet()
	}
	l.mu.Lock()
	d, err := l.branches(c.key.Public())
	l.mu.Unlock()
	if s := c.Snapshot(); s != nil {
		for _, b := range append(slices.Clone(d.Others), d.Here) {
			s.call(d.Names, b.Signers...)
		}
		s.call(d.Names, d.Accused...)
	}
	return d, err
}

// Follow has this node follow the branch on which a checkpoint is, or go back to
// the last checkpoint in common. What it leaves is kept. It never happens but by
// a person's order.
func (c *Community) Follow(_ context.Context, ref string) (Dispute, error) {
	l := c.book()
	if l == nil {
		return Dispute{}, errNotYet()
	}
	id, err := find("checkpoint", ref, "metastate dispute show", l.checkpoints())
	if err != nil {
		return Dispute{}, err
	}
	if err := l.follow(id); err != nil {
		return Dispute{}, err
	}
	c.offerAgain()
	return c.Dispute()
}

// Part has this node stay on its branch and take the others for another
// metastate's.
func (c *Community) Part(ctx context.Context) (Dispute, error) {
	l := c.book()
	if l == nil {
		return Dispute{}, errNotYet()
	}
	return c.Follow(ctx, l.currentTip().Ref().ID.String())
}

// checkpoints are those that an order can name.
func (l *ledger) checkpoints() iter.Seq[protocol.ID] {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := slices.Concat(l.heights, slices.Collect(maps.Keys(l.rivals)))
	return slices.Values(ids)
}

// branches is the Dispute of a ledger, seen by a device. Caller holds mu.
func (l *ledger) branches(device identity.PublicKey) (Dispute, error) {
	d := Dispute{Others: []Branch{}, Accused: []protocol.ID{}, Acts: []BranchAct{}, Orders: l.orders(), Names: map[string]string{}}
	if l.trouble != nil {
		d.Trouble = l.trouble.Error()
	}
	common, firsts := l.tip.Ref().Height, map[protocol.ID]certificate.Certificate{}
	found := len(l.rivals) == 0 // where they part: of those left behind it may never be
	for _, rv := range l.sortedRivals() {
		at, ok := l.forkOf(rv.value)
		if ok {
			common, found = min(common, at), true
		} else if own, _, err := l.certificateAt(rv.value.Height); err == nil {
			firsts[own.ID()] = own
		}
		if l.lastOf(rv) {
			b, first := l.branch(rv)
			d.Others = append(d.Others, b)
			firsts[first.ID()] = first.Certificate
		}
	}
	if _, ok := l.parted(); !found || !ok && l.stoppedByRival() {
		last, err := l.refAt(l.tip.Ref().Height)
		if err != nil {
			return d, err
		}
		d.Here = Branch{Last: &last, Checked: true, Signers: []protocol.ID{}}
		d.Accused, err = l.accused(firsts)
		return d, err
	}
	var err error
	if common > 0 {
		if d.Common, err = l.refAt(common); err != nil {
			return d, err
		}
	}
	if common < l.tip.Ref().Height {
		first, err := l.hereAfter(common, &d)
		if err != nil {
			return d, err
		}
		firsts[first.ID()] = first
	}
	if d.Accused, err = l.accused(firsts); err != nil {
		return d, err
	}
	d.Acts, err = l.actsAbove(common, device)
	return d, err
}

// stoppedByRival reports whether there is a branch that no order is about.
func (l *ledger) stoppedByRival() bool {
	for _, rv := range l.rivals {
		if !rv.left {
			return true
		}
	}
	return false
}

// lastOf reports whether a rival is the last of its branch that is kept.
func (l *ledger) lastOf(rv *rival) bool {
	for _, o := range l.rivals {
		if o.value.Prev == rv.ID() {
			return false
		}
	}
	return true
}

// branch is the branch that ends with a rival, and its first checkpoint.
func (l *ledger) branch(last *rival) (Branch, *rival) {
	b := Branch{Last: refOf(last.Certificate, last.value), Checked: last.tip != nil, Left: last.left}
	first := last
	for rv := last; rv != nil; rv = l.rivals[rv.value.Prev] {
		first = rv
		if rv.fault != nil {
			b.Fault = rv.fault.Error()
		}
		if era := rv.value.Under(); !era.IsZero() {
			b.Recall = &era
		}
	}
	b.First, b.Certificate = refOf(first.Certificate, first.value), first.Encode()
	b.Signers = l.signersOf(first.Certificate, first.value)
	return b, first
}

func refOf(c certificate.Certificate, v certificate.Value) *CheckpointRef {
	return &CheckpointRef{Height: v.Height, ID: c.ID(), StateRoot: hex.EncodeToString(v.StateRoot[:])}
}

// signersOf are the personas who signed a certificate, none if they are not
// known. With a recall these are its successors.
func (l *ledger) signersOf(c certificate.Certificate, v certificate.Value) []protocol.ID {
	out := []protocol.ID{}
	clerks, err := l.stands(c, v)
	if err != nil {
		return out
	}
	for _, s := range c.Signatures {
		out = append(out, clerks[s.Clerk].Persona)
	}
	return out
}

// hereAfter fills in this node's own branch above a height.
func (l *ledger) hereAfter(common uint64, d *Dispute) (certificate.Certificate, error) {
	first, v, err := l.certificateAt(common + 1)
	if err != nil {
		return first, err
	}
	last, err := l.refAt(l.tip.Ref().Height)
	if err != nil {
		return first, err
	}
	d.Here = Branch{
		First: refOf(first, v), Last: &last, Checked: true, Certificate: first.Encode(), Signers: []protocol.ID{},
	}
	if era := v.Under(); !era.IsZero() {
		d.Here.Recall = &era
		return first, nil
	}
	by, err := l.inForce(v.Height)
	if err != nil {
		return first, err
	}
	for _, s := range first.Signatures {
		d.Here.Signers = append(d.Here.Signers, by.Clerks[s.Clerk].Persona)
	}
	return first, nil
}

// accused are the clerks who signed more than one of the checkpoints by which
// branches part, at one height and as clerks in force.
func (l *ledger) accused(firsts map[protocol.ID]certificate.Certificate) ([]protocol.ID, error) {
	type seat struct {
		height uint64
		clerk  uint8
	}
	signed := map[seat]int{}
	for _, c := range firsts {
		if v, err := certificate.ParseValue(c.Value); err == nil && v.Under().IsZero() {
			for _, s := range c.Signatures {
				signed[seat{v.Height, s.Clerk}]++
			}
		}
	}
	out := []protocol.ID{}
	for at, n := range signed {
		by, err := l.inForce(at.height)
		if err != nil {
			return out, err
		}
		if n > 1 && int(at.clerk) < len(by.Clerks) {
			out = append(out, by.Clerks[at.clerk].Persona)
		}
	}
	slices.SortFunc(out, protocol.ID.Compare)
	return slices.Compact(out), nil
}

// actsAbove are a device's records that this node's branch covers above a height,
// or that cite a checkpoint above it.
func (l *ledger) actsAbove(height uint64, device identity.PublicKey) ([]BranchAct, error) {
	out := []BranchAct{}
	if height == l.tip.Ref().Height {
		return out, nil
	}
	shared := l.sharedUpTo(height)
	add := func(r *protocol.Record) {
		h := r.Header()
		stays := shared[r.ID()] || !h.Subject.IsZero() && h.Checkpoint.Height <= height
		if h.Key == device {
			out = append(out, BranchAct{Record: r.ID(), Kind: string(r.Kind()), Stays: stays})
		}
	}
	for at := height + 1; at <= l.tip.Ref().Height; at++ {
		_, v, err := l.certificateAt(at)
		if err != nil {
			return out, err
		}
		recs, err := l.storedCover(v)
		if err != nil {
			return out, err
		}
		for _, r := range recs {
			add(r)
		}
	}
	for _, r := range l.open {
		if r.Header().Checkpoint.Height > height {
			add(r.Record)
		}
	}
	slices.SortFunc(out, func(a, b BranchAct) int { return a.Record.Compare(b.Record) })
	return out, nil
}

// orders are those that the person gave, oldest first.
func (l *ledger) orders() []BranchOrder {
	out := []BranchOrder{}
	for _, key := range l.store.PrivateKeys(privOrders) {
		var o order
		if b, err := l.store.Private(key); err == nil && dagcbor.Unmarshal(b, &o) == nil {
			out = append(out, BranchOrder{At: time.Unix(o.At, 0).UTC(), Common: o.Common, Path: o.Path})
		}
	}
	return out
}
