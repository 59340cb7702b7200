package proof

import (
	"slices"

	"github.com/metastate-p2p/metastate/protocol/decision/secret/group"
)

// Size is the length of an encoded proof.
const Size = 2 * group.Size

// A Proof is a challenge and the response to it.
type Proof struct{ c, z group.Scalar }

// Parse decodes 64 bytes: the challenge and the response, both canonical.
func Parse(b []byte) (Proof, error) {
	half := min(len(b), group.Size)
	c, err := group.ParseScalar(b[:half])
	if err != nil {
		return Proof{}, err
	}
	z, err := group.ParseScalar(b[half:])
	return Proof{c, z}, err
}

// Append appends the encoding.
func (p Proof) Append(b []byte) []byte {
	return append(append(b, scalarField(p.c)...), scalarField(p.z)...)
}

// Knowledge says that whoever proves it knows the x of X = x·G.
type Knowledge struct {
	Label string   // what the proof is for
	Bound [][]byte // what else it is bound to
	X     group.Point
}

func (k Knowledge) list() [][]byte { return append(slices.Clone(k.Bound), pointField(k.X)) }

// Prove proves it with the secret x.
func (k Knowledge) Prove(x group.Scalar, seed *[SeedSize]byte) Proof {
	list := k.list()
	w := nonce(seed, x, k.Label, list)
	defer w.Erase()
	c := challenge(k.Label, append(list, pointField(group.Base(w))))
	return Proof{c, w.Add(c.Mul(x))}
}

// Verify tells whether p proves it.
func (k Knowledge) Verify(p Proof) bool {
	a := group.VarTimeWithBase(p.c.Neg(), k.X, p.z)
	return challenge(k.Label, append(k.list(), pointField(a))).Equal(p.c)
}

// Equality says that X = x·G and Q = x·P for one x, which the prover knows.
type Equality struct {
	Label   string   // what the proof is for
	Bound   [][]byte // what else it is bound to
	X, P, Q group.Point
}

func (e Equality) list() [][]byte {
	return append(slices.Clone(e.Bound), pointField(e.X), pointField(e.P), pointField(e.Q))
}

// challenge is of the commitments a = w·G and b = w·P.
func (e Equality) challenge(a, b group.Point) group.Scalar {
	return challenge(e.Label, append(e.list(), pointField(a), pointField(b)))
}

// Prove proves it with the secret x.
func (e Equality) Prove(x group.Scalar, seed *[SeedSize]byte) Proof {
	w := nonce(seed, x, e.Label, e.list())
	defer w.Erase()
	c := e.challenge(group.Base(w), e.P.Mul(w))
	return Proof{c, w.Add(c.Mul(x))}
}

// Verify tells whether p proves it.
func (e Equality) Verify(p Proof) bool {
	minus := p.c.Neg()
	a := group.VarTimeWithBase(minus, e.X, p.z)
	b := group.VarTimeCombine([]group.Scalar{p.z, minus}, []group.Point{e.P, e.Q})
	return e.challenge(a, b).Equal(p.c)
}

// nonce depends on the secret too, so it stays secret under a seed that is not.
func nonce(seed *[SeedSize]byte, x group.Scalar, label string, list [][]byte) group.Scalar {
	secret := scalarField(x)
	defer clear(secret)
	return Derive(seed, "nonce", append([][]byte{[]byte(label), secret}, list...)...)
}
