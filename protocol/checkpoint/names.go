package checkpoint

import (
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// The wire form of values and certificates is that of package certificate, which
// the rules below this package read too. These are its names here.
type (
	Value       = certificate.Value
	Control     = certificate.Control
	Subject     = certificate.Subject
	Closing     = certificate.Closing
	Clerk       = certificate.Clerk
	Covered     = certificate.Covered
	Certificate = certificate.Certificate
	Signature   = certificate.Signature
)

// Caps and the version of values.
const (
	Version            = certificate.Version
	MaxValueSize       = certificate.MaxValueSize
	MaxCertificateSize = certificate.MaxCertificateSize
	MaxNewlyCovered    = certificate.MaxNewlyCovered
	MaxFrontier        = certificate.MaxFrontier
	MaxSubjects        = certificate.MaxSubjects
	MaxClosings        = certificate.MaxClosings
	MaxClerks          = certificate.MaxClerks
	MaxRound           = certificate.MaxRound
)

// Errors of parsing and verifying.
var (
	ErrMalformed = certificate.ErrMalformed
	ErrSignature = certificate.ErrSignature
	ErrNoQuorum  = certificate.ErrNoQuorum
)

// ParseValue is [certificate.ParseValue].
func ParseValue(b []byte) (Value, error) { return certificate.ParseValue(b) }

// ParseCertificate is [certificate.ParseCertificate].
func ParseCertificate(b []byte) (Certificate, error) { return certificate.ParseCertificate(b) }

// ParseChunk is [certificate.ParseChunk].
func ParseChunk(b []byte) ([]protocol.ID, error) { return certificate.ParseChunk(b) }

// SplitChunks is [certificate.SplitChunks].
func SplitChunks(ids []protocol.ID) ([][]byte, error) { return certificate.SplitChunks(ids) }

// Quorum is [certificate.Quorum].
func Quorum(n int) (f, q int) { return certificate.Quorum(n) }

// Proposer returns the index, among n clerks, of the one whose turn it is to
// propose in a round of a height (SPEC §7.4).
func Proposer(height uint64, round uint32, n int) int {
	return int((height%uint64(n) + uint64(round)%uint64(n)) % uint64(n))
}
