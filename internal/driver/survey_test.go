package driver

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSurvey(t *testing.T) {
	s := NewSurvey(AreaContainers)
	s.Add("a", "ward")
	s.Look("a", "containers", 2)
	s.Look("a", "containers", 3)
	if got := s.Parts[1].Looked; len(got) != 1 || got[0] != (Count{"containers", 5}) {
		t.Errorf("looked at %+v", got)
	}
	if !s.Clean() {
		t.Error("an empty survey is not clean")
	}
	s.Found("nobody knows", "container", "x")
	if got := s.Parts[0].Strays; len(got) != 1 || s.Clean() {
		t.Errorf("a stray of an unknown space: %+v", s.Parts)
	}
	for range MaxStrays + 7 {
		s.Found("a", "process", "y")
	}
	if p := s.Parts[1]; len(p.Strays) != MaxStrays || p.More != 7 {
		t.Errorf("%d strays and %d more", len(p.Strays), p.More)
	}
}

// TestStrayText: names that an intruder chose neither break a line nor a page.
func TestStrayText(t *testing.T) {
	s := NewSurvey(AreaContainers)
	for _, name := range []string{"\x1b[2J\n\u009b1m\u202e", "\xff\xfe", strings.Repeat("ü", 1000)} {
		s.Found("", "process", "%s", name)
	}
	for _, x := range s.Parts[0].Strays {
		if len(x.Text) > maxStrayText+len("…") || !utf8.ValidString(x.Text) || strings.ContainsAny(x.Text, "\x1b\n\u009b\u202e") {
			t.Errorf("%q", x.Text)
		}
	}
}

func TestConfirm(t *testing.T) {
	one, two := NewSurvey(AreaContainers), NewSurvey(AreaContainers)
	one.Add("a", "ward")
	one.Add("gone", "gone")
	two.Add("a", "ward")
	for _, x := range []string{"stays", "leaves"} {
		one.Found("a", "process", "%s", x)
	}
	one.Found("gone", "process", "with its space")
	two.Found("a", "process", "comes")
	two.Found("a", "process", "stays")
	one.Confirm(two)
	if got := one.Parts[1].Strays; len(got) != 1 || got[0].Text != "stays" {
		t.Errorf("confirmed %+v", got)
	}
	if len(one.Parts[2].Strays) > 0 {
		t.Errorf("confirmed %+v", one.Parts[2].Strays)
	}
}
