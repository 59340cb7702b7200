package audit

import (
	"bytes"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/bundle"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/dagcbor"
	"github.com/metastate-p2p/metastate/protocol/decision"
)

// A Listed is a proposal in a history.
type Listed struct {
	Proposal protocol.ID
	Title    string
	Secret   bool
	Closed   bool // a checkpoint in the history closes its vote
}

// List finds the proposals in a history, in its order, to choose one to audit. It
// goes past what is damaged; a vote whose proposal is comes last, without a title.
// What it says is not verified but for the signatures of the proposals. Errors are
// the underlying reader's.
func List(src *bundle.Reader) (list []Listed, err error) {
	closed := map[protocol.ID]bool{}
	var over []protocol.ID
	for item, problem := range src.All() {
		if problem != nil {
			continue
		}
		if item.Certificate != nil {
			for _, c := range closingsOf(item.Certificate) {
				closed[c.Poll] = true
				over = append(over, c.Poll)
			}
			continue
		}
		if !bytes.Contains(item.Inner, []byte(protocol.Propose)) { // its kind is not that
			continue
		}
		r, err := protocol.Parse(item.Inner)
		if err != nil || r.Kind() != protocol.Propose {
			continue
		}
		if body, err := protocol.Body[decision.ProposeBody](r); err == nil {
			list = append(list, Listed{Proposal: r.ID(), Title: body.Title, Secret: body.Secret != decision.SecretBody{}})
		}
	}
	for i, x := range list {
		list[i].Closed = closed[x.Proposal]
		delete(closed, x.Proposal)
	}
	for _, id := range over {
		if closed[id] { // its record is damaged, or missing
			list = append(list, Listed{Proposal: id, Closed: true})
		}
	}
	if err := src.Err(); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return list, nil
}

func closingsOf(b []byte) []certificate.Closing {
	var p packed
	if dagcbor.Unmarshal(b, &p) != nil {
		return nil
	}
	c, err := certificate.ParseCertificate(p.Certificate)
	if err != nil {
		return nil
	}
	v, err := certificate.ParseValue(c.Value)
	if err != nil {
		return nil
	}
	return v.Closings
}
