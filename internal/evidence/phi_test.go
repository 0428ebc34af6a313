package evidence_test

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/apps"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence"
)

// paths gives the rows of phi-paths.csv by what they are and where they lead.
func paths(t *testing.T, files map[string]string) map[string]map[string]string {
	t.Helper()
	list, out := rows(t, files, "phi-paths"), map[string]map[string]string{}
	for n := range list[1:] {
		x := map[string]string{}
		for _, title := range list[0] {
			x[title] = cell(t, list, n+1, title)
		}
		out[x["what"]+" "+x["from"]+" > "+x["to"]] = x
	}
	return out
}

// TestPaths: every store and link of the space is told, with who can reach it,
// from the entries that made it so.
func TestPaths(t *testing.T) {
	l := newLab(t)
	l.Set(at(time.Hour))
	mute := &apps.Create{Name: "mute", Space: "ward", Domain: "apps.localhost", EPHI: "unknown"}
	l.Do(mute, l.As("dev"))
	l.Do(&apps.AddCollaborator{Identity: "mute", Email: "collab@example.org", Permissions: []string{"operate"}}, l.As("owner"))
	l.Do(&people.SuspendAccount{Email: "admin@example.org"}, l.As("root"))
	l.Set(at(2 * time.Hour))
	l.Do(&spaces.SetTrusted{Identity: "ward", Rules: []document.TrustedIP{{Source: "192.0.2.0/24", Action: "allow"}}}, l.As("owner"))
	l.Set(at(4 * time.Hour))
	files := members(t, l.export(evidence.Request{From: at(-time.Hour), To: at(3 * time.Hour)}))
	got := paths(t, files)
	for path, want := range map[string]map[string]string{
		"requests 192.0.2.0/24 > clinic":                      {"ephi": "yes", "kind": "link"},
		"terminal people > clinic":                            {"ephi": "yes", "who can reach it": "dev@example.org (member); owner@example.org (owner)"},
		"terminal people > mute":                              {"ephi": "unknown", "who can reach it": "dev@example.org (member); owner@example.org (owner); collab@example.org (this app: operate)"},
		"log lines clinic > the host's disk":                  {"ephi": "unknown", "kind": "store", "how it is encrypted": "not encrypted: file modes only"},
		"recordings of terminals clinic > the server's blobs": {"ephi": "yes", "who can reach it": "auditor@example.org (auditor); owner@example.org (owner)"},
		"heroku-postgresql clinic > records":                  {"ephi": "yes", "kind": "store"},
		"DATABASE_URL clinic > records":                       {"ephi": "yes", "how it is encrypted": "TLS 1.2 or newer, password by SCRAM"},
		"tunnel people > records":                             {"ephi": "yes"},
		"open session dev@example.org > clinic":               {"path": "run run.7", "how that is recorded": "session " + l.IDs["session:open"]},
		"scratch disk mute > its dynos (0 dynos)":             {"ephi": "unknown"},
		"requests 192.0.2.0/24 > mute":                        {"path": "edge, the space's router, web dynos; mute.apps.localhost"},
	} {
		row, ok := got[path]
		if !ok {
			t.Errorf("no %s", path)
		}
		for title, cell := range want {
			if row[title] != cell {
				t.Errorf("%s: %s is %q, want %q", path, title, row[title], cell)
			}
		}
	}
	key := commandtest.Get[*document.Addon](l.World, l.IDs["addon"]).VolumeKey.ID
	if row := got["heroku-postgresql clinic > records"]; !strings.Contains(row["how it is encrypted"], key) {
		t.Errorf("the database's key: %v", row)
	}
	if row := got["open session dev@example.org > clinic"]; row["seq"] == "0" || !strings.Contains(files["ledger/bodies"], "\n"+row["seq"]+" ") {
		t.Errorf("the pack does not hold the entry behind %v", row)
	}
	if page := files["reports/phi-paths.html"]; !strings.Contains(page, `<strong class="bad">`) || !strings.Contains(files["reports/phi-paths.svg"], `<svg xmlns="http://www.w3.org/2000/svg"`) {
		t.Error("the page does not show that something is unknown, or there is no picture")
	}

	// What may leave a space that is no shield.
	var attic bytes.Buffer
	if err := l.exporter.Export(t.Context(), l.As("stranger"), evidence.Request{Space: "attic", From: at(-time.Hour), To: at(3 * time.Hour)}, func(string) io.Writer { return &attic }); err != nil {
		t.Fatal(err)
	}
	if row := paths(t, members(t, attic.Bytes()))["outbound rule the space's apps > outside of the space"]; row["path"] != "0.0.0.0/0 any 0–65535" || row["ephi"] != "unknown" {
		t.Errorf("what may leave: %v", row)
	}

	// Of a time at which there was no space nothing is told.
	before := members(t, l.export(evidence.Request{From: at(-2 * time.Hour), To: at(-time.Hour)}))
	if len(rows(t, before, "phi-paths")) != 1 || !strings.Contains(before["reports/phi-paths.html"], "There is none: the space had no app and no database.") {
		t.Errorf("before the space:\n%s", before["reports/phi-paths.csv"])
	}
}
