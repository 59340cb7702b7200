package decision

import "testing"

// TestCheckLineRefusesWhatHides: each end of each range of characters that
// break a line, take no place or turn the text around, and what lies beside.
func TestCheckLineRefusesWhatHides(t *testing.T) {
	for _, r := range []rune{
		0, 0x1F, 0x7F, 0x9F, 0xAD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0x2028, 0x202E, 0x2060, 0x206F,
		0xFEFF, 0xFFF0, 0xFFFB, 0xE0000, 0xE0FFF,
	} {
		if CheckLine("title", "a"+string(r)+"b", MaxTitle) == nil {
			t.Errorf("%U passes", r)
		}
	}
	for _, r := range []rune{
		0x20, 0x7E, 0xA0, 0xAC, 0xAE, 0x061B, 0x061D, 0x180D, 0x180F, 0x200A, 0x200C, 0x200D, 0x2010, 0x2027, 0x202F,
		0x205F, 0x2070, 0xFEFE, 0xFF00, 0xFFEF, 0xFFFC, 0xDFFFF, 0xE1000,
	} {
		if err := CheckLine("title", "a"+string(r)+"b", MaxTitle); err != nil {
			t.Errorf("%U: %v", r, err)
		}
	}
}

func TestPhaseClosed(t *testing.T) {
	for p, want := range map[Phase]bool{
		Draft: false, Discussion: false, Frozen: false, Voting: false, Contest: true, Passed: true, Rejected: true, InForce: true,
	} {
		if p.Closed() != want {
			t.Errorf("%s: closed %t", p, !want)
		}
	}
}
