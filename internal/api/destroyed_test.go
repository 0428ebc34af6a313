package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
)

// TestDestroyedSpace: how controls stood in a space is told when it is no more, to
// those who could see it and to nobody else. Of two of one name it is the newer.
func TestDestroyedSpace(t *testing.T) {
	w := newWorld(t)
	check := func(after time.Duration) {
		t.Helper()
		w.Pass(after)
		if err := w.checks.Due(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check(0)
	begin := w.Now()
	for _, open := range []bool{false, true} {
		create := &spaces.Create{Name: "cellar", Team: "care", Shield: true}
		w.Do(create, w.As("owner"))
		w.Do(&spaces.Allocated{ID: create.Space.ID}, commandtest.Platform)
		if open {
			owner := w.As("owner")
			owner.Reason = "an open day"
			w.Do(&spaces.SetTrusted{Identity: "cellar", Confirm: "cellar", Rules: []document.TrustedIP{{Source: "0.0.0.0/0", Action: "allow"}}}, owner)
		}
		for range 6 {
			check(10 * time.Minute)
		}
		w.Do(&spaces.Destroy{Identity: "cellar"}, w.As("owner"))
		w.Do(&spaces.Gone{ID: create.Space.ID}, commandtest.Platform)
		w.vars["cellar"] = create.Space.ID
		if !open {
			w.vars["older"] = create.Space.ID
		}
	}
	for range 12 {
		check(10 * time.Minute)
	}

	ask := func(who, path string, status int, from string, out any) {
		t.Helper()
		values := url.Values{"scope": {"cellar"}, "destroyed": {"true"}}
		if from != "" {
			values.Set("from", from)
		}
		answer := w.request(who, "GET "+path+"?"+values.Encode(), "")
		if answer.Code != status {
			t.Fatalf("%s: %d %s", path, answer.Code, answer.Body)
		}
		if out != nil {
			if err := json.Unmarshal(answer.Body.Bytes(), out); err != nil {
				t.Fatal(err)
			}
		}
	}
	from := begin.Format(time.RFC3339)
	var h client.History
	ask("auditor", "/strongroom/controls/network.sources/history", http.StatusOK, from, &h)
	if len(h.Gaps) != 1 || h.Gaps[0].Scope != w.vars["cellar"] || h.Gaps[0].Name != "cellar" || h.Gaps[0].Open || h.Effectiveness == nil || *h.Effectiveness != 0 {
		t.Errorf("history: %+v", h)
	}
	var list []client.Control
	ask("auditor", "/strongroom/controls", http.StatusOK, from, &list)
	for _, x := range list {
		if x.ID == "network.sources" && (x.Status != document.StatusNotApplicable || x.Period == nil || x.Period.Gaps != 1) {
			t.Errorf("listed: %+v", x)
		}
	}
	ask("auditor", "/strongroom/controls", http.StatusUnprocessableEntity, "", nil)
	ask("stranger", "/strongroom/controls/network.sources/history", http.StatusNotFound, from, nil)
	ask("dev", "/strongroom/controls", http.StatusForbidden, from, nil)
	for query, status := range map[string]int{
		"scope=" + w.vars["older"] + "&destroyed=true": http.StatusOK,
		"scope=ward&destroyed=true":                    http.StatusNotFound, // it is still there
		"scope=cellar":                                 http.StatusNotFound,
		"scope=cellar&destroyed=false":                 http.StatusNotFound,
		"scope=cellar&destroyed=maybe":                 http.StatusUnprocessableEntity,
		"destroyed=true":                               http.StatusUnprocessableEntity,
	} {
		if got := w.request("auditor", "GET /strongroom/controls?from="+from+"&"+query, "").Code; got != status {
			t.Errorf("%s: %d", query, got)
		}
	}
}
