package decision

import (
	"fmt"
	"strings"

	"github.com/metastate-p2p/metastate/protocol/decision/count"
	"github.com/metastate-p2p/metastate/protocol/decision/count/approval"
	"github.com/metastate-p2p/metastate/protocol/decision/count/consent"
	"github.com/metastate-p2p/metastate/protocol/decision/count/equalshares"
	"github.com/metastate-p2p/metastate/protocol/decision/count/irv"
	"github.com/metastate-p2p/metastate/protocol/decision/count/lists"
	"github.com/metastate-p2p/metastate/protocol/decision/count/meekstv"
	"github.com/metastate-p2p/metastate/protocol/decision/count/plurality"
	"github.com/metastate-p2p/metastate/protocol/decision/count/quadratic"
	"github.com/metastate-p2p/metastate/protocol/decision/count/schulze"
	"github.com/metastate-p2p/metastate/protocol/decision/count/score"
	"github.com/metastate-p2p/metastate/protocol/decision/count/scottishstv"
	"github.com/metastate-p2p/metastate/protocol/decision/count/yesno"
)

// Methods are the names of the counting methods of this version.
func Methods() []string {
	return []string{"yes-no", "consent", "plurality", "approval", "score", "quadratic", "schulze", "irv", "scottish-stv", "meek-stv", "meek-prf", "dhondt", "sainte-lague", "hare", "droop", "equal-shares"}
}

// MethodByName finds a counting method of this version.
func MethodByName(name string) (count.Method, error) {
	switch name {
	case "yes-no":
		return yesno.Method{}, nil
	case "consent":
		return consent.Method{}, nil
	case "plurality":
		return plurality.Method{}, nil
	case "approval":
		return approval.Method{}, nil
	case "score":
		return score.Method{}, nil
	case "quadratic":
		return quadratic.Method{}, nil
	case "schulze":
		return schulze.Method{}, nil
	case "irv":
		return irv.Method{}, nil
	case "scottish-stv":
		return scottishstv.Method{}, nil
	case "meek-stv":
		return meekstv.Method{}, nil
	case "meek-prf":
		return meekstv.Method{Reference: true}, nil
	case "dhondt", "sainte-lague", "hare", "droop":
		return lists.Method(name), nil
	case "equal-shares":
		return equalshares.Method{}, nil
	}
	return nil, fmt.Errorf("decision: no counting method %q in this version: use one of %s", name, strings.Join(Methods(), ", "))
}
