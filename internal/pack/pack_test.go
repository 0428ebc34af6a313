package pack

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

func TestOwnPack(t *testing.T) {
	l := newTestLog(t)
	b := l.pack(t, l.newExport(t))
	result, err := verifyBytes(t, b, Options{Key: l.vkey})
	must(t, err)
	if result.Verdict != Verified || result.Size != 26 || result.Origin != l.origin || result.Installation != installation {
		t.Errorf("%+v", result)
	}
	var got []string
	for _, check := range result.Checks {
		if !check.OK {
			t.Errorf("%+v", check)
		}
		got = append(got, check.Details...)
	}
	want := []string{
		"11 files, ", "SIMULATED: made by a demonstration or a test",
		"checkpoint over 26 entries of " + l.origin, notWitnessed,
		"21 headers in 3 ranges lead to the checkpoint", "every entry from 2026-03-01T09:00:00.000000000Z to 2026-03-01T22:00:00.000000000Z is there",
		"16 bodies", "2 bodies erased by rule six-years", "1 entries of other scopes in the period, shown by their headers only",
		"1 blobs match", "1 blobs left out: recordings not asked for",
		"reports/releases.csv: 3 rows", "reports/apps.csv: 3 rows", "reports/apps-before.csv: 1 rows", "signed, not proven: 1 files",
		"opening state: as claimed: 4 documents",
	}
	if len(got) != len(want) {
		t.Fatalf("details: %s", strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("detail %q, want %q", got[i], want[i])
		}
	}
}

func TestReports(t *testing.T) {
	l := newTestLog(t)
	f := takeApart(t, l.pack(t, l.newExport(t)))
	actor := `"{""email"":""person@example.org"",""id"":""01934f6e-0000-7000-8000-000000000001"",""ip"":""198.51.100.1"",""kind"":""account"",""mfa"":true,""roles"":[""member"",""admin""],""session"":""s1"",""user_agent"":""heroku-cli/11.10.0""}"`
	for path, want := range map[string]string{
		"reports/releases.csv": "seq,time,action,outcome,who,role,\"why, if given\",mfa,actor,doc\n" +
			"9,2026-03-01T09:00:00.000000000Z,release.create,ok,person@example.org,admin,,true," + actor + ",\n" +
			"10,2026-03-01T10:00:00.000000000Z,release.approve,denied,person@example.org,admin,\"first, \"\"quoted\"\"\nreason with ü and 🔒\",true," + actor + ",\n" +
			"12,2026-03-01T12:00:00.000000000Z,release.live,ok,person@example.org,admin,'=1+1,true," + actor + ",\n",
		"reports/apps.csv": "seq,name,n,x,none,by\n" +
			"17,'\t intake,\"[1,{\"\"x\"\":null}]\",,,app.update\n" +
			"19,'-billing,,,,app.create\n" +
			"14,\"moved, here\",,,,app.join\n",
		"reports/apps-before.csv": "seq,doc\n6,\"{\"\"maintenance\"\":true,\"\"name\"\":\"\"intake\"\"}\"\n",
	} {
		if diff := cmp.Diff(want, string(f.content[path])); diff != "" {
			t.Errorf("%s:\n%s", path, diff)
		}
	}
}

// TestReportBounds: a definition cannot ask for more than a computer has.
func TestReportBounds(t *testing.T) {
	l := newTestLog(t)
	period := Period{Time{at(0)}, Time{at(1000)}}
	columns := slices.Repeat([]Column{SeqColumn}, maxColumns)
	if _, err := NewRows(Report{Type: Events, Columns: columns}, period); err != nil {
		t.Error(err)
	}
	if _, err := NewRows(Report{Type: Events, Columns: append(columns, SeqColumn)}, period); fault.Of(err) != fault.TooLarge {
		t.Errorf("one column too many: %v", err)
	}
	l.add(t, space, "big", func(b *ledger.Body) {
		b.Reason = strings.Repeat("x", 1<<20)
		doc("big", "1", 1, `{}`)(b)
	})
	e := l.entries[len(l.entries)-1]
	for _, report := range []Report{
		{Type: Events, Actions: []string{"big"}},
		{Type: State, Kind: "big", At: &Time{at(900)}},
	} {
		report.Columns = append([]Column{SeqColumn}, slices.Repeat([]Column{{"b", "/body"}}, 16)...)
		err := l.writeCSV(io.Discard, report, period, []int64{e.Seq})
		if fault.Of(err) != fault.TooLarge {
			t.Errorf("%s: %v", report.Type, err)
		}
	}
}
