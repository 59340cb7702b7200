package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// Bounds on a link.
const (
	linkPrefix     = "metastate:j/1#"
	maxLink        = 4096
	maxBootstraps  = 3
	maxLinkAddrs   = 4
	linkSecretSize = 16
)

// A link is an invite as it is handed over: who to ask, and the secret that
// makes the invite key. It names no members and no topics, so one that leaks
// reveals neither (SPEC §9.1).
type link struct {
	Version    uint64      `cbor:"v"`
	Metastate  protocol.ID `cbor:"m"`
	Bootstraps []bootstrap `cbor:"b"`
	Secret     []byte      `cbor:"s"` // empty: the charter asks for no invite
	Expires    int64       `cbor:"e"`
	Uses       uint64      `cbor:"u"`
	Height     uint64      `cbor:"h"` // of a recent checkpoint
	ID         protocol.ID `cbor:"c"` // its id
}

// A bootstrap is a lobby where one may knock, in binary forms.
type bootstrap struct {
	Peer  []byte   `cbor:"p"`
	Addrs [][]byte `cbor:"a"`
}

// bootstrapAt is the lobby of a peer.
func bootstrapAt(p p2p.Peer) (bootstrap, error) {
	id, addrs, err := p.Pack()
	if err == nil && len(addrs) == 0 {
		err = errNoLobby
	}
	return bootstrap{id, addrs[:min(len(addrs), maxLinkAddrs)]}, err
}

var errNoLobby = errors.New("node: a lobby without an address")

// String is the link's text.
func (l link) String() string { return textOf(linkPrefix, l.bytes()) }

func (l link) bytes() []byte { return dagcbor.Encode(l) }

func badLink(prefix string, why error) error {
	return &Error{
		Code: "bad-link", Exit: ExitUsage, Err: why,
		Message: fmt.Sprintf("this is not an invite link: %v", why),
		Hint:    "copy the whole link, from \"" + prefix + "\" to its end, or ask for a new one",
	}
}

// ForQR is the form of an invite's text, under a PIN or not, that takes least room
// in a QR code: of the letters and digits that those hold densely. It can be used
// as the other form can.
func ForQR(text string) (string, error) {
	for _, prefix := range []string{linkPrefix, pinPrefix} {
		if b, err := textBytes(text, prefix, maxPinText); err == nil {
			return upperPrefix(prefix) + narrow.EncodeToString(summed(b)), nil
		}
	}
	return "", badLink(linkPrefix, errNoPrefix)
}

var (
	errNoPrefix = errors.New("it does not begin with " + linkPrefix)
	errChanged  = errors.New("letters are missing or changed")
	errTooLong  = errors.New("it is too long")
)

var narrow = base32.StdEncoding.WithPadding(base32.NoPadding)

// upperPrefix begins the other form of a text.
func upperPrefix(prefix string) string { return strings.ToUpper(strings.TrimSuffix(prefix, "#")) + "/" }

// sumSize is that of the checksum at the end of a text, in bytes: a letter that
// was changed, as by who typed it, would make another invite of it (SPEC §9.1).
const sumSize = 4

func summed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(slices.Clone(b), sum[:sumSize]...)
}

// textOf is the text of bytes, with their checksum.
func textOf(prefix string, b []byte) string {
	return prefix + base64.RawURLEncoding.EncodeToString(summed(b))
}

// textBytes are the bytes of a text of at most so many characters after its prefix,
// in either form, alone or inside the words that it was sent with. Its checksum
// is checked and taken off.
func textBytes(text, prefix string, most int) ([]byte, error) {
	b, err := lettersBytes(text, prefix, most)
	if err != nil {
		return nil, err
	}
	n := len(b) - sumSize
	if n < 0 || !bytes.Equal(summed(b[:n]), b) {
		return nil, errChanged
	}
	return b[:n], nil
}

// lettersBytes are what the letters of a text stand for.
func lettersBytes(text, prefix string, most int) (b []byte, err error) {
	if _, rest, found := strings.Cut(text, prefix); found {
		if rest = firstWord(rest); len(rest) > most {
			return nil, errTooLong
		}
		if b, err = base64.RawURLEncoding.Strict().DecodeString(rest); err != nil {
			return nil, errChanged
		}
		return b, nil
	}
	_, rest, found := strings.Cut(text, upperPrefix(prefix))
	if !found {
		return nil, errNoPrefix
	}
	if rest = firstWord(rest); len(rest) > 2*most {
		return nil, errTooLong
	}
	if b, err = narrow.DecodeString(rest); err != nil || narrow.EncodeToString(b) != rest {
		return nil, errChanged
	}
	return b, nil
}

// firstWord is a text up to its first white space.
func firstWord(text string) string {
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		text = text[:i]
	}
	return text
}

// parseLink reads an invite's text, alone or inside the words it was sent with.
func parseLink(text string) (l link, err error) {
	bad := func(why error) (link, error) { return link{}, badLink(linkPrefix, why) }
	if LinkLocked(text) {
		return bad(errors.New("it is under a PIN"))
	}
	b, err := textBytes(text, linkPrefix, maxLink)
	if err != nil {
		return bad(err)
	}
	if err := dagcbor.Unmarshal(b, &l); err != nil {
		return bad(errChanged)
	}
	if l.Version != 1 {
		return bad(fmt.Errorf("it is of version %d, this program reads version 1", l.Version))
	}
	if len(l.Secret) != linkSecretSize && len(l.Secret) != 0 || l.Metastate.IsZero() || len(l.Bootstraps) == 0 || len(l.Bootstraps) > maxBootstraps {
		return bad(errors.New("parts of it are missing"))
	}
	for _, s := range l.Bootstraps {
		if len(s.Addrs) == 0 || len(s.Addrs) > maxLinkAddrs {
			return bad(errors.New("it names no address"))
		}
		if _, err := p2p.Unpack(s.Peer, s.Addrs); err != nil {
			return bad(errors.New("an address in it can't be read"))
		}
	}
	return l, nil
}

// public reports whether the link needs no invite.
func (l link) public() bool { return len(l.Secret) == 0 }

// peers are the link's bootstraps for the network.
func (l link) peers() []p2p.Peer {
	var out []p2p.Peer
	for _, b := range l.Bootstraps {
		if p, err := p2p.Unpack(b.Peer, b.Addrs); err == nil { // as parseLink has seen
			p.Bootstrap = true
			out = append(out, p)
		}
	}
	return out
}

// A LinkInfo is what the link of an invite says without being used.
type LinkInfo struct {
	Metastate protocol.ID
	Lobbies   []LobbyInfo // where one may knock
	Expires   int64       // unix seconds
	Uses      uint64
}

// A LobbyInfo is a lobby's transport peer id and its multiaddrs.
type LobbyInfo struct {
	Peer  string
	Addrs []string
}

// ReadLink reads an invite's link, alone or inside the words it was sent with.
func ReadLink(text string) (LinkInfo, error) {
	l, err := parseLink(text)
	if err != nil {
		return LinkInfo{}, err
	}
	out := LinkInfo{Metastate: l.Metastate, Expires: l.Expires, Uses: l.Uses}
	for _, p := range l.peers() {
		out.Lobbies = append(out.Lobbies, LobbyInfo{Peer: p.ID, Addrs: p.Addrs})
	}
	return out, nil
}
