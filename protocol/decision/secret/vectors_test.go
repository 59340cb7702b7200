package secret_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/metastate-p2p/metastate/protocol/decision/secret"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/proof"
)

var update = flag.Bool("update", false, "write testdata/vectors.json anew")

const vectorsFile = "testdata/vectors.json"

// hexBytes is bytes written in hex.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// vectors is the file's form. It is for readers in any language: all bytes in hex.
type vectors struct {
	Note       string             `json:"note"`
	Transcript []transcriptVector `json:"transcript"`
	Keygen     keygenVector       `json:"keygen"`
	Elections  []electionVector   `json:"elections"`
}

type transcriptVector struct {
	Label  string     `json:"label"`
	Fields []hexBytes `json:"fields"`
	H      hexBytes   `json:"H"`
	Seed   hexBytes   `json:"seed"`
	K      hexBytes   `json:"K"`
	Kmod   hexBytes   `json:"k"`
}

type keygenVector struct {
	Committee     hexBytes   `json:"committee"`
	Faults        int        `json:"faults"`
	Seeds         []hexBytes `json:"seeds"` // of the trustees, in order
	Announcements []hexBytes `json:"announcements"`
	Commitments   []hexBytes `json:"commitments"`
	Deals         []hexBytes `json:"deals"`
	Accuser       int        `json:"accuser"`
	Complaint     hexBytes   `json:"complaint"` // of the accuser, who is at fault
	Qualified     []int      `json:"qualified"`
	Y             hexBytes   `json:"Y"`
	X             []hexBytes `json:"X"`
	Dealt         hexBytes   `json:"dealt"`
}

type electionVector struct {
	Terms     termsVector    `json:"terms"`
	EID       hexBytes       `json:"eid"`
	Ballots   []ballotVector `json:"ballots"`
	Set       hexBytes       `json:"set"` // digest of the sealed set
	ShareSeed hexBytes       `json:"shareSeed"`
	Shares    []hexBytes     `json:"shares"` // of the first k trustees
	Opened    []uint64       `json:"opened"` // the numbers, by position
}

type termsVector struct {
	Roll     hexBytes `json:"roll"`
	Question hexBytes `json:"question"`
	Method   string   `json:"method"`
	Params   hexBytes `json:"params"`
	Options  []string `json:"options"`
	Kind     string   `json:"kind"`
	Top      uint64   `json:"top"`
	Weighted bool     `json:"weighted"`
	Opens    uint64   `json:"opens"`
	Closes   uint64   `json:"closes"`
	Least    uint64   `json:"least"`
}

type ballotVector struct {
	Voter   hexBytes `json:"voter"`
	Seq     uint64   `json:"seq"`
	Weight  uint64   `json:"weight"`
	Marks   hexBytes `json:"marks"`
	Seed    hexBytes `json:"seed"`
	Opening hexBytes `json:"opening"`
	Body    hexBytes `json:"body"`
}

func counted(n byte) *[32]byte {
	var s [32]byte
	for i := range s {
		s[i] = n + byte(i)
	}
	return &s
}

func makeTranscript(label string, fields ...hexBytes) transcriptVector {
	list, fields := [][]byte{}, append([]hexBytes{}, fields...)
	for _, f := range fields {
		list = append(list, f)
	}
	h, seed := proof.Hash(label, list...), counted(7)
	k, s := proof.Expand(seed, label, list...), proof.Derive(seed, label, list...).Bytes()
	return transcriptVector{label, fields, h[:], seed[:], k[:], s[:]}
}

func makeKeygen() (v keygenVector, keys *keygen.Keys, shares []*keygen.Share) {
	id := counted(100)
	v = keygenVector{Committee: id[:], Faults: 1, Accuser: 2, Qualified: []int{1, 2, 4}}
	c, err := keygen.NewCommittee(*id, v.Faults)
	check(err)
	var trustees []*keygen.Trustee
	var announced []keygen.Announcement
	for j := 1; j <= c.N(); j++ {
		seed := counted(byte(10 * j))
		t, err := keygen.NewTrustee(c, j, seed)
		check(err)
		trustees, announced = append(trustees, t), append(announced, t.Announce())
		v.Seeds, v.Announcements = append(v.Seeds, seed[:]), append(v.Announcements, t.Announce().Bytes())
	}
	roster, err := keygen.NewRoster(c, announced)
	check(err)
	var deals, qualified []*keygen.Deal
	for _, t := range trustees {
		d, err := t.Deal(roster)
		check(err)
		deals = append(deals, d)
		v.Commitments, v.Deals = append(v.Commitments, d.Commitment().Bytes()), append(v.Deals, d.Bytes())
	}
	complaint, err := trustees[v.Accuser-1].Complain(deals[0])
	check(err)
	v.Complaint = complaint.Bytes()
	for _, i := range v.Qualified {
		qualified = append(qualified, deals[i-1])
	}
	keys, err = keygen.NewKeys(roster, qualified)
	check(err)
	dealt := keys.Dealt()
	v.Y, v.Dealt = encoded(keys.Public()), dealt[:]
	for j, t := range trustees {
		public, err := keys.Share(j + 1)
		check(err)
		x, err := t.Share(keys)
		check(err)
		v.X, shares = append(v.X, encoded(public)), append(shares, x)
	}
	return v, keys, shares
}

func encoded(p group.Point) hexBytes {
	b := p.Bytes()
	return b[:]
}

func (v termsVector) terms(keys *keygen.Keys) secret.Terms {
	return secret.Terms{
		Keys: keys, Roll: [32]byte(v.Roll), Question: [32]byte(v.Question), Method: v.Method, Params: v.Params,
		Options: v.Options, Shape: secret.Shape{Kind: secret.Kind(v.Kind), Top: v.Top},
		Weighted: v.Weighted, Opens: v.Opens, Closes: v.Closes, Least: v.Least,
	}
}

func makeElection(keys *keygen.Keys, trustees []*keygen.Share, terms termsVector, marks ...[]byte) electionVector {
	e, err := secret.NewElection(terms.terms(keys))
	check(err)
	id, set, shareSeed := e.ID(), counted(200), counted(50)
	v := electionVector{Terms: terms, EID: id[:], Set: set[:], ShareSeed: shareSeed[:]}
	sum := e.Empty()
	for i, m := range marks {
		by, seed, weight := secret.Voter{ID: *counted(byte(i)), Seq: uint64(i)}, counted(byte(150+i)), uint64(1)
		if terms.Weighted {
			weight += uint64(2 * i)
		}
		body, opening, err := e.Encrypt(by, m, seed)
		check(err)
		v.Ballots = append(v.Ballots, ballotVector{by.ID[:], by.Seq, weight, m, seed[:], opening[:], body})
		b, err := e.Verify(by, body)
		check(err)
		sum, err = e.Plus(sum, b, weight)
		check(err)
	}
	sealed := secret.Sealed{Set: *set, Sum: sum}
	var shares []*secret.Share
	for j, x := range trustees[:keys.K()] {
		body, err := e.Decrypt(x, sealed, shareSeed)
		check(err)
		s, err := e.VerifyShare(j+1, sealed, body)
		check(err)
		v.Shares, shares = append(v.Shares, body), append(shares, s)
	}
	r, err := e.Result(sealed, shares)
	check(err)
	v.Opened = r.Sums
	for i := range r.Matrix {
		for j := i + 1; j < len(r.Matrix); j++ {
			v.Opened = append(v.Opened, r.Matrix[i][j], r.Matrix[j][i])
		}
	}
	return v
}

func makeVectors() vectors {
	v := vectors{Note: "SPEC §8.5. Bytes are in hex. Everything follows from the seeds, as that section says."}
	v.Transcript = []transcriptVector{
		makeTranscript("test"), makeTranscript("test", nil), makeTranscript("te", hexBytes("st")),
		makeTranscript("test", hexBytes{1, 2}, hexBytes{3}), makeTranscript("test", hexBytes{1}, hexBytes{2, 3}),
	}
	var keys *keygen.Keys
	var shares []*keygen.Share
	v.Keygen, keys, shares = makeKeygen()
	terms := func(method, kind string, top uint64, options ...string) termsVector {
		return termsVector{
			Roll: counted(1)[:], Question: counted(2)[:], Method: method, Params: hexBytes{0xa0}, Options: options,
			Kind: kind, Top: top, Opens: 1_700_000_000, Closes: 1_700_600_000, Least: 2,
		}
	}
	weighted := terms("yes-no", "one", 0, "yes", "no", "abstain")
	weighted.Weighted = true
	v.Elections = []electionVector{
		makeElection(keys, shares, terms("plurality", "one", 0, "a", "b", "c", "d", "e"), []byte{0, 0, 1, 0, 0}, []byte{0, 0, 0, 0, 1}),
		makeElection(keys, shares, weighted, []byte{1, 0, 0}, []byte{0, 1, 0}, []byte{1, 0, 0}),
		makeElection(keys, shares, terms("approval", "approvals", 0, "a", "b"), []byte{1, 0}, []byte{1, 1}),
		makeElection(keys, shares, terms("score", "scores", 3, "a", "b"), []byte{3, 0}, []byte{1, 2}),
		makeElection(keys, shares, terms("quadratic", "quadratic", 6, "a", "b"), []byte{2, 1}, []byte{0, 2}),
		makeElection(keys, shares, terms("schulze", "ranking", 0, "a", "b", "c"), []byte{1, 2, 2}, []byte{0, 7, 3}),
	}
	return v
}

// TestVectors: what is published is what follows from the seeds, to the byte.
func TestVectors(t *testing.T) {
	b, err := json.MarshalIndent(makeVectors(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(vectorsFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Error("the vectors are others; if that is meant, write them anew with -update, and change the suite's name")
	}
}
