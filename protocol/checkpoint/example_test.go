package checkpoint_test

import (
	"fmt"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/certificate"
	"github.com/metastate-p2p/metastate/protocol/checkpoint"
)

// community returns a metastate's id and n clerks with their keys.
func community(n int) (ms protocol.ID, clerks []certificate.Clerk, keys []identity.Signer) {
	for i := range n {
		key := identity.NewSigningKey(&[32]byte{31: byte(i + 1)})
		keys = append(keys, key)
		clerks = append(clerks, certificate.Clerk{Persona: protocol.ID{31: byte(i + 1)}, Key: key.Public()})
	}
	return protocol.Sum([]byte("genesis")), clerks, keys
}

// firstValue is the value at height 1.
func firstValue(ms protocol.ID, clerks []certificate.Clerk, asOf int64) []byte {
	b, err := certificate.Value{
		Version: certificate.Version, Metastate: ms, Height: 1, AsOf: asOf, Clerks: clerks,
		Control: certificate.Control{Frontier: []protocol.ID{protocol.Sum([]byte("a head"))}, Count: 1},
	}.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

// One clerk decides alone: what it must not forget comes first, the
// certificate next.
func Example() {
	ms, clerks, keys := community(1)
	m, err := checkpoint.New(checkpoint.Config{Metastate: ms, Height: 1, Clerks: clerks, Signer: keys[0]})
	if err != nil {
		panic(err)
	}
	outputs, _ := m.Step(checkpoint.Start{})
	for len(outputs) > 0 {
		o := outputs[0]
		outputs = outputs[1:]
		switch o := o.(type) {
		case checkpoint.NeedValue:
			more, _ := m.Step(checkpoint.Propose{Round: o.Round, Value: firstValue(ms, clerks, 1_700_000_000)})
			outputs = append(outputs, more...)
		case checkpoint.Persist:
			fmt.Println("store and fsync the record")
		case checkpoint.Decided:
			v, err := o.Certificate.Verify(ms, certificate.Signers{Clerks: clerks})
			fmt.Printf("height %d is final with %d signature, error %v\n", v.Height, len(o.Certificate.Signatures), err)
		}
	}
	// Output:
	// store and fsync the record
	// height 1 is final with 1 signature, error <nil>
}

// Three clerks, of whom the first proposer is away: the timers fire, and the
// other two decide in the next round.
func Example_threeClerks() {
	ms, clerks, keys := community(3)
	machines := make([]*checkpoint.Machine, 3)
	type event struct {
		to int
		in checkpoint.Input
	}
	var now, later []event // timers are due when nothing else is left to do
	const away = 1         // whose turn it is in round 0 of height 1
	for i := range machines {
		m, err := checkpoint.New(checkpoint.Config{Metastate: ms, Height: 1, Clerks: clerks, Signer: keys[i]})
		if err != nil {
			panic(err)
		}
		machines[i] = m
		now = append(now, event{i, checkpoint.Start{}})
	}
	for len(now)+len(later) > 0 {
		if len(now) == 0 {
			now, later = later, nil
		}
		e := now[0]
		now = now[1:]
		if e.to == away {
			continue
		}
		outputs, _ := machines[e.to].Step(e.in)
		for _, o := range outputs {
			switch o := o.(type) {
			case checkpoint.NeedValue:
				now = append(now, event{e.to, checkpoint.Propose{Round: o.Round, Value: firstValue(ms, clerks, 1_700_000_000)}})
			case checkpoint.Judge: // here: is it what the records and the state say?
				now = append(now, event{e.to, checkpoint.Judged{Value: o.ID, Fresh: o.Fresh, OK: true}})
			case checkpoint.Schedule:
				later = append(later, event{e.to, checkpoint.TimedOut{Step: o.Step, Round: o.Round}})
			case checkpoint.Broadcast:
				msg, err := checkpoint.ParseMessage(ms, clerks, o.Message.Bytes())
				if err != nil {
					panic(err)
				}
				for to := range machines {
					if to != e.to {
						now = append(now, event{to, checkpoint.Received{Message: msg}})
					}
				}
			case checkpoint.Decided:
				_, err := o.Certificate.Verify(ms, certificate.Signers{Clerks: clerks})
				fmt.Printf("clerk %d decided in round %d, error %v\n", e.to, o.Certificate.Round, err)
			}
		}
	}
	// Output:
	// clerk 2 decided in round 1, error <nil>
	// clerk 0 decided in round 1, error <nil>
}
