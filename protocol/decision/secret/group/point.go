package group

import "github.com/gtank/ristretto255"

// A Point is an element of the group. The zero Point is the identity.
type Point struct {
	e   *ristretto255.Element // nil: the identity; never written to
	enc *[Size]byte           // the encoding, if it was decoded from it
}

// ParsePoint decodes a point and refuses all encodings but the canonical
// (RFC 9496 §4.3.1).
func ParsePoint(b []byte) (Point, error) {
	e, err := ristretto255.NewIdentityElement().SetCanonicalBytes(b)
	if err != nil {
		return Point{}, errPoint
	}
	enc := [Size]byte(b)
	return Point{e, &enc}, nil
}

// ParseKey is ParsePoint that refuses the identity, which everybody knows the
// secret of.
func ParseKey(b []byte) (Point, error) {
	p, err := ParsePoint(b)
	if err == nil && p.IsIdentity() {
		return Point{}, errKey
	}
	return p, err
}

// Generator is the group's generator (RFC 9496 §4).
func Generator() Point { return Point{e: ristretto255.NewGeneratorElement()} }

// FromUniform maps 64 bytes of a hash to a point whose secret nobody knows
// (RFC 9496 §4.3.4).
func FromUniform(b [64]byte) Point {
	e, err := ristretto255.NewIdentityElement().SetUniformBytes(b[:])
	if err != nil {
		panic("group: " + err.Error()) // of 64 bytes there is none
	}
	return Point{e: e}
}

func (p Point) element() *ristretto255.Element {
	if p.e == nil {
		return ristretto255.NewIdentityElement()
	}
	return p.e
}

// Bytes is the encoding.
func (p Point) Bytes() (b [Size]byte) {
	if p.enc != nil {
		return *p.enc
	}
	if p.e != nil {
		copy(b[:], p.e.Bytes())
	}
	return b
}

// Equal tells whether p is q, in constant time.
func (p Point) Equal(q Point) bool { return p.element().Equal(q.element()) == 1 }

// IsIdentity tells whether p is the identity.
func (p Point) IsIdentity() bool { return p.Equal(Point{}) }

// Add is p + q.
func (p Point) Add(q Point) Point {
	return Point{e: ristretto255.NewIdentityElement().Add(p.element(), q.element())}
}

// Sub is p − q.
func (p Point) Sub(q Point) Point {
	return Point{e: ristretto255.NewIdentityElement().Subtract(p.element(), q.element())}
}

// Mul is s·p.
func (p Point) Mul(s Scalar) Point {
	return Point{e: ristretto255.NewIdentityElement().ScalarMult(&s.s, p.element())}
}

// Base is s times the generator.
func Base(s Scalar) Point {
	return Point{e: ristretto255.NewIdentityElement().ScalarBaseMult(&s.s)}
}

// Combine is Σ s_i·p_i of lists of equal length.
func Combine(s []Scalar, p []Point) Point {
	scalars, elements := lists(s, p)
	return Point{e: ristretto255.NewIdentityElement().MultiScalarMult(scalars, elements)}
}

// VarTimeCombine is Combine for what is public.
func VarTimeCombine(s []Scalar, p []Point) Point {
	scalars, elements := lists(s, p)
	return Point{e: ristretto255.NewIdentityElement().VarTimeMultiScalarMult(scalars, elements)}
}

// VarTimeWithBase is a·p + b·G, with G the generator, for what is public.
func VarTimeWithBase(a Scalar, p Point, b Scalar) Point {
	return Point{e: ristretto255.NewIdentityElement().VarTimeDoubleScalarBaseMult(&a.s, p.element(), &b.s)}
}

func lists(s []Scalar, p []Point) ([]*ristretto255.Scalar, []*ristretto255.Element) {
	scalars, elements := make([]*ristretto255.Scalar, len(s)), make([]*ristretto255.Element, len(p))
	for i := range s {
		scalars[i] = &s[i].s
	}
	for i := range p {
		elements[i] = p[i].element()
	}
	return scalars, elements
}
