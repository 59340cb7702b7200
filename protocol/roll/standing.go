package roll

import (
	"fmt"
	"slices"

	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A Standing says how a persona belongs. The zero Standing is none: that of a
// persona that is not on the roll. Leaves have its word; in memory it is a number,
// as every entry has some.
type Standing uint16

// Standings.
const (
	Pending Standing = iota + 1 // asked to join, not yet admitted
	Full                        // a member
	Suspended
	Frozen
	Expelled
	Left
)

var standings = [...]string{"", "pending", "member", "suspended", "frozen", "expelled", "left"}

// String is the word for the standing, empty for none.
func (s Standing) String() string { return standings[s] }

// MarshalCBOR gives the word.
func (s Standing) MarshalCBOR() ([]byte, error) { return dagcbor.AppendText(nil, s.String()), nil }

// UnmarshalCBOR reads a word, and refuses any that is no standing.
func (s *Standing) UnmarshalCBOR(b []byte) error {
	r := dagcbor.NewReader(b)
	word := r.Text(len(b))
	if err := r.End(); err != nil {
		return err
	}
	i := slices.Index(standings[:], word)
	if i <= 0 {
		return fmt.Errorf("roll: %.20q is no standing", word)
	}
	*s = Standing(i)
	return nil
}
