package evidence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/evidence"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestExport(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	ward := w.IDs["space:ward"]
	export := func(from, to time.Duration) *evidence.Export {
		return &evidence.Export{Space: "ward", From: commandtest.Noon.Add(from), To: commandtest.Noon.Add(to)}
	}
	w.Pass(time.Hour)
	cmd := export(-time.Hour, time.Minute)
	cmd.Recordings = true
	lines := w.Record(cmd, w.As("auditor"))
	p := commandtest.Get[*document.Pack](w, cmd.Pack.ID)
	if p.Scope != ward || len(p.Spaces) != 1 || p.Spaces[0] != ward || p.ByEmail != "auditor@example.org" || p.Manifest != "" {
		t.Errorf("%+v", p)
	}
	if l := lines[0]; l.Scope != ward || l.Detail("from") != "2026-03-02T11:00:00.000000000Z" || l.Detail("to") != "2026-03-02T12:01:00.000000000Z" || l.Detail("recordings") != "included" {
		t.Errorf("recorded as %v %v", l, l.Details)
	}
	some := export(-time.Hour, time.Minute)
	some.Items, some.Notice = []string{"164.312(b)", "164.312(d)"}, commandtest.Noon
	if l := w.Record(some, w.As("auditor"))[0]; l.Detail("items") != "164.312(b) 164.312(d)" || l.Detail("notice") != "2026-03-02T12:00:00.000000000Z" {
		t.Errorf("recorded as %v %v", l, l.Details)
	}
	w.Do(export(-time.Hour, time.Hour), w.As("owner")) // up to this moment
	for name, bad := range map[string]*evidence.Export{
		"the future": export(-time.Hour, 90*24*time.Hour), "a nanosecond of it": {Space: "ward", From: commandtest.Noon, To: w.Now().Add(2*time.Minute + time.Nanosecond)},
		"empty": export(0, 0), "backwards": export(time.Minute, 0), "nothing given": {Space: "ward"},
		"a notice before the period": {Space: "ward", From: commandtest.Noon, To: commandtest.Noon.Add(time.Hour), Notice: commandtest.Noon.Add(-1)},
		"a notice after the period":  {Space: "ward", From: commandtest.Noon, To: commandtest.Noon.Add(time.Hour), Notice: commandtest.Noon.Add(time.Hour + 1)},
	} {
		if w.Refused(fault.Invalid, commandtest.None, bad, w.As("auditor")); t.Failed() {
			t.Fatal(name)
		}
		w.Set(commandtest.Noon.Add(time.Hour)) // Refused lets time go by
	}
	for who, kind := range map[string]fault.Kind{"dev": fault.Forbidden, "viewer": fault.Forbidden, "approver": fault.Forbidden, "collab": fault.NotFound, "stranger": fault.NotFound} {
		w.Refused(kind, ward, export(-time.Hour, 0), w.As(who))
	}

	// The issue is for whoever exported.
	manifest := "sha256:" + strings.Repeat("a", 64)
	issue := &evidence.Issue{ID: cmd.Pack.ID, Manifest: manifest}
	w.Refused(fault.Forbidden, ward, issue, w.As("owner"))
	w.Refused(fault.NotFound, ward, issue, w.As("stranger"))
	w.Refused(fault.Invalid, commandtest.None, &evidence.Issue{ID: cmd.Pack.ID, Manifest: "x"}, w.As("auditor"))
	w.Do(issue, w.As("auditor"))
	if p := commandtest.Get[*document.Pack](w, cmd.Pack.ID); p.Manifest != manifest {
		t.Errorf("%+v", p)
	}
}

// TestExportOfALeavingSpace is a space that is being destroyed: evidence goes on.
func TestExportOfALeavingSpace(t *testing.T) {
	w := commandtest.Bare(t, commandtest.Noon)
	w.Account("owner", "")
	team(w)
	w.Do(&spaces.Create{Name: "ward", Team: "care"}, w.As("root"))
	w.Do(&spaces.Destroy{Identity: "ward"}, w.As("root"))
	w.Pass(time.Minute)
	w.Do(&evidence.Export{Space: "ward", From: commandtest.Noon, To: commandtest.Noon.Add(time.Second)}, w.As("root"))
}

func team(w *commandtest.World) {
	w.T.Helper()
	w.Do(&teams.Create{Name: "care"}, w.As("root"))
}
