package decision

import (
	"cmp"
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/quadratic"
	"github.com/metastate-p2p/metastate/protocol/decision/count/schulze"
	"github.com/metastate-p2p/metastate/protocol/decision/count/score"
	"github.com/metastate-p2p/metastate/protocol/decision/secret"
)

// SecretShape is what secret ballots of a method say, or why it has none and what
// to take instead.
func SecretShape(method string, p count.Params) (secret.Shape, error) {
	switch method {
	case "yes-no", "consent", "plurality", "dhondt", "sainte-lague", "hare", "droop":
		return secret.Shape{Kind: secret.One}, nil
	case "approval":
		return secret.Shape{Kind: secret.Approvals}, nil
	case "score":
		return secret.Shape{Kind: secret.Scores, Top: cmp.Or(p.Top, score.Top)}, nil
	case "quadratic":
		return secret.Shape{Kind: secret.Quadratic, Top: cmp.Or(p.Top, quadratic.Credits)}, nil
	case "schulze":
		return secret.Shape{Kind: secret.Ranking}, nil
	}
	if _, err := MethodByName(method); err != nil {
		return secret.Shape{}, err
	}
	return secret.Shape{}, fmt.Errorf("decision: %s counts each ballot by itself, and so can't be secret: only sums of secret ballots are opened; "+
		"take schulze to rank, approval to elect several, or an open vote", method)
}

// CountOpened counts what secret ballots sum up to. The result is that of the same
// ballots in the open.
func CountOpened(method string, q count.Question, r secret.Result) (count.Result, error) {
	if _, err := SecretShape(method, q.Params); err != nil {
		return count.Result{}, err
	}
	m, err := MethodByName(method)
	if err != nil {
		return count.Result{}, err
	}
	if method == "schulze" {
		if len(r.Matrix) != len(q.Options) {
			return count.Result{}, fmt.Errorf("decision: a sum of rankings of %d options for a question of %d", len(r.Matrix), len(q.Options))
		}
		if _, err := count.Count(m, q, nil); err != nil { // whether it can be counted
			return count.Result{}, err
		}
		return schulze.FromMatrix(q, r.Matrix), nil
	}
	// As a method that only adds up sees them, the ballots might as well have
	// marked one option once each.
	var ballots []count.Ballot
	for i, n := range r.Sums {
		marks := make(count.Marks, len(r.Sums))
		marks[i] = 1
		ballots = append(ballots, count.Ballot{Marks: marks, N: n})
	}
	return count.Count(m, q, ballots)
}
