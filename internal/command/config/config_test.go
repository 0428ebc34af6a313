package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/command/addons"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/config"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

const canary = "CANARY-5f3a9b77-in-a-config-var"

// set changes clinic's config; nil takes a var away.
func set(pairs ...any) *config.Set {
	c := &config.Set{App: "clinic", Values: map[string]*secret.Value{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Values[pairs[i].(string)] = nil
		if v, ok := pairs[i+1].(string); ok {
			c.Values[pairs[i].(string)] = commandtest.Value(v)
		}
	}
	return c
}

func read(w *commandtest.World, by string) map[string]string {
	w.T.Helper()
	cmd := &config.Read{App: "clinic"}
	w.Do(cmd, w.As(by))
	out := map[string]string{}
	for name, v := range cmd.Values {
		out[name] = string(v.Reveal())
	}
	return out
}

func TestSetAndRead(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	before := read(w, "dev")
	cmd := set("API_KEY", canary, "EMPTY", "", "GREETING", nil)
	lines := w.Record(cmd, w.As("dev"))
	got := read(w, "dev")
	if got["API_KEY"] != canary || got["DATABASE_URL"] != before["DATABASE_URL"] {
		t.Errorf("read back %d vars", len(got))
	}
	if _, there := got["EMPTY"]; !there || got["EMPTY"] != "" {
		t.Error("an empty value is a value")
	}
	if _, there := got["GREETING"]; there {
		t.Error("a var that was unset is still there")
	}
	if l := lines[0]; l.Detail("set") != "API_KEY EMPTY" || l.Detail("unset") != "GREETING" || l.Scope != w.IDs["space:ward"] || l.App != w.IDs["app:clinic"] {
		t.Errorf("%v %v", l, l.Details)
	}
	if r := cmd.Release; r == nil || r.Status != document.ReleaseSucceeded || !r.Current || r.Description != "Update API_KEY, EMPTY, GREETING config vars" || r.Code {
		t.Errorf("release %+v", r)
	}
	if where := w.Tells(canary); len(where) > 0 {
		t.Errorf("the value is told by %v", where)
	}
	read := w.Record(&config.Read{App: "clinic"}, w.As("dev"))[0]
	if read.Action != "config.read" || read.Detail("names") != "API_KEY DATABASE_URL EMPTY" || len(read.Changes) != 0 {
		t.Errorf("%v %v", read, read.Details)
	}
}

// TestNothingChanged makes neither a release nor a new revision of a var that
// is not there.
func TestNothingChanged(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	cmd := set("NOT_THERE", nil)
	lines := w.Record(cmd, w.As("dev"))
	if cmd.Release != nil || len(lines) != 1 || len(lines[0].Changes) != 0 {
		t.Errorf("%+v, recorded as %v", cmd.Release, lines)
	}
}

// TestOwnedByAddons leaves vars alone that an attachment sets.
func TestOwnedByAddons(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	url := read(w, "dev")["DATABASE_URL"]
	if !strings.HasPrefix(url, "postgres://") || !strings.Contains(url, "@records.localspace:5432/") {
		t.Fatal("the database's URL is not there")
	}
	w.Refused(fault.Invalid, commandtest.None, set("DATABASE_URL", "postgres://evil"), w.As("dev"))
	w.Refused(fault.Invalid, commandtest.None, set("DATABASE_URL", nil, "OTHER", "x"), w.As("dev"))
	if got := read(w, "dev"); got["DATABASE_URL"] != url || len(got) != 2 {
		t.Errorf("a refused change took effect: %d vars", len(got))
	}
	if where := w.Tells(strings.Split(url, "@")[0]); len(where) > 0 {
		t.Errorf("the password is told by %v", where)
	}
	w.Do(&addons.Destroy{Identity: "records"}, w.As("owner"))
	if _, there := read(w, "dev")["DATABASE_URL"]; there {
		t.Error("the var outlives its attachment")
	}
	w.Do(set("DATABASE_URL", "postgres://elsewhere"), w.As("dev")) // it is the app's again
}

func TestBounds(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	many := set()
	for i := range document.MaxConfigVars {
		many.Values[fmt.Sprint("V", i)] = commandtest.Value("x")
	}
	for name, bad := range map[string]*config.Set{
		"name": set("1A", "x"), "empty name": set("", "x"), "long": set("A", strings.Repeat("x", document.MaxConfigValue+1)), "NUL": set("A", "a\x00b"),
		"too many with those there are": many,
	} {
		if w.Refused(fault.Invalid, commandtest.None, bad, w.As("dev")); t.Failed() {
			t.Fatal(name)
		}
	}
	many.Values["ONE_MORE"] = commandtest.Value("x")
	w.Refused(fault.Invalid, commandtest.None, many, w.As("dev"))
	w.Do(set("A", strings.Repeat("x", document.MaxConfigValue), "UTF8", "grüße\n"), w.As("dev"))
}

func TestWhoMay(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	ward := w.IDs["space:ward"]
	for who, kind := range map[string]fault.Kind{
		"viewer": fault.Forbidden, "approver": fault.Forbidden, "auditor": fault.Forbidden, "collab": fault.Forbidden, "stranger": fault.NotFound, "root": fault.NotFound,
	} {
		readIt := &config.Read{App: "clinic"}
		w.Refused(kind, ward, readIt, w.As(who))
		if readIt.Values != nil {
			t.Errorf("%s was refused and given the values", who)
		}
		w.Refused(kind, ward, set("A", canary), w.As(who))
	}
	if where := w.Tells(canary); len(where) > 0 {
		t.Errorf("a refused value is told by %v", where)
	}
}

// TestNamedByDigest opens only what the ledger names.
func TestNamedByDigest(t *testing.T) {
	w := commandtest.New(t, commandtest.Noon)
	cfg := commandtest.Get[*document.Config](w, w.IDs["app:clinic"])
	if !slices.ContainsFunc(cfg.Vars, func(v document.ConfigVar) bool { return v.Name == "GREETING" }) {
		t.Fatal("no var to begin with")
	}
	broken := *cfg
	broken.Vars = slices.Clone(cfg.Vars)
	broken.Vars[0].Value.SHA256 = "sha256:" + strings.Repeat("0", 64)
	if values, err := config.Open(t.Context(), w.Keyring, &broken); err == nil || values != nil {
		t.Errorf("a value that is not what the ledger names was opened: %v", err)
	}
}
