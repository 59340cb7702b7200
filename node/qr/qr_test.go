package qr_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	reader "github.com/makiuchi-d/gozxing/qrcode"

	"github.com/metastate-p2p/metastate/node/qr"
)

func Example() {
	code, err := qr.Encode("METASTATE", qr.Medium)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(code.Size(), "modules a side,", len(code.Lines()), "lines")
	// Output: 21 modules a side, 13 lines
}

// read has another's decoder read a picture.
func read(t *testing.T, img image.Image) string {
	t.Helper()
	bmp, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := reader.NewQRCodeReader().Decode(bmp, map[gozxing.DecodeHintType]interface{}{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatal(err)
	}
	return got.GetText()
}

// fromLines is the picture that a terminal shows, dark as given.
func fromLines(t *testing.T, lines []string) image.Image {
	t.Helper()
	const px = 4
	width := len([]rune(lines[0]))
	img := image.NewGray(image.Rect(0, 0, width*px, (2*len(lines)-1)*px)) // the last line is half outside
	for row, line := range lines {
		cells := []rune(line)
		if len(cells) != width {
			t.Fatalf("line %d is %d wide, not %d", row, len(cells), width)
		}
		for col, cell := range cells {
			upper, lower := cell == '█' || cell == '▀', cell == '█' || cell == '▄'
			for y := range 2 * px {
				for x := range px {
					if y < px && upper || y >= px && lower {
						img.Set(col*px+x, 2*row*px+y, color.White)
					}
				}
			}
		}
	}
	return img
}

// What is drawn, in a terminal, as PNG and as GIF, is read back by another
// program, at every size.
func TestReadBack(t *testing.T) {
	var codes []qr.Code
	var texts []string
	for n := 1; n <= qr.MaxText; n += 233 {
		for _, of := range []string{"metastate:j/1#aZ09-_", "METASTATE:S/1/ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"} {
			text := strings.Repeat(of, n/len(of)+1)[:n]
			c, err := qr.Encode(text, qr.Level(n%2))
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := c.PNG(&b); err != nil {
				t.Fatal(err)
			}
			img, err := png.Decode(&b)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, img); got != text {
				t.Fatalf("PNG of %d bytes reads %q", n, got)
			}
			if got := read(t, fromLines(t, c.Lines())); got != text {
				t.Fatalf("%d bytes in a terminal read %q", n, got)
			}
			codes, texts = append(codes, c), append(texts, text)
		}
	}
	codes, texts = codes[:6], texts[:6]
	var b bytes.Buffer
	if err := qr.GIF(&b, codes, 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	g, err := gif.DecodeAll(&b)
	if err != nil || len(g.Image) != len(codes) {
		t.Fatal(err)
	}
	for i, img := range g.Image {
		if got := read(t, img); got != texts[i] || g.Delay[i] != 30 || img.Rect != g.Image[0].Rect {
			t.Errorf("picture %d for %d/100 s at %v reads %q", i, g.Delay[i], img.Rect, got)
		}
	}
}

func TestBounds(t *testing.T) {
	if _, err := qr.Encode(strings.Repeat("a", qr.MaxText), qr.Medium); err != nil {
		t.Error(err)
	}
	if _, err := qr.Encode(strings.Repeat("a", qr.MaxText+1), qr.Medium); !errors.Is(err, qr.ErrTooLong) {
		t.Error(err)
	}
	if _, err := qr.Encode(strings.Repeat("A", 3391), qr.Medium); err != nil {
		t.Error(err)
	}
	c, err := qr.Encode("x", qr.Low)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, qr.MaxFrames + 1} {
		if qr.GIF(&bytes.Buffer{}, make([]qr.Code, n), time.Second) == nil {
			t.Errorf("a GIF of %d", n)
		}
	}
	if c.Dark(-1, 0) || c.Dark(0, c.Size()) || !c.Dark(0, 0) {
		t.Error("the finder pattern is not where it belongs")
	}
}
