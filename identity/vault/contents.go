package vault

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// MaxCitizenships is how many a vault holds.
const MaxCitizenships = 1024

// Secret is 32 secret bytes: the seed of a key, or a key. It prints as a
// placeholder.
type Secret [32]byte

const redacted = "vault.Secret(secret)"

// Format prints a placeholder under every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns a placeholder.
func (Secret) String() string { return redacted }

// GoString returns a placeholder.
func (Secret) GoString() string { return redacted }

// LogValue gives slog a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses: a secret has no text form.
func (Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("vault: a secret has no text form")
}

// Contents is what a vault holds. Whoever has it wipes it after use.
type Contents struct {
	Entropy      identity.Entropy `cbor:"entropy"`
	Citizenships []Citizenship    `cbor:"citizenships"`
}

// Citizenship is one persona of the person, with its keys on this machine.
type Citizenship struct {
	Daily
	// Detached is the persona's own entropy, nil if it derives from that of
	// the vault.
	Detached *identity.Entropy `cbor:"detached,omitempty"`
}

// Daily is the part of a citizenship that a running node holds: device, network
// and store keys, and nothing that a persona's keys follow from.
type Daily struct {
	Metastate identity.Digest `cbor:"metastate"`
	Persona   identity.Digest `cbor:"persona"`
	Index     uint32          `cbor:"index"` // of the persona's derivation
	Alias     string          `cbor:"alias"` // a local name, unique in the vault
	Device    Secret          `cbor:"device"`
	Member    Secret          `cbor:"member"` // seed of the members' presence
	Lobby     Secret          `cbor:"lobby"`  // seed of the lobby's presence
	StoreKey  Secret          `cbor:"store"`
	// Presence names the presence that citizenships share, which have Member and
	// Lobby in common; empty: this one shares its own with none.
	Presence string `cbor:"presence,omitempty"`
}

// Daily returns the day-to-day part of each citizenship, copied. Wiping c
// leaves it as it is.
func (c *Contents) Daily() []Daily {
	daily := make([]Daily, len(c.Citizenships))
	for i := range c.Citizenships {
		daily[i] = c.Citizenships[i].Daily
	}
	return daily
}

// Wipe zeroes everything in d.
func (d *Daily) Wipe() { *d = Daily{} }

// Wipe zeroes everything in c.
func (c *Contents) Wipe() {
	for i := range c.Citizenships {
		if e := c.Citizenships[i].Detached; e != nil {
			e.Erase()
		}
		c.Citizenships[i].Wipe()
		c.Citizenships[i].Detached = nil
	}
	c.Entropy.Erase()
	c.Citizenships = nil
}

// validate reports what is wrong with c.
func (c *Contents) validate() error {
	if len(c.Citizenships) > MaxCitizenships {
		return fmt.Errorf("%d citizenships, at most %d", len(c.Citizenships), MaxCitizenships)
	}
	aliases := make(map[string]bool, len(c.Citizenships))
	for i := range c.Citizenships {
		alias := c.Citizenships[i].Alias
		if alias == "" || aliases[alias] {
			return fmt.Errorf("citizenship %d has no alias, or that of another", i)
		}
		if err := identity.ValidName(alias); err != nil {
			return fmt.Errorf("alias of citizenship %d: %w", i, err)
		}
		aliases[alias] = true
		if err := identity.ValidName(c.Citizenships[i].Presence); err != nil {
			return fmt.Errorf("presence of citizenship %d: %w", i, err)
		}
	}
	return nil
}

// padStep is the step in which the body's length grows, so that it does not
// tell the number of citizenships.
const padStep = 4096

// encode returns c in DAG-CBOR, then 0x80 and zeroes up to a whole padStep
// (ISO/IEC 7816-4). The caller wipes it.
func (c *Contents) encode() ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	b, err := dagcbor.Marshal(c)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	padded := make([]byte, (len(b)/padStep+1)*padStep)
	padded[copy(padded, b)] = 0x80
	return padded, nil
}

// decodeContents reads what encode writes, and only that.
func decodeContents(padded []byte) (*Contents, error) {
	b := bytes.TrimRight(padded, "\x00")
	if len(b) == 0 || b[len(b)-1] != 0x80 {
		return nil, errors.New("bad padding")
	}
	b = b[:len(b)-1]
	c := new(Contents)
	if err := dagcbor.Unmarshal(b, c); err != nil {
		c.Wipe()
		return nil, errors.New("the contents do not decode") // the cause may quote secrets
	}
	again, err := c.encode()
	defer clear(again)
	if err != nil || !bytes.Equal(again, padded) {
		c.Wipe()
		return nil, errors.New("the contents are out of bounds or not canonical")
	}
	return c, nil
}
