package roll

import (
	"strings"
	"testing"

	"github.com/metastate-p2p/metastate/identity"
	"github.com/metastate-p2p/metastate/protocol"
)

func span(height uint64, asOf int64, s Standing) Span {
	return Span{Height: height, AsOf: asOf, Standing: s}
}

func TestMemberStanding(t *testing.T) {
	m := &Member{}
	for _, x := range []struct {
		height uint64
		asOf   int64
		s      Standing
	}{{2, 20, Pending}, {4, 40, Full}, {4, 40, Suspended}, {6, 60, Full}, {9, 90, Left}} {
		m = m.with(Step{x.height, x.asOf}, x.s, protocol.Reason{})
	}
	want := map[uint64]Standing{1: 0, 2: Pending, 3: Pending, 4: Suspended, 5: Suspended, 6: Full, 8: Full, 9: Left, 99: Left}
	for height, s := range want {
		if got := m.StandingAt(height); got != s {
			t.Errorf("at %d: %q, want %q", height, got, s)
		}
	}
}

func TestMemberSince(t *testing.T) {
	for _, x := range []struct {
		spans []Span
		since int64
	}{
		{[]Span{span(1, 10, Pending)}, 0},
		{[]Span{span(1, 10, Pending), span(2, 20, Full)}, 20},
		{[]Span{span(1, 10, Full), span(2, 20, Suspended), span(3, 30, Full)}, 10}, // a suspension is no new admission
		{[]Span{span(1, 10, Full), span(2, 20, Left), span(3, 30, Full)}, 30},
	} {
		if got := (&Member{Spans: x.spans}).Since(); got != x.since {
			t.Errorf("%v: since %d, want %d", x.spans, got, x.since)
		}
	}
}

func TestRank(t *testing.T) {
	var nobody *Member
	full, away := []Span{span(1, 1, Full)}, []Span{span(1, 1, Suspended)}
	for _, x := range []struct {
		m    *Member
		rank int
	}{
		{nobody, RankNone},
		{&Member{Spans: full}, RankMember},
		{&Member{Spans: full, Post: &Post{Offices: []Holding{{Office: "organiser"}}}}, RankOfficer},
		{&Member{Spans: full, Post: &Post{Offices: []Holding{{Office: Clerk}, {Office: "organiser"}}}}, RankClerk},
		{&Member{Spans: away, Post: &Post{Offices: []Holding{{Office: Clerk}}}}, RankNone},
		{&Member{Spans: full, Post: &Post{Offices: []Holding{{Office: Clerk, Over: true}}}}, RankMember},
	} {
		if got := x.m.Rank(); got != x.rank {
			t.Errorf("%+v: rank %d, want %d", x.m, got, x.rank)
		}
	}
}

func TestDeviceLive(t *testing.T) {
	var none *Device
	switch {
	case none.Live(0):
		t.Error("no device is live")
	case !(&Device{Expires: 10}).Live(9) || (&Device{Expires: 10}).Live(10):
		t.Error("a grant ends at its expiry, not before and not after")
	case (&Device{Expires: 10, marks: &Marks{Forked: true}}).Live(9):
		t.Error("a forked device is live")
	case (&Device{Expires: 10, marks: &Marks{Revoked: 3}}).Live(9):
		t.Error("a revoked device is live")
	}
}

// TestReasonsAreBounded: an entry does not grow with its history, and keeps
// what is newest.
func TestEntriesAreBounded(t *testing.T) {
	m := &Member{Keys: Keys{Key: identity.PublicKey{1}}}
	for i := range 200 {
		m = m.with(Step{uint64(i), int64(i)}, []Standing{Full, Suspended}[i%2], protocol.Reason{Rule: RuleLapse})
	}
	if len(m.Spans) != maxSpans || len(m.Because) != maxReasons || m.Spans[maxSpans-1].Height != 199 {
		t.Errorf("%d spans, %d reasons, last %v", len(m.Spans), len(m.Because), m.Spans[len(m.Spans)-1])
	}
}

func TestBodiesValidate(t *testing.T) {
	ids := func(n ...byte) (list []protocol.ID) {
		for _, b := range n {
			list = append(list, protocol.ID{b})
		}
		return list
	}
	many := make([]protocol.ID, MaxAppointees+1)
	for i := range many {
		many[i] = protocol.ID{byte(i + 1)}
	}
	for what, x := range map[string]struct {
		err error
		ok  bool
	}{
		"appoint":            {AppointBody{Personas: ids(1, 2)}.Validate(), true},
		"appoint nobody":     {AppointBody{}.Validate(), false},
		"appoint thirteen":   {AppointBody{Personas: many[1:]}.Validate(), true},
		"appoint fourteen":   {AppointBody{Personas: many}.Validate(), false},
		"appoint unsorted":   {AppointBody{Personas: ids(2, 1)}.Validate(), false},
		"appoint twice":      {AppointBody{Personas: ids(1, 1)}.Validate(), false},
		"suspend":            {RestrictBody{Reason: strings.Repeat("x", MaxReason)}.Validate(), true},
		"suspend for naught": {RestrictBody{}.Validate(), false},
		"suspend at length":  {RestrictBody{Reason: strings.Repeat("x", MaxReason+1)}.Validate(), false},
		"suspend in bytes":   {RestrictBody{Reason: "\xff"}.Validate(), false},
	} {
		if (x.err == nil) != x.ok {
			t.Errorf("%s: %v", what, x.err)
		}
	}
}
