package evidence_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// controlsTables: the matrix and the gaps say what controls.json says, no more
// and no less, and the workbooks say what they are.
func controlsTables(t *testing.T, files map[string]string) {
	t.Helper()
	var list []struct {
		ID            string
		Maps          []struct{ Framework, To, Extent string }
		Effectiveness *float64
		Gaps          []struct {
			From, To            time.Time
			Check, Name, Status string
			Facts               []string
			Seq                 int64
			EndSeq              int64  `json:"end_seq"`
			MendedBy            string `json:"mended_by"`
		}
	}
	if err := json.Unmarshal([]byte(files["reports/controls.json"]), &list); err != nil {
		t.Fatal(err)
	}
	matrix, gaps := rows(t, files, "controls"), rows(t, files, "gaps")
	var answers, found, failures, told []string
	for _, c := range list {
		for _, m := range c.Maps {
			answers = append(answers, strings.Join([]string{m.Framework, m.To, c.ID, m.Extent, fmt.Sprint(c.Effectiveness != nil)}, " "))
		}
		for _, g := range c.Gaps {
			failures = append(failures, fmt.Sprint(c.ID, g.Check, g.Name, g.From.UnixNano(), g.To.UnixNano(), g.Status, strings.Join(g.Facts, " "), number(g.Seq), number(g.EndSeq), g.MendedBy))
		}
	}
	lacking := 0
	for n := range matrix[1:] {
		get := func(title string) string { return cell(t, matrix, n+1, title) }
		if get("control") == "" {
			lacking++
			if get("at the end") != "no control answers to it" {
				t.Errorf("%q", matrix[n+1])
			}
			continue
		}
		found = append(found, strings.Join([]string{get("framework"), get("requirement"), get("control"), get("extent"), fmt.Sprint(get("passed for") != "")}, " "))
	}
	for n := range gaps[1:] {
		get := func(title string) string { return cell(t, gaps, n+1, title) }
		status := map[string]string{"FAILS": "fail", "unknown": "unknown"}[get("status")]
		for _, control := range strings.Fields(get("controls")) {
			told = append(told, fmt.Sprint(control, get("check"), get("of"), nanos(t, get("from")), nanos(t, get("to")), status, get("cause"), get("seq"), get("ended by entry"), get("mended by")))
		}
	}
	for what, lists := range map[string][2][]string{"the matrix": {answers, found}, "the gaps": {failures, told}} {
		slices.Sort(lists[0])
		slices.Sort(lists[1])
		if d := cmp.Diff(lists[0], lists[1]); d != "" || len(lists[0]) == 0 {
			t.Errorf("%s (-JSON +CSV):\n%s", what, d)
		}
	}
	if lacking == 0 {
		t.Error("no requirement is without a control: the test shows nothing of these")
	}
	for name, says := range map[string]string{"controls": "every control that answers to none", "gaps": "never a pass"} {
		if about := fmt.Sprint(cells(t, files["reports/"+name+".xlsx"], "About")); !strings.Contains(about, says) || strings.Contains(about, "the population is empty") {
			t.Errorf("%s.xlsx: %s", name, about)
		}
	}
}

func number(seq int64) string {
	if seq < 0 {
		return ""
	}
	return strconv.FormatInt(seq, 10)
}

func nanos(t *testing.T, at string) int64 {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixNano()
}
