package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// What people hand each other for a recovery (SPEC §9.5): who chose guardians
// gives each a code, and who lost everything gives them a request.
const (
	codePrefix     = "metastate:g/1#"
	askPrefix      = "metastate:r/1#"
	maxRecoverText = 1024
	domainAsk      = "metastate/recover-request/v1"
)

// A guardianCode lets a guardian show that the persona chose them.
type guardianCode struct {
	Metastate protocol.ID    `cbor:"m"`
	Persona   protocol.ID    `cbor:"p"`
	Guardian  protocol.ID    `cbor:"g"`
	Salt      identity.Nonce `cbor:"s"`
}

// A plea says which key a persona shall go on with, signed by that key: whoever
// copies it wrongly gives the persona no key that nobody has.
type plea struct {
	Metastate protocol.ID        `cbor:"m"`
	Persona   protocol.ID        `cbor:"p"`
	Key       identity.PublicKey `cbor:"k"`
	Next      identity.Digest    `cbor:"n"`
	Sig       []byte             `cbor:"s"`
}

func (p plea) message() []byte {
	b := append([]byte(domainAsk), 0)
	b = append(append(b, p.Metastate[:]...), p.Persona[:]...)
	return append(append(b, p.Key.Multikey()...), p.Next[:]...)
}

func newPlea(metastate, persona protocol.ID, key identity.SigningKey, next identity.Digest) plea {
	p := plea{Metastate: metastate, Persona: persona, Key: key.Public(), Next: next}
	sig := key.Sign(p.message())
	p.Sig = sig[:]
	return p
}

func (p plea) String() string         { return askPrefix + encodeText(p) }
func (c guardianCode) String() string { return codePrefix + encodeText(c) }

func encodeText(v any) string {
	return base64.RawURLEncoding.EncodeToString(dagcbor.Encode(v))
}

// parsePlea reads a request for recovery and checks its signature.
func parsePlea(text string) (p plea, err error) {
	err = decodeText(text, askPrefix, &p)
	if err == nil && !identity.Verify(p.Key, p.message(), p.Sig) {
		err = errors.New("its signature does not hold")
	}
	return p, notText(err, "request for recovery", "ask for it again: the other side runs metastate recover request")
}

func parseCode(text string) (c guardianCode, err error) {
	return c, notText(decodeText(text, codePrefix, &c), "guardian's code", "look for what you were given when you became a guardian")
}

func notText(err error, what, hint string) error {
	if err == nil {
		return nil
	}
	return &Error{Code: "bad-text", Exit: ExitUsage, Message: fmt.Sprintf("this is no %s: %v", what, err), Hint: hint, Err: err}
}

// decodeText reads one of the texts, alone or inside the words it was sent with.
func decodeText(text, prefix string, v any) error {
	i := strings.Index(text, prefix)
	if i < 0 {
		return errors.New("it does not begin with " + prefix)
	}
	text, _, _ = strings.Cut(text[i+len(prefix):], " ")
	text = strings.TrimSpace(text)
	if len(text) > maxRecoverText {
		return errors.New("it is too long")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || dagcbor.Unmarshal(b, v) != nil {
		return errors.New("letters are missing or changed")
	}
	return nil
}
