// Simulation shows a thousand members, each with a node of their own, through
// minutes in which half of what can go wrong does: the network falls apart into
// 60 and 40 %, one member in ten lies, and two of the seven clerks do. Time is
// virtual, and the same seed tells the same story to the byte.
//
//	go run ./examples/simulation
//	go run ./examples/simulation -seed 7 -svg simulation.svg
//
// What runs is the pure core and nothing else: signed records, the rules of what
// a node takes in, the one function that makes the next state, and the clerks'
// agreement. The network, the clock and the disk are the simulation's.
//
// A thousand nodes compute the same thing, so it is computed once for all who
// do it from the same checkpoint with the same records, and signatures are
// made once, by whoever writes, and not verified a thousand times. That this is
// no more than saved work is checked at the end: who begins with nothing but
// bytes verifies every record and certificate, recomputes every state, and comes
// to the same root.
//
// The exit code is 0 only if everything told was checked.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

// settings are what the flags say.
type settings struct {
	members int
	seed    uint64
	svg     string
	width   int // of the drawing, in columns
}

func main() {
	var s settings
	flag.IntVar(&s.members, "members", 1000, "how many members, 100 to 5000")
	flag.Uint64Var(&s.seed, "seed", 1, "what the network does, and what people do")
	flag.StringVar(&s.svg, "svg", "", "write a drawing to this file too")
	flag.IntVar(&s.width, "width", 96, "columns of the drawing in the terminal")
	flag.Parse()
	if err := run(os.Stdout, s); err != nil {
		fmt.Fprintln(os.Stderr, "simulation:", err)
		os.Exit(1)
	}
}

// run tells and draws the story to out. An error means that something that must
// hold did not.
func run(out io.Writer, s settings) error {
	if s.members < 100 || s.members > 5000 || s.width < 40 || s.width > 400 {
		return fmt.Errorf("-members is 100 to 5000 and -width 40 to 400, not %d and %d", s.members, s.width)
	}
	began := time.Now()
	w, err := found(s)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d members with a node each; 7 clerks, of whom 2 lie, as do %d members. Seed %d.\n\n", s.members, len(w.liars), s.seed)
	if err := w.live(); err != nil {
		return err
	}
	w.draw(out, s.width)
	w.tellLies(out)
	if err := w.tellEnd(out); err != nil {
		return err
	}
	if s.svg != "" {
		if err := os.WriteFile(s.svg, w.svg(), 0o666); err != nil {
			return err
		}
		fmt.Fprintf(out, "Drawn to %s.\n", s.svg)
	}
	fmt.Fprintf(out, "That was %v, in %.0f seconds.\n", w.clock(), time.Since(began).Seconds())
	return nil
}
