package main

import (
	"fmt"
	"time"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

// A cast is a ballot that an honest member cast.
type cast struct {
	by     *person
	vote   *vote
	id     protocol.ID
	choice string
	at     time.Duration
	side   int
}

// A chronicle is what the drawing is made of.
type chronicle struct {
	votes     []*vote
	ballots   []cast
	lies      []lie
	refused   map[int]string // why a node refused a record
	flooded   bool
	accused   map[identity.PublicKey]bool
	omissions map[protocol.ID]bool // values that left something out
	events    []happening
	made      []made
	looks     []look
}

// A lie is a record of a dishonest member, and what they did with it.
type lie struct {
	what   string
	record int
	at     time.Duration
	side   int
}

// A happening is a line of the story.
type happening struct {
	at   time.Duration
	what string
}

// A made checkpoint.
type made struct {
	at   time.Duration
	side int
	f    *final
}

// A look is how things stand in a second.
type look struct {
	at      time.Duration
	heights [2]uint64 // of the highest node on either side
	open    [2]int    // records held and not final there, at an honest clerk's
	roots   int       // different state roots among nodes
	top     float64   // part of the nodes that are at the latest checkpoint
}

func newChronicle() chronicle {
	return chronicle{refused: map[int]string{}, accused: map[identity.PublicKey]bool{}, omissions: map[protocol.ID]bool{}}
}

func (c *chronicle) event(w *world, what string) {
	c.events = append(c.events, happening{w.clock(), what})
}

func (c *chronicle) decided(w *world, side int, f *final) {
	c.made = append(c.made, made{w.clock(), side, f})
	for _, id := range f.tip.State().Decisions().JustClosed() {
		for _, v := range c.votes {
			if v.id == id {
				c.event(w, fmt.Sprintf("the vote %q closes", v.title))
			}
		}
	}
}

// look takes down how things stand.
func (w *world) look() {
	l := look{at: w.clock()}
	roots := map[protocol.ID]int{}
	var best uint64
	for _, n := range w.honest() {
		l.heights[n.side] = max(l.heights[n.side], n.height())
		best = max(best, n.height())
		roots[n.ref()]++
	}
	l.open[0], l.open[1] = len(w.clerks[0].open), len(w.clerks[3].open)
	l.roots = len(roots)
	for _, n := range w.honest() {
		if n.height() == best {
			l.top++
		}
	}
	l.top /= float64(len(w.honest()))
	w.told.looks = append(w.told.looks, l)
}
