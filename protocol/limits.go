package protocol

// Every cap on what a peer can make a node hold or compute stands in this
// file (SPEC §2.6). Sizes are bytes.
const (
	// Version is the version of the envelope this package reads and writes.
	Version = 1

	MaxParents   = 16 // control heads a record may name
	MaxCosigners = 12 // signers of a record besides its first
	MaxCarried   = 2  // records carried inside another
	MaxKind      = 32 // the length of a kind's name
	MaxSeq       = 1 << 40
	MaxHeight    = 1 << 40
	MaxTime      = 1 << 40 // claimed times, seconds since 1970
	MaxBulkSeq   = 64      // a replacing record's highest seq

	// QuotaPerCheckpoint is Q: the control records of one device chain that
	// may cite one and the same checkpoint.
	QuotaPerCheckpoint = 64

	// WindowDays is G: how long after a checkpoint was followed by the next a
	// control record may still cite it, in days of checkpoint time.
	WindowDays = 30
	// MaxAhead is how far a record's seq may be above what is final of its
	// chain, and DailyRecords and DailyKeyRecords how far a device's and a
	// persona key's chain may come in one day of checkpoint time.
	MaxAhead        = 256
	DailyRecords    = 1024
	DailyKeyRecords = 16

	defaultPayload = 16 << 10
	bigPayload     = 60 << 10

	signatureSize = 64
	// MaxInner is the largest inner form: the largest payload, its
	// signatures, and the framing of both.
	MaxInner = bigPayload + (1+MaxCosigners)*signatureSize + 16
	// MaxOuter is the largest outer form.
	MaxOuter = MaxInner + 96
)
