package nodetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
)

// A Crowding is what became of a flood's requests: answered, refused by the
// lobby's judgement, or declined before they were read.
type Crowding = p2p.Crowding

// Flood sends n requests to join to the first lobby of a link, as fast as one
// host can: bytes that are nothing, requests under an invite that nobody knows,
// and copies of them. It is done when all were sent, or ctx ends.
func Flood(ctx context.Context, link string, n int) (Crowding, error) {
	to, err := node.ReadLink(link)
	if err != nil {
		return Crowding{}, err
	}
	if len(to.Lobbies) == 0 {
		return Crowding{}, errors.New("nodetest: the link names no lobby")
	}
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails
	self, err := p2p.PeerID(seed)
	if err != nil {
		return Crowding{}, err
	}
	forged, err := request(to.Metastate, self)
	if err != nil {
		return Crowding{}, fmt.Errorf("nodetest: %w", err)
	}
	junk := make([]byte, len(forged))
	_, _ = rand.Read(junk)
	lobby := p2p.Peer{ID: to.Lobbies[0].Peer, Addrs: to.Lobbies[0].Addrs}
	return p2p.Crowd(ctx, p2p.Config{Seed: seed}, lobby, n, func(i int) []byte {
		if i%2 == 0 {
			return forged
		}
		return junk
	})
}

// request is one of the right shape, well signed, under an invite key of the
// sender's own.
func request(ms protocol.ID, peerID string) ([]byte, error) {
	key, invite, device := identity.GenerateSigningKey(), identity.GenerateSigningKey(), identity.GenerateSigningKey()
	now := time.Now()
	var nonce identity.Nonce
	_, _ = rand.Read(nonce[:])
	inception, err := protocol.Sign(protocol.Header{
		Metastate: ms, Kind: protocol.Inception, Key: key.Public(), Time: now.Unix(),
		Cosigners: []identity.PublicKey{invite.Public()},
	}, identity.Inception{Next: identity.Digest{1}, Nonce: nonce}, nil, key, invite)
	if err != nil {
		return nil, err
	}
	grant, err := protocol.Sign(protocol.Header{
		Metastate: ms, Kind: protocol.Grant, Persona: inception.ID(), Key: key.Public(), Time: now.Unix(),
		Seq: 1, Prev: inception.ID(), Cosigners: []identity.PublicKey{device.Public()},
	}, identity.Grant{Device: device.Public(), Expires: now.Add(24 * time.Hour).Unix()}, nil, key, device)
	if err != nil {
		return nil, err
	}
	binding, err := identity.SignBinding(identity.Binding{
		Metastate: identity.Digest(ms), Persona: identity.Digest(inception.ID()), Device: device.Public(),
		PeerID: []byte(peerID), Issued: now.Unix(), Expires: now.Add(24 * time.Hour).Unix(),
	}, device)
	if err != nil {
		return nil, err
	}
	return dagcbor.Marshal(map[string][]byte{"inception": inception.Inner(), "grant": grant.Inner(), "binding": binding})
}
