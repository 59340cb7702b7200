package committee

import (
	"errors"
	"slices"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
	"github.com/metastate-p2p/metastate/protocol/decision/secret/keygen"
)

// A Message is what a trustee says.
type Message struct {
	Record  protocol.ID
	Persona protocol.ID
	Device  identity.PublicKey
	Stage   Stage // or Complain
	Body    []byte
}

// Why a message does not count. Words are for people.
var (
	ErrNotTrustee = errors.New("its author is no trustee of this committee")
	ErrStage      = errors.New("the committee is not at that stage")
	ErrDevice     = errors.New("the trustee announced another device")
	ErrTwice      = errors.New("the trustee said so already")
	ErrMessage    = errors.New("it is not what the stage asks for, or it proves nothing")
)

// Apply adds a message of a step that began with base, and refuses it with one of
// the errors above. The messages of one step are judged by the stage of its base.
func (c *Committee) Apply(base *Committee, m Message) (*Committee, error) {
	number := base.Number(m.Persona)
	if number == 0 {
		return c, ErrNotTrustee
	}
	at := m.Stage
	if at == Complain {
		at = Confirm
	}
	if base.Stage != at || c.Stage != at || base.Stage == Ready || base.Stage == Failed {
		return c, ErrStage
	}
	was := c.Trustees[number-1]
	if at != Announce && was.Device != m.Device {
		return c, ErrDevice
	}
	next := *c
	next.Trustees = slices.Clone(c.Trustees)
	if err := next.take(number, m); err != nil {
		return c, err
	}
	return &next, nil
}

// take and what it calls change a copy.
func (c *Committee) take(number int, m Message) error {
	t := &c.Trustees[number-1]
	switch m.Stage {
	case Announce:
		return c.announce(t, number, m)
	case Commit:
		if _, err := keygen.ParseCommitment(m.Body); err != nil {
			return ErrMessage
		}
		if t.Commitment != nil {
			return ErrTwice
		}
		t.Commitment = m.Body
	case Deal:
		return c.deal(t, number, m)
	case Confirm:
		if t.Confirmed {
			return ErrTwice
		}
		if len(m.Body) != 0 {
			return ErrMessage
		}
		t.Confirmed = true
	case Complain:
		return c.complain(number, m)
	}
	return nil
}

func (c *Committee) announce(t *Trustee, number int, m Message) error {
	a, err := keygen.ParseAnnouncement(m.Body)
	switch {
	case t.Announcement != nil:
		return ErrTwice
	case err != nil || a.Check(c.Kind(), number) != nil:
		return ErrMessage
	case slices.ContainsFunc(c.Trustees, func(o Trustee) bool { return sameKey(o.Announcement, a) }):
		return ErrMessage // who has a copied key can't prove it, so this is never the first
	}
	t.Announcement, t.Device = m.Body, m.Device
	return nil
}

func sameKey(b []byte, a keygen.Announcement) bool {
	other, err := keygen.ParseAnnouncement(b)
	return b != nil && err == nil && other.Key().Equal(a.Key())
}

func (c *Committee) deal(t *Trustee, number int, m Message) error {
	switch {
	case t.Deal != nil:
		return ErrTwice
	case t.Commitment == nil:
		return ErrMessage
	}
	d, err := c.readDeal(number, m.Body)
	if err != nil {
		return ErrMessage
	}
	t.Deal = m.Body
	c.deals = slices.Clone(c.deals)
	c.deals[number-1] = d
	return nil
}

func (c *Committee) complain(number int, m Message) error {
	x, err := keygen.ParseComplaint(m.Body)
	if err != nil || x.Dealer() > len(c.Trustees) {
		return ErrMessage
	}
	d := c.deals[x.Dealer()-1]
	if d == nil {
		return ErrTwice // of no deal, or one that another complaint has struck out
	}
	verdict, err := d.Judge(number, x)
	if err != nil {
		return ErrMessage
	}
	if verdict == keygen.AccuserGuilty {
		c.Trustees[number-1].Guilty = m.Record
		return nil
	}
	dealer := &c.Trustees[x.Dealer()-1]
	dealer.Guilty, dealer.Bad = m.Record, true
	c.deals = slices.Clone(c.deals)
	c.deals[x.Dealer()-1] = nil
	return nil
}

// spoken is how many have said what the stage asks for, and of how many that is
// asked.
func (c *Committee) spoken() (n, of int) {
	for _, t := range c.Trustees {
		asked, said := true, false
		switch c.Stage {
		case Announce:
			said = t.Announcement != nil
		case Commit:
			asked, said = t.Announcement != nil, t.Commitment != nil
		case Deal:
			asked, said = t.Commitment != nil, t.Deal != nil
		case Confirm:
			asked, said = t.Announcement != nil, t.Confirmed
		}
		if asked {
			of++
		}
		if said {
			n++
		}
	}
	return n, of
}

// Tick ends stages that are over at a checkpoint's time, and sets when the present
// one will be.
func (c *Committee) Tick(now int64) *Committee {
	for c.Stage != Ready && c.Stage != Failed {
		n, of := c.spoken()
		enough := n >= c.Kind().Q()
		if c.Stage == Deal { // one honest dealer among them makes the key secret
			enough = n >= c.Kind().K()
		}
		switch {
		case n == of && enough, enough && c.Until != 0 && c.Until <= now:
			c = c.next()
		case enough && c.Until == 0:
			next := *c
			next.Until = now + c.Patience
			return &next
		default:
			return c
		}
	}
	return c
}

// next is the committee in its next stage.
func (c *Committee) next() *Committee {
	next := *c
	next.Until = 0
	next.Stage = map[Stage]Stage{Announce: Commit, Commit: Deal, Deal: Confirm, Confirm: Ready}[c.Stage]
	var err error
	switch next.Stage {
	case Commit:
		err = next.derive()
	case Ready:
		next.keys, err = keygen.NewKeys(c.roster, c.good())
	}
	if err != nil {
		next.Stage = Failed
	}
	return &next
}
