// Package qr draws QR codes (ISO/IEC 18004): as text for a terminal, as a PNG
// image, and several in turn as an animated GIF.
//
// A text of digits, upper-case letters and $%*+-./: alone takes about a third less
// room than another.
package qr

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
)

const (
	quiet  = 4 // light modules around a code in images, as the standard asks
	margin = 2 // in a terminal, which is narrow
	scale  = 8 // pixels a module in images
	// MaxText is the most bytes that a code of level Medium holds, 3,391 if all are
	// of the narrow alphabet.
	MaxText = 2331
	// MaxFrames is the most codes that one GIF holds.
	MaxFrames = 256
)

// ErrTooLong is wrapped when a text fits no code.
var ErrTooLong = errors.New("too long for a QR code")

// A Level says how much damage a code bears.
type Level byte

// Levels.
const (
	Low    Level = iota // 7 %: on a screen
	Medium              // 15 %: on paper
)

// A Code is a square of modules.
type Code struct {
	size int
	dark []bool // by row
}

// Encode returns the smallest code of a text.
func Encode(text string, l Level) (Code, error) {
	correction := qr.L
	if l == Medium {
		correction = qr.M
	}
	drawn, err := qr.Encode(text, correction, qr.Auto)
	if err != nil { // of texts in UTF-8 there is no other reason
		return Code{}, fmt.Errorf("qr: %w: %d bytes", ErrTooLong, len(text))
	}
	n := drawn.Bounds().Dx()
	c := Code{n, make([]bool, n*n)}
	for i := range c.dark {
		c.dark[i] = drawn.At(i%n, i/n) == color.Black
	}
	return c, nil
}

// Size is how many modules a side has, without the quiet zone.
func (c Code) Size() int { return c.size }

// Dark reports whether the module in a column and row is dark. Those outside the
// code are light.
func (c Code) Dark(x, y int) bool {
	return x >= 0 && y >= 0 && x < c.size && y < c.size && c.dark[y*c.size+x]
}

// Lines draws the code and a narrow quiet zone with half blocks, two rows of modules
// a line. What is light is drawn: on a dark terminal it looks as on paper.
func (c Code) Lines() []string {
	var lines []string
	for y := -margin; y < c.size+margin; y += 2 {
		var b strings.Builder
		for x := -margin; x < c.size+margin; x++ {
			upper, lower := !c.Dark(x, y), !c.Dark(x, y+1) && y+1 < c.size+margin
			switch {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		lines = append(lines, b.String())
	}
	return lines
}

var blackOnWhite = color.Palette{color.White, color.Black}

// image draws the code in the middle of a square with so many modules a side.
func (c Code) image(modules int) *image.Paletted {
	img := image.NewPaletted(image.Rect(0, 0, modules*scale, modules*scale), blackOnWhite)
	at := (modules - c.size) / 2
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if c.Dark(x/scale-at, y/scale-at) {
				img.Pix[y*img.Stride+x] = 1
			}
		}
	}
	return img
}

// PNG writes the code as an image.
func (c Code) PNG(w io.Writer) error {
	if err := png.Encode(w, c.image(c.size+2*quiet)); err != nil {
		return fmt.Errorf("qr: writing PNG: %w", err)
	}
	return nil
}

// GIF writes codes, 1 to MaxFrames, as an image that shows one after the other
// for so long, over and over.
func GIF(w io.Writer, codes []Code, each time.Duration) error {
	if len(codes) == 0 || len(codes) > MaxFrames {
		return fmt.Errorf("qr: writing GIF: %d codes", len(codes))
	}
	side := 0
	for _, c := range codes {
		side = max(side, c.size+2*quiet)
	}
	var g gif.GIF
	for _, c := range codes {
		g.Image = append(g.Image, c.image(side))
		g.Delay = append(g.Delay, int(each/(10*time.Millisecond)))
	}
	if err := gif.EncodeAll(w, &g); err != nil {
		return fmt.Errorf("qr: writing GIF: %w", err)
	}
	return nil
}
