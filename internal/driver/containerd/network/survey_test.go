package network

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
)

func TestDifference(t *testing.T) {
	const (
		accept = `{"rule":{"chain":"forward","expr":[{"accept":null}],"family":"inet","table":"strongroom"}}`
		drop   = `{"rule":{"chain":"forward","expr":[{"drop":null}],"family":"inet","table":"strongroom"}}`
		open   = `{"chain":{"family":"inet","hook":"forward","name":"forward","policy":"accept","table":"strongroom"}}`
	)
	for _, tt := range []struct {
		before, now []string
		want        string
	}{
		{[]string{drop}, []string{accept, drop}, `added: rule of chain forward [{"accept":null}].`},
		{[]string{drop, drop}, []string{drop}, `missing: rule of chain forward [{"drop":null}].`},
		{[]string{drop}, []string{drop, open}, `added: chain forward {"hook":"forward","policy":"accept"}.`},
		{[]string{drop, accept}, []string{accept, drop}, "the order of its rules is another."},
		{[]string{drop}, nil, "all of it was deleted."},
		{nil, []string{drop}, "it is not as the engine that ran before had loaded it."},
	} {
		if got := difference(tt.before, tt.now); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
	if got := inWords(`{"rule":{"expr":"` + strings.Repeat("x", 5000) + `"}}`); len(got) > 200 {
		t.Errorf("%d bytes", len(got))
	}
}

// TestTampers: what was put right is told until it was told, and only the newest.
func TestTampers(t *testing.T) {
	var list tampers
	for range 2 * most {
		list.note("the table x", "y.")
	}
	s := driver.NewSurvey(driver.AreaFirewall)
	list.tell(s, "")
	if got := s.Parts[0]; len(got.Strays) != most || got.More != 0 || !strings.HasSuffix(got.Strays[0].Text, ": y.") {
		t.Errorf("%+v", got)
	}
	for i := range list[1:] {
		list[i].told = time.Now().Add(-2 * again)
	}
	s = driver.NewSurvey(driver.AreaFirewall)
	list.tell(s, "")
	if got := s.Parts[0].Strays; len(got) != 1 || len(list) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestKept: a listing that is as it was loaded is what the next one is compared
// with.
func TestKept(t *testing.T) {
	l := listing{digest: "sha256:1", objects: []string{"a"}}
	s := &space{state: spaceState{Rules: "sha256:1"}}
	if got := s.changed(l); got != "" || !slices.Equal(s.kept, l.objects) {
		t.Errorf("%q, kept %q", got, s.kept)
	}
	if got := s.changed(listing{}); got != "all of it was deleted." {
		t.Errorf("%q", got)
	}
}
