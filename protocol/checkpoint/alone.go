package checkpoint

import (
	"fmt"

	"github.com/metastate-p2p/metastate/protocol/certificate"
)

// DecideAlone runs the agreement on a value where the signer alone is a quorum,
// and returns the certificate. The caller knows that the value is valid and that
// the signer signed nothing else at the height.
func DecideAlone(cfg Config, value []byte) (certificate.Certificate, error) {
	m, err := New(cfg)
	if err != nil {
		return certificate.Certificate{}, err
	}
	inputs := []Input{Start{}}
	for len(inputs) > 0 {
		in := inputs[0]
		inputs = inputs[1:]
		outputs, _ := m.Step(in)
		for _, out := range outputs {
			switch out := out.(type) {
			case NeedValue:
				inputs = append(inputs, Propose{Round: out.Round, Value: value})
			case Judge:
				inputs = append(inputs, Judged{Value: out.ID, Fresh: out.Fresh, OK: true})
			case Decided:
				return out.Certificate, nil
			}
		}
	}
	return certificate.Certificate{}, fmt.Errorf("checkpoint: deciding height %d alone: the signer is no quorum", cfg.Height)
}
