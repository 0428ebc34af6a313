package evidence

import (
	"flag"
	"fmt"
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/evidence/reader"
)

var update = flag.Bool("update", false, "write testdata/*.html anew")

// isolationPages are reports: of a space like any other, of one with nothing
// in it, and of one whose names and numbers are as large as they get, with an
// attempt that got through.
func isolationPages() map[string]*isolation {
	day := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	about := About{Space: "clinic", Installation: "5f0c2c1e", Program: "strongroom 1", From: day, To: day.AddDate(0, 1, 0), Created: day.AddDate(0, 1, 1)}
	app := func(name, ephi string, dynos int, addons ...string) isolatedApp {
		return isolatedApp{App: &document.App{Name: name, EPHI: ephi}, Formations: []*document.Formation{{Quantity: dynos}}, Addons: addons}
	}
	attempt := func(target string, refused bool, times int64) *document.Attempt {
		return &document.Attempt{
			Base: document.Base{UpdatedAt: day}, Name: "reach another space's dyno", From: "a dyno in space other",
			Target: target, Refused: refused, Result: "no answer", Count: times,
		}
	}
	plain := &isolation{
		About: about, Others: 1,
		Doc: &document.Space{
			Name: "clinic", Trusted: []document.TrustedIP{{Source: "198.51.100.0/24"}}, RuledBy: "operator@example.org", RuledAt: day,
			Outbound: []document.OutboundRef{{Target: "203.0.113.0/24", Protocol: "tcp", FromPort: 443, ToPort: 443}},
		},
		Apps:     []isolatedApp{app("intake", "yes", 2, "records"), app("reports", "no", 1, "records")},
		Addons:   []*document.Addon{{Name: "records", EPHI: "yes"}},
		Attempts: []*document.Attempt{attempt("web.1, TCP port 5000", true, 12), attempt("records, TCP port 5432", true, 12)},
	}
	bare := &isolation{About: about, Doc: &document.Space{Name: "clinic", RuledBy: "operator@example.org", RuledAt: day}}
	long := &isolation{
		About: about, Others: 1200, Doc: &document.Space{RuledBy: "operator@example.org", RuledAt: day},
		Addons:   []*document.Addon{{Name: strings.Repeat("database-", 7), EPHI: "unknown"}},
		Attempts: []*document.Attempt{attempt("web.1, TCP port 5000", true, 987654321), attempt("records, TCP port 5432", false, 987654321)},
	}
	long.Space = strings.Repeat("mmmmmmmmm-", 6)
	for n := range 6 {
		long.Apps = append(long.Apps, app(strings.Repeat("m", 29)+fmt.Sprint(n), "unknown", 1000, long.Addons[0].Name))
		long.Doc.Outbound = append(long.Doc.Outbound, document.OutboundRef{Target: fmt.Sprintf("255.255.255.%d/32", 250+n), Protocol: "tcp", FromPort: 10000, ToPort: 65535})
	}
	return map[string]*isolation{"plain": plain, "bare": bare, "long": long}
}

func TestFit(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "records": "records", "exactly-10": "exactly-10", "eleven-long": "eleven-l…", "mmmmmmmmmm": "mmmm…", "データベースの名前": "データベ…",
	} {
		if got := fit(text, 80, bold); got.Shown != want || got.Whole != text || got.Cut() != (want != text) {
			t.Errorf("%q: got %+v, want %q", text, got, want)
		}
	}
}

func TestIsolationPage(t *testing.T) {
	for name, page := range isolationPages() {
		t.Run(name, func(t *testing.T) {
			page.Drawing, page.Style = page.draw(), template.CSS(reader.Style()) //nolint:gosec // our own file
			golden(t, "isolation-"+name, "isolation.html", page)
		})
	}
}
