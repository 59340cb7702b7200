package p2p

import (
	"testing"
)

// Each profile brings its own limits.
func TestProfileLimits(t *testing.T) {
	for _, c := range []struct {
		profile        Profile
		conns, perAddr int
		memory         int64
		low, high      int
	}{
		{ProfileMember, 128, 32, 128 << 20, 20, 40},
		{ProfileRelay, 1024, 64, 512 << 20, 200, 400},
		{ProfileHidden, 128, 128, 128 << 20, 20, 40},
	} {
		cfg := Config{Seed: [32]byte{1}, Profile: c.profile, Hidden: Hidden{SOCKS: "127.0.0.1:9050"}}
		if err := cfg.complete(); err != nil {
			t.Fatal(err)
		}
		l := cfg.Profile.limits()
		if l.Conns != c.conns || l.PerAddress != c.perAddr || l.Memory != c.memory || l.Low != c.low || l.High != c.high || l.PeerConns != 4 || l.Streams != 64 {
			t.Errorf("%v: %+v", c.profile, l)
		}
	}
	if (&Config{Seed: [32]byte{1}, Profile: 3}).complete() == nil {
		t.Error("a profile that there is not was taken")
	}
}

func TestParseProfile(t *testing.T) {
	for i := range profiles {
		if p, err := ParseProfile(Profile(i).String()); err != nil || p != Profile(i) {
			t.Errorf("%v: %v, %v", Profile(i), p, err)
		}
	}
	for _, bad := range []string{"", "Member", "Profile(7)"} {
		if p, err := ParseProfile(bad); err == nil {
			t.Errorf("%q: %v", bad, p)
		}
	}
}
