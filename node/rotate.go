package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/roll"
)

// maxRotations bounds the search for the key that a persona has.
const maxRotations = 4096

// Rotate moves this person's persona on to the key that it committed to, which
// vetoes any recovery, and sets its guardians if the request names some.
func (n *Node) Rotate(ctx context.Context, req RotateRequest) (out Rotation, err error) {
	c, err := n.Community(req.Metastate)
	if err != nil {
		return out, err
	}
	release, err := c.Hold()
	if err != nil {
		return out, err
	}
	defer release()
	_, m, err := c.me()
	if err != nil {
		return out, err
	}
	switch {
	case m.Standing() == roll.Frozen:
		return out, refuse("the persona is frozen: only its guardians can give it another key", "metastate recover list")
	case m.Removed() && m.Keys.Recovery == nil:
		return out, refuse("you are not on the roll any more", "metastate status")
	}
	var r *protocol.Record
	err = n.vault.read(req.Passphrase, func(v *vault.Contents) error {
		i := slices.IndexFunc(v.Citizenships, func(x vault.Citizenship) bool { return protocol.ID(x.Metastate) == c.id })
		if i < 0 && n.vault.memory == nil {
			return refuse("the vault has no persona there", "metastate list")
		}
		p := v.Entropy.Persona(c.id, c.daily.Index)
		defer p.Erase()
		var guard *identity.Guardians
		if req.Guard != nil {
			if guard, out.Codes, err = c.choose(p, *req.Guard); err != nil {
				return err
			}
		}
		r, err = c.rotate(p, m, guard)
		return err
	})
	if err != nil {
		return Rotation{}, err
	}
	c.publish(p2p.Records, r.Inner())
	out.Record, out.Sent = r.ID(), c.hand(ctx, r)
	return out, nil
}

// rotate signs a rotation by the key after the one that the persona has.
func (c *Community) rotate(p identity.Persona, m *roll.Member, guard *identity.Guardians) (*protocol.Record, error) {
	var n uint32
	for ; n < maxRotations; n++ {
		if p.Commitment(n) == m.Keys.Next {
			break
		}
	}
	if n == maxRotations {
		return nil, refuse("this vault does not hold the key that the persona committed to", "if somebody else rotated it, your guardians can give it another: metastate recover request")
	}
	key := p.SigningKey(n)
	defer key.Erase()
	body := roll.RotateBody{Next: p.Commitment(n + 1), Guardians: guard}
	return c.book().write(c.Persona(), key.Public(), protocol.Rotate, protocol.ID{}, func(h protocol.Header) (*protocol.Record, error) {
		if h.Seq != 0 { // a second rotation by one key would freeze the persona
			return nil, refuse("a rotation waits to be made final", "try again when metastate status shows nothing provisional")
		}
		return protocol.Sign(h, body, nil, key)
	})
}

// choose makes a set of guardians, and the code that each is given. Salts follow
// from the persona's secret, so that the vault can tell them again.
func (c *Community) choose(p identity.Persona, g GuardChoice) (*identity.Guardians, []GuardianCode, error) {
	s := c.Snapshot()
	set := &identity.Guardians{Threshold: uint8(min(g.Threshold, identity.MaxGuardians+1)), Delay: int64(g.Delay / time.Second)}
	var codes []GuardianCode
	for _, ref := range g.Personas {
		id, err := c.Member(ref)
		if err != nil {
			return nil, nil, err
		}
		m := s.Final.Roll().Member(id)
		switch {
		case id == c.Persona():
			return nil, nil, refuse("nobody is a guardian of their own", "choose people who you trust and who know you")
		case m.Rank() < roll.RankMember:
			return nil, nil, refuse(ref+" is not a member in full standing", "metastate roll list")
		}
		salt := p.GuardianSalt(id)
		set.Hashes = append(set.Hashes, identity.GuardianHash(salt, id))
		codes = append(codes, GuardianCode{
			Persona: id, Name: m.Name, Code: guardianCode{Metastate: c.id, Persona: c.Persona(), Guardian: id, Salt: salt}.String(),
		})
	}
	slices.SortFunc(set.Hashes, func(a, b identity.Digest) int { return protocol.ID(a).Compare(protocol.ID(b)) })
	if err := set.Validate(); err != nil {
		return nil, nil, &Error{
			Code: "usage", Exit: ExitUsage, Err: err,
			Message: fmt.Sprintf("guardians are 1 to %d different people, of whom at least 1 and at most all are needed, after 3 to 90 days", identity.MaxGuardians),
			Hint:    "metastate guardians set --threshold 3 --delay 14d PERSONA…",
		}
	}
	return set, codes, nil
}
