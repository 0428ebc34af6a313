package sessions_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

func command(w *commandtest.World, line string) ledger.Blob {
	w.T.Helper()
	ward := w.IDs["space:ward"]
	ref, err := w.Blobs.Put(w.T.Context(), &ward, strings.NewReader(line), 1<<16)
	if err != nil {
		w.T.Fatal(err)
	}
	return ledger.Blob{SHA256: ref.SHA256, Size: ref.Size, MediaType: "text/plain", Role: "command"}
}

func TestRun(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	const phi = "psql -c 'select * from patients where name = ''Jane Roe'''"
	attached := &sessions.Run{App: "clinic", Attached: true, Command: command(w, phi), Size: "shield-m"}
	lines := w.Record(attached, w.As("dev"))
	d := attached.Dyno
	if d.Name != "run.1" || d.Size != "Shield-M" || !d.Attached || d.Command != "" || d.Release != attached.Release.Version || d.By != w.Accounts["dev"].ID {
		t.Errorf("%+v", d)
	}
	if where := w.Tells("Jane Roe"); len(where) > 0 {
		t.Errorf("the command line is told by %v", where)
	}
	if len(lines[0].Blobs) != 1 || lines[0].Blobs[0].Role != "command" || lines[0].Scope != w.IDs["space:ward"] {
		t.Errorf("recorded as %v", lines)
	}
	before, err := w.Store.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	detached := &sessions.Run{App: "clinic", Command: command(w, "true"), Type: "migrate"}
	w.Do(detached, w.As("dev"))
	jobs, err := w.Store.Jobs(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	if last := jobs[len(jobs)-1]; len(jobs) != len(before)+1 || last.Kind != sessions.JobTask || last.Ref != detached.Dyno.ID || detached.Dyno.Name != "migrate.2" {
		t.Errorf("%+v, jobs %+v", detached.Dyno, jobs)
	}
	w.Do(&apps.Create{Name: "empty", Space: "ward"}, w.As("dev"))
	for name, bad := range map[string]*sessions.Run{"no build": {App: "empty"}, "size": {App: "clinic", Size: "huge"}, "type": {App: "clinic", Type: "no/way"}} {
		if w.Refused(fault.Invalid, commandtest.None, bad, w.As("dev")); t.Failed() {
			t.Fatal(name)
		}
	}

	w.Refused(fault.Forbidden, w.IDs["space:ward"], &sessions.EndRun{Dyno: d.ID}, w.As("dev"))
	lines = w.Record(&sessions.EndRun{Dyno: d.ID, ExitCode: 137}, commandtest.Platform)
	if !w.Gone(document.KindDyno, d.ID) || lines[0].Detail("exit_code") != "137" {
		t.Errorf("recorded as %v %v", lines, lines[0].Details)
	}
	w.Refused(fault.NotFound, commandtest.None, &sessions.EndRun{Dyno: d.ID}, commandtest.Platform)
	// Stopping one asks for the task's end.
	w.Do(&apps.Restart{Identity: "clinic", Dyno: "migrate.2", Stop: true}, w.As("dev"))
	jobs, _ = w.Store.Jobs(t.Context(), 100)
	if last := jobs[len(jobs)-1]; last.Kind != apps.JobStopTask || last.Ref != detached.Dyno.ID {
		t.Errorf("jobs %+v", jobs)
	}
	// Or all of a type.
	asked := len(jobs)
	lines = w.Record(&apps.Restart{Identity: "clinic", Type: "migrate", Stop: true}, w.As("dev"))
	jobs, _ = w.Store.Jobs(t.Context(), 100)
	if last := jobs[len(jobs)-1]; len(jobs) != asked+1 || last.Kind != apps.JobStopTask || last.Ref != detached.Dyno.ID || lines[0].Detail("dyno") != "migrate.2" {
		t.Errorf("jobs %+v, recorded as %v", jobs, lines[0].Details)
	}
	w.Refused(fault.NotFound, commandtest.None, &apps.Restart{Identity: "clinic", Type: "clock", Stop: true}, w.As("dev"))
}

func TestLife(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	open := &sessions.Open{App: "clinic", Dyno: "run.1", Type: "run"}
	lines := w.Record(open, w.As("dev"))
	id := open.Session.ID
	if s := commandtest.Get[*document.Session](w, id); s.State != document.SessionOpen || s.ByEmail != "dev@example.org" || lines[0].Scope != w.IDs["space:ward"] {
		t.Errorf("%+v", s)
	}
	w.Refused(fault.NotFound, commandtest.None, &sessions.Play{ID: id}, w.As("auditor")) // it goes on
	code := 3
	recording := &ledger.Blob{SHA256: "sha256:" + strings.Repeat("a", 64), Size: 10, MediaType: "application/x-asciicast", Role: "recording"}
	w.Refused(fault.Forbidden, w.IDs["space:ward"], &sessions.Close{ID: id}, w.As("dev")) // only the platform ends sessions
	lines = w.Record(&sessions.Close{ID: id, ExitCode: &code, Recording: recording, Bytes: 42, Why: "exit"}, commandtest.Platform)
	s := commandtest.Get[*document.Session](w, id)
	if s.State != document.SessionClosed || *s.ExitCode != 3 || s.Recording != recording.SHA256 || s.Bytes != 42 || s.EndedAt == nil || lines[0].Detail("why") != "exit" || len(lines[0].Blobs) != 1 {
		t.Errorf("%+v, recorded as %v", s, lines)
	}
	w.Refused(fault.Conflict, commandtest.None, &sessions.Close{ID: id}, commandtest.Platform)
	if n := len(commandtest.Find[*document.Session](w, "open", "")); n != 1 { // the world's
		t.Errorf("%d sessions are open", n)
	}
	interrupted := &sessions.Close{ID: w.IDs["session:open"], Interrupted: true}
	w.Do(interrupted, commandtest.Platform)
	if s := commandtest.Get[*document.Session](w, w.IDs["session:open"]); s.State != document.SessionInterrupted || s.Recording != "" {
		t.Errorf("%+v", s)
	}
	w.Refused(fault.NotFound, commandtest.None, &sessions.Play{ID: w.IDs["session:open"]}, w.As("auditor"))
}

// TestWhoMay is everybody who may not have a terminal, a log stream or a
// recording: each attempt is in the scope that it was aimed at.
func TestWhoMay(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	ward := w.IDs["space:ward"]
	commands := map[string]func() control.Command{
		"run":  func() control.Command { return &sessions.Run{App: "clinic", Command: ledger.Blob{}} },
		"open": func() control.Command { return &sessions.Open{App: w.IDs["app:clinic"], Type: "psql"} },
		"logs": func() control.Command { return &sessions.ReadLogs{App: "clinic"} },
	}
	for name, cmd := range commands {
		for who, kind := range map[string]fault.Kind{
			"viewer": fault.Forbidden, "approver": fault.Forbidden, "auditor": fault.Forbidden, "collab": fault.Forbidden, "stranger": fault.NotFound, "root": fault.NotFound,
		} {
			if w.Refused(kind, ward, cmd(), w.As(who)); t.Failed() {
				t.Fatal(name, who)
			}
		}
	}
	play := func() control.Command { return &sessions.Play{ID: w.IDs["session:closed"]} }
	for who, kind := range map[string]fault.Kind{"dev": fault.Forbidden, "viewer": fault.Forbidden, "approver": fault.Forbidden, "collab": fault.NotFound, "stranger": fault.NotFound} {
		w.Refused(kind, ward, play(), w.As(who))
	}
	for _, who := range []string{"owner", "admin", "auditor"} {
		lines := w.Record(play(), w.As(who))
		if lines[0].Scope != ward || lines[0].Target.ID != w.IDs["session:closed"] {
			t.Errorf("recorded as %v", lines)
		}
	}
	lines := w.Record(&sessions.ReadLogs{App: "clinic", Tail: true}, w.As("dev"))
	if got := commandtest.Actions(lines); !slices.Equal(got, []string{"log.read"}) || lines[0].Detail("tail") != "true" {
		t.Errorf("recorded as %v", lines)
	}
}
