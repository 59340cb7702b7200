package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

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

// A bootstrap is a lobby where one may knock.
type bootstrap struct {
	Peer  string   `cbor:"p"`
	Addrs []string `cbor:"a"`
}

// String is the link's text.
func (l link) String() string {
	return linkPrefix + base64.RawURLEncoding.EncodeToString(dagcbor.Encode(l))
}

// parseLink reads an invite's text, alone or inside the words it was sent with.
func parseLink(text string) (l link, err error) {
	bad := func(why error) (link, error) {
		return link{}, &Error{
			Code: "bad-link", Exit: ExitUsage, Err: why,
			Message: fmt.Sprintf("this is not an invite link: %v", why),
			Hint:    "copy the whole link, from \"" + linkPrefix + "\" to its end, or ask for a new one",
		}
	}
	i := strings.Index(text, linkPrefix)
	if i < 0 {
		return bad(errors.New("it does not begin with " + linkPrefix))
	}
	text, _, _ = strings.Cut(text[i+len(linkPrefix):], " ")
	text = strings.TrimSpace(text)
	if len(text) > maxLink {
		return bad(errors.New("it is too long"))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return bad(errors.New("letters are missing or changed"))
	}
	if err := dagcbor.Unmarshal(b, &l); err != nil {
		return bad(errors.New("letters are missing or changed"))
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
	}
	return l, nil
}

// public reports whether the link needs no invite.
func (l link) public() bool { return len(l.Secret) == 0 }

// peers are the link's bootstraps for the network.
func (l link) peers() []p2p.Peer {
	var out []p2p.Peer
	for _, b := range l.Bootstraps {
		out = append(out, p2p.Peer{ID: b.Peer, Addrs: b.Addrs, Bootstrap: true})
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
	for _, b := range l.Bootstraps {
		out.Lobbies = append(out.Lobbies, LobbyInfo(b))
	}
	return out, nil
}
