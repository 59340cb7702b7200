package main

import (
	"errors"
	"os"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/metastate-p2p/metastate/node"
	"github.com/metastate-p2p/metastate/node/qr"
)

// qrOf is the QR code of a text.
func qrOf(text string, l qr.Level) (qr.Code, error) {
	c, err := qr.Encode(text, l)
	if errors.Is(err, qr.ErrTooLong) {
		return c, &failure{
			Code: "too-long", Exit: node.ExitFailed, Message: "it is too long for a QR code", Hint: "leave out --qr and --qr-out, and send it as text",
		}
	}
	return c, err
}

// picture adds a QR code. On a terminal it is black on white whatever the
// terminal's colours are; one that is too narrow shows none, as broken lines are of
// no use.
func (p *page) picture(lines []string) {
	if len(lines) > 0 && p.width > 0 && utf8.RuneCountInString(lines[0]) > p.width {
		p.line("The QR code needs %d columns, and this terminal has %d: make its letters smaller, or write an image to a file.",
			utf8.RuneCountInString(lines[0]), p.width)
		return
	}
	before, after := "", "\n"
	if p.width > 0 {
		before, after = "\x1b[97;40m", "\x1b[0m\n" // what is light is drawn
	}
	for _, l := range lines {
		p.buf.WriteString(before + l + after)
	}
}

// width is how many columns the terminal has that answers go to, 0 if they go to
// none.
func (a *app) width() int {
	f, ok := a.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}
