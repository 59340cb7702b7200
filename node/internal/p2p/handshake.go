package p2p

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
)

// The handshake of /metastate/sync/1 proves to each side that the other holds
// an epoch secret, and only then shows device bindings:
//
//	I → R  hello    nonceI, for each epoch newest first: MAC(k, "hello", …)
//	R → I  proofs   nonceR, for each epoch newest first: MAC(k, "responder", …)
//	I → R  proof    MAC(k, "initiator", …, bindingI), bindingI
//	R → I  welcome  MAC(k, "welcome",   …, bindingI, bindingR), bindingR
//
// k is HMAC-SHA256(epoch secret, label); … is both peer ids and both nonces, in
// a hello the first, each with its length. A hello's MACs say which metastate is
// meant, to who has its secret and to nobody else. The initiator chooses the newest epoch that both hold.
// No epoch is named: whoever lacks the secrets sees random bytes and no
// binding. The connection below is authenticated by the transport keys, whose
// ids the MACs cover, so a proof can't be passed on to a third peer.
const (
	helloFrame    byte = 1
	proofsFrame   byte = 2
	proofFrame    byte = 3
	welcomeFrame  byte = 4
	nonceSize          = 16
	handshakeKey       = "metastate/handshake/v1"
	roleHello          = "hello"
	roleResponder      = "responder"
	roleInitiator      = "initiator"
	roleWelcome        = "welcome"
)

// A transcript is what the proofs of one handshake cover.
type transcript struct {
	initiator, responder peer.ID
	nonceI, nonceR       []byte
}

func (t transcript) prove(secret [32]byte, role string, bindings ...[]byte) []byte {
	k := hmac.New(sha256.New, secret[:])
	k.Write([]byte(handshakeKey))
	h := hmac.New(sha256.New, k.Sum(nil))
	parts := append([][]byte{[]byte(role), []byte(t.initiator), []byte(t.responder), t.nonceI, t.nonceR}, bindings...)
	if role == roleHello {
		parts = parts[:4]
	}
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}

func epochsOf(r Replica) []Epoch {
	e := r.Epochs()
	return e[:min(len(e), maxEpochs)]
}

func stranger(step string) error { return fmt.Errorf("p2p: handshake: %w: %s", ErrStranger, step) }

func malformed(step string) error { return fmt.Errorf("p2p: handshake: %w: %s", ErrPeer, step) }

// greet runs the initiator's side; it returns the secret that both proved.
func greet(w *wire, self, other peer.ID, r Replica) (secret [32]byte, err error) {
	t := transcript{initiator: self, responder: other, nonceI: make([]byte, nonceSize)}
	_, _ = rand.Read(t.nonceI) // never fails
	hello := slices.Clone(t.nonceI)
	for _, e := range epochsOf(r) {
		hello = append(hello, t.prove(e.Secret, roleHello)...)
	}
	if err := w.send(helloFrame, hello); err != nil {
		return secret, err
	}
	proofs, err := w.expect(proofsFrame, handshakeFrame, frameTimeout)
	if err != nil {
		return secret, err
	}
	if n := len(proofs) - nonceSize; n < 0 || n%sha256.Size != 0 || n > maxEpochs*sha256.Size {
		return secret, malformed("proofs")
	}
	t.nonceR, proofs = proofs[:nonceSize], proofs[nonceSize:]
	secret, ok := common(t, roleResponder, epochsOf(r), proofs)
	if !ok {
		return secret, stranger("no epoch in common")
	}
	mine := r.Binding()
	if err := w.send(proofFrame, append(t.prove(secret, roleInitiator, mine), mine...)); err != nil {
		return secret, err
	}
	welcome, err := w.expect(welcomeFrame, sha256.Size+maxBinding, frameTimeout)
	if err != nil {
		return secret, err
	}
	if len(welcome) < sha256.Size {
		return secret, malformed("welcome")
	}
	mac, theirs := welcome[:sha256.Size], welcome[sha256.Size:]
	if !hmac.Equal(mac, t.prove(secret, roleWelcome, mine, theirs)) {
		return secret, stranger("welcome")
	}
	return secret, checkBinding(r, other, theirs)
}

// common finds the newest of epochs that one of a role's proofs is under.
func common(t transcript, role string, epochs []Epoch, proofs []byte) (secret [32]byte, ok bool) {
	for _, e := range epochs {
		want := t.prove(e.Secret, role)
		for p := proofs; len(p) > 0; p = p[sha256.Size:] {
			if hmac.Equal(p[:sha256.Size], want) {
				return e.Secret, true
			}
		}
	}
	return secret, false
}

// A greeting is a hello.
type greeting struct {
	nonce []byte
	macs  []byte // one after another
}

// hear receives a hello.
func hear(w *wire) (g greeting, err error) {
	hello, err := w.expect(helloFrame, nonceSize+maxEpochs*sha256.Size, frameTimeout)
	if err != nil {
		return g, err
	}
	if n := len(hello) - nonceSize; n < sha256.Size || n%sha256.Size != 0 {
		return g, malformed("hello")
	}
	return greeting{nonce: hello[:nonceSize], macs: hello[nonceSize:]}, nil
}

// meant reports whether a greeting is under one of a replica's epochs.
func (g greeting) meant(self, other peer.ID, r Replica) bool {
	t := transcript{initiator: other, responder: self, nonceI: g.nonce}
	_, ok := common(t, roleHello, epochsOf(r), g.macs)
	return ok
}

// dismiss ends a handshake with who greets under no epoch that this node has, or
// is not known where it has: with a nonce and no proofs, which says as much as
// proofs that the initiator can't tell from random bytes.
func dismiss(w *wire) error {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	if err := w.send(proofsFrame, nonce); err != nil {
		return err
	}
	return stranger("nobody here knows both the peer and its epoch")
}

// answer runs the responder's side after the hello; it returns the secret that
// both proved.
func answer(w *wire, self, other peer.ID, hello greeting, r Replica) (secret [32]byte, err error) {
	t := transcript{initiator: other, responder: self, nonceI: hello.nonce, nonceR: make([]byte, nonceSize)}
	_, _ = rand.Read(t.nonceR) // never fails
	epochs := epochsOf(r)
	proofs := append([]byte(nil), t.nonceR...)
	for _, e := range epochs {
		proofs = append(proofs, t.prove(e.Secret, roleResponder)...)
	}
	if err := w.send(proofsFrame, proofs); err != nil {
		return secret, err
	}
	proof, err := w.expect(proofFrame, sha256.Size+maxBinding, frameTimeout)
	if err != nil {
		return secret, err
	}
	if len(proof) < sha256.Size {
		return secret, malformed("proof")
	}
	mac, theirs := proof[:sha256.Size], proof[sha256.Size:]
	for _, e := range epochs {
		if !hmac.Equal(mac, t.prove(e.Secret, roleInitiator, theirs)) {
			continue
		}
		if err := checkBinding(r, other, theirs); err != nil {
			return secret, err
		}
		mine := r.Binding()
		return e.Secret, w.send(welcomeFrame, append(t.prove(e.Secret, roleWelcome, theirs, mine), mine...))
	}
	return secret, stranger("proof")
}

func checkBinding(r Replica, other peer.ID, binding []byte) error {
	if err := r.CheckBinding(other.String(), binding); err != nil {
		return fmt.Errorf("p2p: handshake: %w: binding: %w", ErrStranger, err)
	}
	return nil
}
