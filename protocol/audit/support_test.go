package audit_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/audit"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
	"github.com/metastate-p2p/metastate/protocol/decision/committee"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/roll"
	"github.com/metastate-p2p/metastate/protocol/state/statetest"
)

// A town is a metastate with its whole history: alice founds it and is its clerk,
// bob, carol, dana and eve are trustees, frank is neither.
type town struct {
	testing.TB
	w        *statetest.World
	tip      checkpoint.Tip
	keys     map[identity.PublicKey]identity.Signer // of whoever may be a clerk
	certs    []checkpointed
	records  []*protocol.Record
	verdicts map[protocol.ID]protocol.Verdict
	trustees []string // who do their duty
}

// A checkpointed is a checkpoint as a bundle has it.
type checkpointed struct {
	value  certificate.Value
	cert   []byte
	chunks [][]byte
	clerks []certificate.Clerk
}

var trustees = []string{"bob", "carol", "dana", "eve"}

func newTown(tb testing.TB, more ...string) *town {
	tb.Helper()
	return newTownUnder(tb, statetest.Charter(tb), more...)
}

func newTownUnder(tb testing.TB, c charter.Charter, more ...string) *town {
	tb.Helper()
	w := statetest.New(tb, c, "alice")
	tip, err := checkpoint.Begin(w.Genesis)
	if err != nil {
		tb.Fatal(err)
	}
	t := &town{
		TB: tb, w: w, tip: tip, trustees: trustees,
		keys: map[identity.PublicKey]identity.Signer{}, verdicts: map[protocol.ID]protocol.Verdict{},
	}
	for _, label := range []string{"founding/alice", "device/alice"} {
		k := statetest.Key(label)
		t.keys[k.Public()] = k
	}
	t.do(w.Founding("alice")...)
	t.join("door", append(slices.Clone(trustees), "frank")...)
	for names := range slices.Chunk(more, int(c.Admission.MaxUses)) {
		t.join("door of "+names[0], names...)
	}
	var ids []protocol.ID
	for _, name := range trustees {
		ids = append(ids, w.Persona(name))
	}
	slices.SortFunc(ids, protocol.ID.Compare)
	t.do(w.Record("alice", protocol.Appoint, roll.AppointBody{Office: "trustee", Personas: ids}, statetest.How{}))
	return t
}

// join brings in newcomers by an invite of their own.
func (t *town) join(door string, names ...string) {
	t.Helper()
	i := t.w.Invite("alice", door, uint64(len(names)), statetest.Start+1e6, statetest.How{})
	list := []*protocol.Record{i}
	for _, name := range names {
		list = append(list, t.w.Admit("alice", name, door, i.ID(), statetest.How{}))
	}
	t.do(list...)
}

// do covers records a second later.
func (t *town) do(list ...*protocol.Record) { t.after(1, list...) }

func (t *town) after(seconds int64, list ...*protocol.Record) {
	t.Helper()
	next, err := t.tip.Propose(list, max(t.tip.State().AsOf(), statetest.Start)+seconds)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range next.Verdicts {
		t.verdicts[v.Record] = v
	}
	for _, r := range list {
		if !next.Tip.Covers(r) && len(next.Value.Closings) == 0 {
			t.Fatalf("%s %s is not covered", r.Kind(), r.ID())
		}
	}
	t.records = append(t.records, list...)
	t.certs = append(t.certs, checkpointed{next.Value, t.certify(t.tip.Clerks(), next.Encoded), next.Chunks, t.tip.Clerks()})
	t.tip = next.Tip
	t.w.Cover(next.Tip.Ref(), list...)
}

// certify has all clerks sign a value.
func (t *town) certify(clerks []certificate.Clerk, value []byte) []byte {
	t.Helper()
	v, err := certificate.ParseValue(value)
	if err != nil {
		t.Fatal(err)
	}
	msg := protocol.Statement{
		Kind: protocol.AgreePrecommit, Height: v.Height, Value: protocol.Sum(value), ValidRound: -1, Era: v.Era(),
	}.Bytes(v.Metastate)
	cert := certificate.Certificate{Value: value}
	for i, c := range clerks {
		cert.Signatures = append(cert.Signatures, certificate.Signature{Clerk: uint8(i), Sig: t.keys[c.Key].Sign(msg)})
	}
	return cert.Encode()
}

// parts are what a bundle of the history is made of: certificates and records.
func (t *town) parts() (certs, records [][]byte) {
	for _, c := range t.certs {
		certs = append(certs, dagcbor.Encode(struct {
			Certificate []byte   `cbor:"certificate"`
			Chunks      [][]byte `cbor:"chunks"`
		}{c.cert, append([][]byte{}, c.chunks...)}))
	}
	for _, r := range t.records {
		records = append(records, r.Inner())
	}
	return certs, records
}

// bundle is the history as a file.
func (t *town) bundle() []byte {
	t.Helper()
	certs, records := t.parts()
	b, err := pack(t.w.Genesis.ID(), certs, records)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pack makes a bundle that is sound as a file, whatever its parts are. Certificates
// that are nil are left out.
func pack(metastate protocol.ID, certs, records [][]byte) ([]byte, error) {
	var ids []protocol.ID
	present := 0
	for _, b := range certs {
		if b != nil {
			present++
		}
	}
	for _, inner := range records {
		payload, _, err := protocol.SplitInner(inner)
		if err != nil {
			return nil, err
		}
		ids = append(ids, protocol.Sum(payload))
	}
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, bundle.Manifest{
		Metastate: metastate, Records: uint64(len(records)), Certificates: uint64(present), Digest: bundle.Digest(slices.Values(ids)),
	})
	if err != nil {
		return nil, err
	}
	for i, b := range certs {
		if b == nil {
			continue
		}
		if err := w.Certificate(uint64(i+1), b); err != nil {
			return nil, err
		}
	}
	for _, inner := range records {
		if err := w.Record(inner); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return out.Bytes(), err
}

func (t *town) ask(body decision.ProposeBody) protocol.ID {
	t.Helper()
	body.Title, body.Class = "Where to?", "ordinary"
	r := t.w.Record("frank", protocol.Propose, body, statetest.How{})
	t.do(r)
	if v := t.verdicts[r.ID()]; !v.Stands {
		t.Fatal(v)
	}
	return r.ID()
}

func (t *town) poll(id protocol.ID) *decision.Poll { return t.tip.State().Decisions().Poll(id) }

func (t *town) committee(id protocol.ID) *committee.Committee {
	return t.tip.State().Decisions().Committee(t.poll(id).Secret.Committee)
}

func (t *town) trustee(id protocol.ID, name string) *keygen.Trustee {
	t.Helper()
	seed := [32]byte([]byte(fmt.Sprintf("%-32s", name)))
	c := t.committee(id)
	x, err := keygen.NewTrustee(c.Kind(), c.Number(t.w.Persona(name)), &seed)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// key has the trustees make the key. change may change what they say.
func (t *town) key(id protocol.ID, change func(name string, body *decision.TrusteeBody)) {
	t.Helper()
	for range 12 {
		c := t.committee(id)
		if c.Stage == committee.Ready {
			return
		}
		var list []*protocol.Record
		for _, name := range t.trustees {
			list = append(list, t.says(id, name, change)...)
		}
		t.do(list...)
		if t.committee(id).Stage == c.Stage { // who is away is not waited for
			at, ok := t.tip.State().NextDeadline()
			if !ok {
				t.Fatal("nothing is due at " + c.Stage)
			}
			t.after(at - t.tip.State().AsOf())
		}
	}
	t.Fatal("there is no key")
}

// says is what a trustee says in the present stage.
func (t *town) says(id protocol.ID, name string, change func(string, *decision.TrusteeBody)) (list []*protocol.Record) {
	t.Helper()
	c, x := t.committee(id), t.trustee(id, name)
	body := decision.TrusteeBody{Committee: c.ID, Stage: c.Stage}
	switch c.Stage {
	case committee.Announce:
		body.Message = x.Announce().Bytes()
	case committee.Commit, committee.Deal:
		d, err := x.Deal(c.Roster())
		if err != nil {
			t.Fatal(err)
		}
		if body.Message = d.Bytes(); c.Stage == committee.Commit {
			body.Message = d.Commitment().Bytes()
		}
	case committee.Confirm:
		for n := range c.Trustees {
			d := c.DealOf(n + 1)
			if d == nil {
				continue
			}
			if _, err := x.Receive(d); err == nil {
				continue
			}
			complaint, err := x.Complain(d)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, t.w.Record(name, protocol.Trustee, decision.TrusteeBody{Committee: c.ID, Stage: committee.Complain, Message: complaint.Bytes()}, statetest.How{}))
		}
	}
	if change != nil {
		change(name, &body)
	}
	return append(list, t.w.Record(name, protocol.Trustee, body, statetest.How{}))
}

// seal makes a secret ballot.
func (t *town) seal(id protocol.ID, by string, seq uint64, line string) *protocol.Record {
	t.Helper()
	p := t.poll(id)
	form, err := p.Form()
	if err != nil {
		t.Fatal(err)
	}
	marks, err := form.Parse(p.Options, line)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := p.Secret.Election().Encrypt(secret.Voter{ID: t.w.Persona(by), Seq: seq}, marks, &[32]byte{byte(seq), 7})
	if err != nil {
		t.Fatal(err)
	}
	return t.w.Bulk(by, protocol.Ballot, id, decision.BallotBody{Ballot: body}, statetest.How{Seq: seq})
}

func (t *town) share(id protocol.ID, name string) []byte {
	t.Helper()
	p := t.poll(id)
	x, err := t.trustee(id, name).Share(t.committee(id).Keys())
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.Secret.Election().Decrypt(x, p.Sealed(), &[32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (t *town) opens(id protocol.ID, name string, share []byte) *protocol.Record {
	t.Helper()
	body := decision.OpenBody{Proposal: id, Share: share}
	if share == nil {
		set := t.poll(id).Sealed().Set
		body.Set = set[:]
	}
	return t.w.Record(name, protocol.Open, body, statetest.How{})
}

// open has the trustees open a closed vote.
func (t *town) open(id protocol.ID) {
	t.Helper()
	var acks, shares []*protocol.Record
	for _, name := range t.trustees {
		acks = append(acks, t.opens(id, name, nil))
	}
	t.do(acks...)
	for _, name := range t.trustees[:3] {
		shares = append(shares, t.opens(id, name, t.share(id, name)))
	}
	t.do(shares...)
}

// cores does a piece of work on so many goroutines.
func cores(workers int) func(n int, do func(i int)) {
	return func(n int, do func(i int)) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
					do(i)
				}
			})
		}
		wg.Wait()
	}
}

func run(tb testing.TB, file []byte, id protocol.ID) (audit.Report, error) {
	tb.Helper()
	src, err := bundle.NewReader(bytes.NewReader(file))
	if err != nil {
		return audit.Report{}, err
	}
	return audit.Run(src, audit.Config{Proposal: id, Each: cores(runtime.GOMAXPROCS(0))})
}

// must audits what has to be fit for it.
func must(tb testing.TB, file []byte, id protocol.ID) audit.Report {
	tb.Helper()
	r, err := run(tb, file, id)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
