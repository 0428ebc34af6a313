package evidence_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/workbook/workbooktest"
)

// troubled is a pack of a world in which people write what spreadsheets could
// take for formulas, XML for markup, and terminals for orders.
func (l *lab) troubled() []byte {
	by := l.As("dev")
	by.Reason, by.Actor.UserAgent = "<b>&amp;_x0041_</b>", "=cmd|' /C calc'!A1"
	l.Do(&config.Set{App: "clinic", Values: map[string]*secret.Value{"X": commandtest.Value("1")}}, by)
	for n, name := range []string{`=HYPERLINK("http://x","y")`, "Zoë Łukasz Мария 山田 🙂", "bell \a \x1b[31m\nsecond line", strings.Repeat("long ", 10)} {
		l.Do(&people.CreateAccount{Email: fmt.Sprintf("odd%d@example.org", n), Name: name}, l.As("root"))
	}
	l.Do(&spaces.RecordAttempt{Scope: l.IDs["space:ward"], Name: "@SUM(1)", From: "\tx", Target: "-1+1", Result: "a, \"b\"\nc"}, commandtest.Platform)
	l.Set(at(2 * time.Hour))
	return l.export(evidence.Request{From: at(-time.Hour), To: at(time.Hour)})
}

// cells are those of a sheet of a workbook.
func cells(t *testing.T, content, sheet string) [][]string {
	t.Helper()
	return workbooktest.Cells(t, []byte(content), sheet)
}

// TestBooks: each table has a workbook whose cells are those of the CSV, every
// one, and which says what it is.
func TestBooks(t *testing.T) {
	l := newLab(t)
	files := members(t, l.troubled())
	books := 0
	for name, content := range files {
		report, ok := strings.CutSuffix(name, ".csv")
		if !ok || !strings.HasPrefix(name, "reports/") {
			continue
		}
		books++
		want, err := csv.NewReader(strings.NewReader(content)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, cells(t, files[report+".xlsx"], "Rows")); d != "" {
			t.Errorf("%s (-CSV +XLSX):\n%s", report, d)
		}
		says := fmt.Sprint(cells(t, files[report+".xlsx"], "About"))
		for _, words := range []string{"ward", "2 March 2026", "up to, and not including", "Signed, not proven", ledger.Fingerprint(l.vkey), "evidence:verify"} {
			if !strings.Contains(says, words) {
				t.Errorf("%s does not say %q: %s", report, words, says)
			}
		}
		if strings.Contains(says, "the population is empty") != (len(want) == 1) {
			t.Errorf("%s with %d rows: %s", report, len(want)-1, says)
		}
	}
	if books != len(evidence.Definitions)+3 { // and the paths of ePHI, the controls, and their gaps
		t.Errorf("%d workbooks", books)
	}
}
