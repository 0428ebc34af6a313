package hostname

import (
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	var m Map[string]
	for _, pattern := range []string{"example.org", "*.example.org", "a.example.org", "*.a.example.org", "x_y.example.org"} {
		if err := m.Add(pattern, pattern); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]string{
		"example.org": "example.org", "EXAMPLE.org": "example.org",
		"b.example.org": "*.example.org", "a.example.org": "a.example.org",
		"b.a.example.org": "*.a.example.org", "c.b.example.org": "", "x_y.example.org": "x_y.example.org",
		"org": "", "": "", ".": "", "*.example.org": "", ".example.org": "", "example.org.": "",
		"b..example.org": "", "b\x00.example.org": "", "ä.example.org": "", "b.example.org:443": "",
		strings.Repeat("a", 63) + ".example.org": "*.example.org", strings.Repeat("a", 64) + ".example.org": "",
	}
	for name, want := range tests {
		got, ok := m.Find(name)
		if got != want || ok != (want != "") {
			t.Errorf("Find(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
	var empty Map[int]
	if _, ok := empty.Find("example.org"); ok {
		t.Error("an empty map finds something")
	}
}

func TestAddRefuses(t *testing.T) {
	var m Map[int]
	if err := m.Add("example.org", 1); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"example.org", "", "*", "*.", "*.*.example.org", "a.*", "A.example.org", "a b", "a.", strings.Repeat("a.", 127) + "a"} {
		if err := m.Add(pattern, 2); err == nil {
			t.Errorf("Add(%q) is accepted", pattern)
		}
	}
}

func TestOfAuthority(t *testing.T) {
	for authority, want := range map[string]string{
		"example.org": "example.org", "example.org:443": "example.org", "example.org.": "example.org",
		"example.org.:443": "example.org", "[::1]:443": "[", "": "",
	} {
		if got := OfAuthority(authority); got != want {
			t.Errorf("OfAuthority(%q) = %q, want %q", authority, got, want)
		}
	}
}
