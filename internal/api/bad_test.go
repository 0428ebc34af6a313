package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
)

// strangers is a world without a limit on requests that this file would reach.
func strangers(t *testing.T) *world {
	w := newWorld(t)
	w.Do(&spaces.SetTrusted{Identity: "ward", Confirm: "ward", Rules: []document.TrustedIP{{Source: "0.0.0.0/0", Action: "allow"}}}, w.As("owner"))
	if err := w.checks.Due(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.vars["finding"] = commandtest.Find[*document.Finding](w.World, "scope", w.vars["space:ward"])[0].ID
	add := &alerts.Add{Channel: document.AlertEmail, To: secret.NewValue([]byte("oncall@example.org")), Space: "ward"}
	w.Do(add, w.As("owner"))
	w.vars["alert"] = add.Alert.ID
	w.serve(Config{
		RatePerHour: 1_000_000, Blobs: w.Blobs, Domain: "apps.localhost", Version: "test",
		Terminals: parts{}, Bastion: parts{}, Logs: parts{}, Evidence: parts{}, Network: parts{}, Probes: parts{}, Checkpoints: w.signed,
		Programme: testProgramme(t),
	})
	return w
}

// of care are the ids by which routes name what belongs to the team care.
func (w *world) ofCare() map[string]string {
	return map[string]string{
		"team": "care", "space": "ward", "app": "clinic", "addon": w.vars["addon"], "database": w.vars["addon"], "attachment": w.vars["attachment"],
		"release": w.vars["release:1"], "build": w.vars["build:1"], "slug": w.vars["slug:1"], "session": w.vars["session:closed"],
		"finding": w.vars["finding"], "alert": w.vars["alert"],
	}
}

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// fill puts ids into a route's path, and something into what has none.
func fill(path string, ids map[string]string) string {
	return placeholder.ReplaceAllStringFunc(path, func(s string) string {
		if id, ok := ids[s[1:len(s)-1]]; ok {
			return id
		}
		return "x"
	})
}

// theirs tells whether a route's path names something of a team.
func theirs(r Route) bool {
	return slices.ContainsFunc([]string{"team", "space", "app", "addon", "database", "attachment", "finding", "alert"}, r.has)
}

// body is what a route is asked with where only the path matters.
func body(r Route) string {
	if r.Method == get || r.Method == remove {
		return ""
	}
	return "{}"
}

// TestOtherTeamsIDs: whoever names something of another team hears that it is
// not there, and the attempt is on record.
func TestOtherTeamsIDs(t *testing.T) {
	t.Parallel()
	w := strangers(t)
	tried := 0
	for _, r := range Routes() {
		if !theirs(r) {
			continue
		}
		tried++
		request := r.Method + " " + fill(r.Path, w.ofCare())
		w.Set(w.Now().Add(10 * time.Minute)) // equal denials in a row are recorded as one
		before := w.size()
		a := w.request("stranger", request, body(r))
		if a.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404: %s", request, a.Code, a.Body)
			continue
		}
		if n := w.size() - before; n != 1 || w.last().Outcome != ledger.Denied {
			t.Errorf("%s: %d entries, the last %+v", request, n, w.last())
		}
		// One that does not exist at all is answered with the same words.
		none := map[string]string{}
		for name := range w.ofCare() {
			none[name] = uuid.NewString()
		}
		request = r.Method + " " + fill(r.Path, none)
		if b := w.request("stranger", request, body(r)); b.Code != a.Code || anonymous(b, none) != anonymous(a, w.ofCare()) {
			t.Errorf("%s tells what exists: %s, and of what does not: %s", request, a.Body, b.Body)
		}
	}
	if tried < 80 {
		t.Errorf("only %d routes were tried", tried)
	}
}

// TestOtherTeamsIDsInBodies: the same for ids that a body or a query names.
func TestOtherTeamsIDsInBodies(t *testing.T) {
	t.Parallel()
	w := strangers(t)
	none := uuid.NewString()
	for _, c := range []struct{ request, body, id string }{
		{"POST /apps", `{"name": "mine", "space": "%s"}`, w.vars["space:ward"]},
		{"POST /apps", `{"name": "mine", "space": {"id": "%s"}}`, w.vars["space:ward"]},
		{"POST /teams/apps", `{"name": "mine", "team": "rivals", "space": "%s"}`, w.vars["space:ward"]},
		{"POST /spaces", `{"name": "mine", "team": "%s"}`, w.vars["team:care"]},
		{"POST /addon-attachments", `{"app": "other", "addon": "%s"}`, w.vars["addon"]},
		{"POST /addon-attachments", `{"app": "%s", "addon": "records"}`, w.vars["app:clinic"]},
		{"POST /actions/addons/resolve", `{"addon": "%s"}`, w.vars["addon"]},
		{"POST /actions/addon-attachments/resolve", `{"addon_attachment": "%s"}`, w.vars["attachment"]},
		{"POST /strongroom/evidence", `{"space": "%s", "from": "2026-01-01T00:00:00Z"}`, w.vars["space:ward"]},
		{"POST /apps/other/releases", `{"release": "%s"}`, w.vars["release:1"]},
		{"POST /apps/other/releases", `{"slug": "%s"}`, w.vars["slug:1"]},
		{"GET /strongroom/ledger/entries?space=%s", "", w.vars["space:ward"]},
		{"GET /strongroom/ledger/entries?app=%s", "", w.vars["app:clinic"]},
	} {
		ask := func(id string) *httptest.ResponseRecorder {
			w.Set(w.Now().Add(10 * time.Minute))
			return w.request("stranger", strings.ReplaceAll(c.request, "%s", id), strings.ReplaceAll(c.body, "%s", id))
		}
		before := w.size()
		a := ask(c.id)
		if a.Code < 400 || a.Code >= 500 {
			t.Errorf("%s %s: %d %s", c.request, c.body, a.Code, a.Body)
		}
		if w.size() != before && w.last().Outcome != ledger.Denied {
			t.Errorf("%s %s: recorded %+v", c.request, c.body, w.last())
		}
		b := ask(none)
		if b.Code != a.Code || anonymous(b, map[string]string{"": none}) != anonymous(a, map[string]string{"": c.id}) {
			t.Errorf("%s %s tells what exists: %d %s, and of what does not: %d %s", c.request, c.body, a.Code, a.Body, b.Code, b.Body)
		}
	}
}

// anonymous is an answer without the ids that were asked for.
func anonymous(a *httptest.ResponseRecorder, ids map[string]string) string {
	s := a.Body.String()
	for _, id := range ids {
		s = strings.ReplaceAll(s, id, "…")
	}
	return s
}

// TestUnknownIDs: what does not exist, and what could not, is told as such to
// those who would be allowed, and changes nothing.
func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	w := strangers(t)
	for _, id := range []string{
		uuid.NewString(), "UPPER", "%00", "%2e%2e%2f%2e%2e", "%ff%fe", "'%20or%201=1--", "-1", strings.Repeat("x", 5000),
	} {
		for _, r := range Routes() {
			if !placeholder.MatchString(r.Path) {
				continue
			}
			ids := map[string]string{}
			for _, m := range placeholder.FindAllStringSubmatch(r.Path, -1) {
				ids[m[1]] = id
			}
			request := r.Method + " " + fill(r.Path, ids)
			before := w.size()
			a := w.request("owner", request, body(r))
			if a.Code < 300 || a.Code >= 500 {
				t.Errorf("%.200s: %d %s", request, a.Code, a.Body)
			}
			if w.size() != before && w.last().Outcome != ledger.Denied {
				t.Errorf("%.200s: recorded %+v", request, w.last())
			}
		}
	}
}

// bodiless are routes that change something and read no body.
var bodiless = regexp.MustCompile(`actions/(grant|refuse|approve|suspend|confirm-clock)$|/roles/|/attempts$|/actions/stop$`)

// TestMalformedBodies: what is no JSON object is refused by every route that
// reads one, before anything happens.
func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	w := strangers(t)
	bodies := map[string]int{
		`{"a":`: 400, `[]`: 400, `"x"`: 400, `null`: 400, `7`: 400, `{"a":1}{"b":2}`: 400, `{"a":1,"a":2}`: 400, "\xff\xfe": 400, `{'a':1}`: 400,
		strings.Repeat("[", 100_000): 400, `{"a":"` + strings.Repeat("x", maxBody) + `"}`: 413,
	}
	reading := 0
	for _, r := range Routes() {
		if r.Method == get || r.Method == remove || bodiless.MatchString(r.Path) {
			continue
		}
		reading++
		for _, who := range []string{"owner", "root"} {
			request := r.Method + " " + fill(r.Path, w.ofCare())
			for text, want := range bodies {
				before := w.size()
				a := w.request(who, request, text)
				refused := a.Code == 403 || a.Code == 404 // not theirs: told before the body is read
				if a.Code != want && (!refused || who == "owner" && r.Need != authz.Operate && theirs(r) && a.Code != 404) {
					t.Errorf("%s %s with %.40q: %d, want %d: %.200s", who, request, text, a.Code, want, a.Body)
				}
				if w.size() != before && w.last().Outcome != ledger.Denied {
					t.Errorf("%s with %.40q: recorded %+v", request, text, w.last())
				}
			}
		}
	}
	if reading < 30 {
		t.Errorf("only %d routes read a body", reading)
	}
}

// wrong are values of every JSON type, and some that a check may forget.
var wrong = []any{
	nil, true, -1, 1e300, 99999999999, "", " ", "\x00", "../../etc/passwd", "UPPER_case", "-dash", "dash-", "a..b", "10.0.0.0/33", "10.0.0.0", "::/0/0", "not a cidr",
	strings.Repeat("x", 70_000), strings.Repeat("a.", 200), "\u202e",
	[]any{},
	[]any{nil, map[string]any{}},
	map[string]any{},
	map[string]any{"id": 7},
	map[string]any{"": nil},
}

// TestWrongValues takes every request body of testdata and puts something wrong
// in the place of each of its values. The API understands or refuses; it never
// fails.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := strangers(t)
			for _, f := range a.Files {
				who, request, ok := strings.Cut(f.Name, " ")
				var sent map[string]any
				if !ok || isStatus(who) || w.Tokens[who] == "" || json.Unmarshal([]byte(w.known(string(f.Data))), &sent) != nil {
					continue
				}
				for _, bad := range spoilt(sent) {
					w.wantUnderstood(who, w.known(request), bad)
				}
			}
		})
	}
}

// known puts in the ids of this world; of answers that were not given, none.
func (w *world) known(s string) string {
	return regexp.MustCompile(`\$\{([^}]*)\}`).ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := w.vars[m[2:len(m)-1]]; ok {
			return v
		}
		return "00000000-0000-4000-8000-000000000000"
	})
}

func (w *world) wantUnderstood(who, request string, body any) {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	before := w.size()
	a := w.request(who, request, strings.ReplaceAll(string(text), "$", "$$"))
	var told struct{ ID, Message string }
	switch {
	case a.Code >= 500:
		w.t.Errorf("%s %s with %.300s: %d %s", who, request, text, a.Code, a.Body)
	case a.Code >= 400 && (json.Unmarshal(a.Body.Bytes(), &told) != nil || told.ID == "" || told.Message == ""):
		w.t.Errorf("%s %s with %.300s: %d without an explanation: %s", who, request, text, a.Code, a.Body)
	case a.Code >= 400 && w.size() != before && w.last().Outcome != ledger.Denied && !strings.Contains(request, "/oauth/"):
		w.t.Errorf("%s %s with %.300s was refused and did something: %+v", who, request, text, w.last())
	}
}

// spoilt are copies of an object, each with one value that is wrong.
func spoilt(object map[string]any) []any {
	var out []any
	for name, value := range object {
		put := func(v any) {
			c := map[string]any{}
			for n, x := range object {
				c[n] = x
			}
			c[name] = v
			out = append(out, c)
		}
		for _, v := range wrong {
			put(v)
		}
		switch value := value.(type) {
		case map[string]any:
			for _, v := range spoilt(value) {
				put(v)
			}
		case []any:
			for _, x := range value {
				if inner, ok := x.(map[string]any); ok {
					for _, v := range spoilt(inner) {
						put([]any{v})
					}
				}
			}
			put(slices.Repeat([]any{first(value)}, 2000))
		}
	}
	return out
}

func first(list []any) any {
	if len(list) == 0 {
		return fmt.Sprint(list)
	}
	return list[0]
}
