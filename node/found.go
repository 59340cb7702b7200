package node

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/identity/vault"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/abroad"
	"github.com/metastate-p2p/metastate/protocol/charter"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
	"github.com/metastate-p2p/metastate/protocol/state"
	"github.com/metastate-p2p/metastate/store"
)

// charterFor is the charter a founding asks for.
func charterFor(req FoundRequest) (c charter.Charter, err error) {
	switch {
	case req.Charter != "" && req.Template != "":
		return c, &Error{Code: "usage", Exit: ExitUsage, Message: "give a template or a charter, not both"}
	case req.Charter != "":
		c, err = charter.ParseYAML([]byte(req.Charter))
	case req.Template != "":
		c, err = charter.Template(req.Template)
	default:
		c, err = charter.Template(charter.DefaultTemplate)
	}
	if err != nil {
		return c, &Error{
			Code: "bad-charter", Exit: ExitUsage, Message: err.Error(), Err: err,
			Hint: "metastate charter check FILE says what to change",
		}
	}
	return c, nil
}

// A founding is a new metastate before it is stored.
type founding struct {
	genesis *protocol.Record
	key     identity.SigningKey // the founding key, to be erased
}

func newFounding(name string, c charter.Charter, parent *abroad.Anchor, now time.Time) (f founding, err error) {
	body := state.GenesisBody{Name: name, Charter: c, Parent: parent}
	if strings.TrimSpace(name) == "" {
		return f, &Error{Code: "usage", Exit: ExitUsage, Message: "a metastate needs a name that people can see"}
	}
	if err := body.Validate(); err != nil {
		return f, &Error{Code: "usage", Exit: ExitUsage, Message: err.Error(), Err: err}
	}
	rand.Read(body.Nonce[:])
	f.key = identity.GenerateSigningKey()
	f.genesis, err = protocol.Sign(protocol.Header{Kind: protocol.Genesis, Key: f.key.Public(), Time: now.Unix()}, body, nil, f.key)
	return f, err
}

// items are the founding's records and its first checkpoint, which the founding
// key signs and which makes the founder a member and clerk.
func (f founding) items(b birth, now time.Time) (store.Batch, error) {
	recs := []*protocol.Record{f.genesis, b.inception, b.grant}
	tip, err := checkpoint.Begin(f.genesis)
	if err != nil {
		return store.Batch{}, err
	}
	next, err := tip.Propose(recs, now.Unix())
	if err != nil {
		return store.Batch{}, err
	}
	cert, err := checkpoint.DecideAlone(checkpoint.Config{
		Metastate: f.genesis.ID(), Height: 1, Clerks: tip.Clerks(), Signer: f.key,
	}, next.Encoded)
	if err != nil {
		return store.Batch{}, err
	}
	batch := store.Batch{Checkpoint: &store.Checkpoint{Height: 1, Cert: cert.Encode(), Chunks: next.Chunks}}
	for _, r := range recs {
		batch.Items = append(batch.Items, store.Item{ID: r.ID(), Inner: r.Inner()})
	}
	return batch, nil
}

// aliasFor is a local name for a metastate that no other on this node has.
func aliasFor(name string, taken func(string) bool) string {
	name = strings.TrimSpace(name)
	alias := name
	for n := 2; taken(alias) || identity.ValidName(alias) != nil; n++ {
		suffix := fmt.Sprintf(" %d", n)
		cut := strings.ToValidUTF8(name[:min(len(name), identity.MaxNameBytes-len(suffix))], "")
		alias = strings.TrimSpace(cut) + suffix
		if n > vault.MaxCitizenships+1 { // the name is none that a vault takes
			name = "metastate"
		}
	}
	return alias
}
