package spaces_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestLinks(t *testing.T) {
	l := newLab(t)
	s := l.create("ward", true)
	l.create("attic", true)
	l.Do(&spaces.Allocated{ID: s.ID}, commandtest.Platform)
	for app, space := range map[string]string{"intake": "ward", "records": "ward", "billing": "ward", "stray": "attic"} {
		l.Do(&apps.Create{Name: app, Space: space}, l.As("dev"))
	}
	pair := func(from, to string) []spaces.AppPair { return []spaces.AppPair{{From: from, To: to}} }
	lines := l.Record(&spaces.SetLinks{Identity: "ward", Mode: spaces.LinksListed, Add: pair("intake", "records")}, commandtest.Reason(l.As("owner"), "it files them"))
	got := l.space(s.ID)
	if len(lines) != 1 || lines[0].Action != "space.links" || !got.Linked || len(got.Links) != 1 || got.Links[0].Reason != "it files them" || got.Links[0].By != "owner@example.org" {
		t.Errorf("recorded as %v, kept as %+v", lines, got.Links)
	}
	for want, c := range map[string]spaces.SetLinks{
		"already":           {Add: pair("intake", "records")},
		"no such link":      {Remove: pair("records", "intake")},
		"no app \"stray\"":  {Add: pair("intake", "stray")}, // of another space
		"no app \"nobody\"": {Add: pair("nobody", "records")},
		"reaches itself":    {Add: pair("intake", "intake")},
		"or those that are": {Mode: "some"},
		"at most 500":       {Add: make([]spaces.AppPair, spaces.MaxLinks+1)},
	} {
		c.Identity = "ward"
		if _, err := l.Kernel.Execute(t.Context(), &c, l.As("owner")); !strings.Contains(fault.Message(err), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	l.Refused(fault.Forbidden, s.ID, &spaces.SetLinks{Identity: "ward", Mode: spaces.LinksAny}, l.As("dev"))
	// What is left of an app that is gone goes with the next change.
	l.Do(&apps.Destroy{Identity: "records"}, l.As("owner"))
	l.Do(&spaces.SetLinks{Identity: "ward", Add: pair("billing", "intake")}, l.As("owner"))
	if got := l.space(s.ID).Links; len(got) != 1 || got[0].From == "" {
		t.Errorf("links %s", fmt.Sprint(got))
	}
	l.Do(&spaces.SetLinks{Identity: "ward", Remove: pair("billing", "intake"), Mode: spaces.LinksAny}, l.As("owner"))
	if got := l.space(s.ID); got.Linked || len(got.Links) != 0 {
		t.Errorf("links %v, %v", got.Linked, got.Links)
	}
}
