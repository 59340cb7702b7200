package node

import (
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/node/internal/p2p"
	"github.com/metastate-p2p/metastate/protocol"
)

func testLink(t testing.TB) string {
	t.Helper()
	b, err := bootstrapAt(p2p.Peer{ID: "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", Addrs: []string{"/ip4/192.0.2.1/tcp/4001"}})
	if err != nil {
		t.Fatal(err)
	}
	return link{Version: 1, Metastate: protocol.ID{1}, Bootstraps: []bootstrap{b}, Secret: make([]byte, linkSecretSize), Expires: 1, Uses: 1}.String()
}

// An invite under a PIN is of no use without it, nor changed; and tells nothing.
func TestInviteUnderPIN(t *testing.T) {
	text := testLink(t)
	locked, pin, err := LockLink("join: " + text + " please")
	if err != nil {
		t.Fatal(err)
	}
	if !LinkLocked(locked) || LinkLocked(text) || len(pin) != pinDigits || strings.Contains(locked, text[len(linkPrefix):len(linkPrefix)+16]) {
		t.Errorf("%s under %s", locked, pin)
	}
	if _, err := parseLink(locked); AsError(err).Code != "bad-link" || !strings.Contains(err.Error(), "PIN") {
		t.Errorf("taken without its PIN: %v", err)
	}
	for _, typed := range []string{" " + pin[:4] + " " + pin[4:] + "\n", pin[:2] + "-" + pin[2:]} {
		if got, err := UnlockLink("by "+locked+"\nas said", typed); err != nil || got != text {
			t.Errorf("%q opens %q, %v", typed, got, err)
		}
	}
	narrow, err := ForQR(locked)
	if err != nil || !LinkLocked(narrow) || strings.Trim(narrow, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/") != "" {
		t.Errorf("for a QR code it is %q, %v", narrow, err)
	}
	if got, err := UnlockLink(narrow, pin); err != nil || got != text {
		t.Errorf("as in a QR code it opens %q, %v", got, err)
	}
	if _, err := ForQR("no link"); AsError(err).Code != "bad-link" {
		t.Error(err)
	}
	other := "00000000"
	if pin == other {
		other = "00000001"
	}
	changed, err := lockedBytes(locked)
	if err != nil {
		t.Fatal(err)
	}
	changed[len(changed)-1] ^= 1
	for name, try := range map[string]struct{ text, pin, code string }{
		"another PIN":       {locked, other, "wrong-pin"},
		"changed":           {locked[:len(locked)-6] + "AAAAAA", pin, "bad-link"},
		"made up":           {textOf(pinPrefix, changed), pin, "wrong-pin"},
		"cut short":         {locked[:len(pinPrefix)+20], pin, "bad-link"},
		"changed for QR":    {narrow + "1", pin, "bad-link"},
		"no such letters":   {pinPrefix + "!" + locked[len(pinPrefix):], pin, "bad-link"},
		"a link without it": {text, pin, "bad-link"},
		"too long":          {pinPrefix + strings.Repeat("A", maxPinText+1), pin, "bad-link"},
		"seven digits":      {locked, pin[:7], "bad-pin"},
		"letters":           {locked, "abcdefgh", "bad-pin"},
	} {
		if got, err := UnlockLink(try.text, try.pin); err == nil || AsError(err).Code != try.code {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if again, _, err := LockLink(text); err != nil || again == locked {
		t.Errorf("the same under two PINs: %v", err)
	}
	if _, _, err := LockLink("no link"); AsError(err).Code != "bad-link" {
		t.Error(err)
	}
}

// FuzzLockedBytes: what is under a PIN may be anything.
func FuzzLockedBytes(f *testing.F) {
	f.Add(pinPrefix + strings.Repeat("A", 100))
	f.Add("metastate:p/1# AAAA")
	f.Add(textOf(pinPrefix, make([]byte, 100)))
	f.Fuzz(func(t *testing.T, text string) {
		b, err := lockedBytes(text)
		if err != nil && AsError(err).Code != "bad-link" || err == nil && len(b) < pinSalt+16 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
	})
}
