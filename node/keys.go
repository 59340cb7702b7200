package node

import (
	"crypto/rand"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
)

// random32 is 32 fresh random bytes.
func random32() (b [32]byte) {
	rand.Read(b[:])
	return b
}

// newDaily makes the keys of this device for a metastate, related to no others.
func newDaily(metastate protocol.ID, alias string, lobby [32]byte) vault.Daily {
	return vault.Daily{
		Metastate: identity.Digest(metastate), Alias: alias,
		Device: random32(), Member: random32(), Lobby: vault.Secret(lobby), StoreKey: random32(),
	}
}

// deviceKey signs a citizenship's daily records.
func deviceKey(d vault.Daily) identity.SigningKey {
	seed := [32]byte(d.Device)
	return identity.NewSigningKey(&seed)
}

// A birth is what begins a persona: its inception, and the grant that lets this
// device speak for it.
type birth struct {
	inception, grant *protocol.Record
}

// born signs a persona's first records with its persona key, which is used for
// nothing else here and erased. introducer is a founding key or an invite's, nil
// where nobody is needed.
func born(e *identity.Entropy, metastate protocol.ID, index uint32, name string, introducer, device identity.Signer,
	parents []protocol.ID, now time.Time,
) (b birth, err error) {
	p := e.Persona(metastate, index)
	defer p.Erase()
	key := p.SigningKey(0)
	defer key.Erase()
	var nonce identity.Nonce
	rand.Read(nonce[:])
	h := protocol.Header{
		Metastate: metastate, Kind: protocol.Inception, Key: key.Public(),
		Parents: parents, Time: now.Unix(),
	}
	signers := []identity.Signer{key}
	if introducer != nil {
		h.Cosigners, signers = []identity.PublicKey{introducer.Public()}, append(signers, introducer)
	}
	body := identity.Inception{Next: p.Commitment(1), Nonce: nonce, Name: name}
	if b.inception, err = protocol.Sign(h, body, nil, signers...); err != nil {
		return b, err
	}
	h.Kind, h.Persona, h.Seq, h.Prev = protocol.Grant, b.inception.ID(), 1, b.inception.ID()
	h.Cosigners = []identity.PublicKey{device.Public()}
	if len(parents) > 0 {
		h.Parents = []protocol.ID{b.inception.ID()}
	}
	grant := identity.Grant{Device: device.Public(), Expires: now.Add(identity.DefaultGrantLife * time.Second).Unix()}
	b.grant, err = protocol.Sign(h, grant, nil, key, device)
	return b, err
}
