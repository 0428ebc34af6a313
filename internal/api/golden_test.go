package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view/viewtest"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata")

// TestGolden runs testdata/*.txtar, each in a world of its own. A file of the
// archive named "dev GET /apps/clinic" is a request: headers, then a body; the
// one after it is the answer: its name is the status, followed by variables to
// take from the answer ("key=id"). A file named "ledger" lists the entries since
// the last one; one named "checks 1h" lets an hour pass, in which the checks
// of the programme run every ten minutes. ${name} stands for what the world or an answer calls so.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			g := &golden{world: newWorld(t), file: file}
			g.seen = g.head()
			g.run(a)
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

type golden struct {
	*world
	file string
	seen int64 // entries of the ledger that were listed
	ids  []string
	last *httptest.ResponseRecorder
}

func (g *golden) head() int64 {
	h, err := g.Store.Head(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	return h.Size
}

func (g *golden) run(a *txtar.Archive) {
	for i := range a.Files {
		f := &a.Files[i]
		first, rest, _ := strings.Cut(f.Name, " ")
		switch {
		case f.Name == "ledger":
			g.compare(f, g.entries())
		case first == "checks":
			g.check(rest)
		case isStatus(first):
			g.answer(f, rest)
		default:
			g.last = g.request(first, rest, string(f.Data))
		}
	}
}

func (g *golden) check(after string) {
	d, err := time.ParseDuration(after)
	if err != nil {
		g.t.Fatal(err)
	}
	for ; d > 0; d -= 10 * time.Minute {
		g.Pass(min(d, 10*time.Minute))
		if err := g.checks.Due(g.t.Context()); err != nil {
			g.t.Fatal(err)
		}
	}
}

func isStatus(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// expand replaces ${name}.
func (w *world) expand(s string) string {
	return os.Expand(s, func(name string) string {
		v, ok := w.vars[name]
		if !ok {
			w.t.Fatalf("nothing is called %s", name)
		}
		return v
	})
}

var headerLine = regexp.MustCompile(`^([A-Z][A-Za-z-]*): (.*)$`)

// request sends "METHOD /path" as somebody; nobody has no token.
func (w *world) request(who, line, data string) *httptest.ResponseRecorder {
	w.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	header := http.Header{}
	lines := strings.SplitAfter(w.expand(data), "\n")
	for len(lines) > 0 {
		m := headerLine.FindStringSubmatch(strings.TrimSuffix(lines[0], "\n"))
		if m == nil {
			break
		}
		header.Add(m[1], m[2])
		lines = lines[1:]
	}
	body := strings.TrimSpace(strings.Join(lines, ""))
	r := httptest.NewRequest(method, "https://api.localhost"+w.expand(path), strings.NewReader(body))
	r.RemoteAddr = "198.51.100.7:40000"
	r.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	r.Header.Set("User-Agent", "golden/1")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token, ok := w.Tokens[who]; ok {
		r.Header.Set("Authorization", "Bearer "+token)
	} else if who != "nobody" {
		w.t.Fatalf("there is no %s", who)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	w.checkSchema(method, r.URL.Path, answer)
	return answer
}

// checkSchema validates what a route answers, whichever test asked.
func (w *world) checkSchema(method, path string, a *httptest.ResponseRecorder) {
	if a.Code/100 != 2 || method == http.MethodHead || !schemas.there {
		return
	}
	if route := routeOf(method, path); route != nil && route.Schema != "" && route.Schema != "[]team-feature" {
		schemas.Check(w.t, route.Schema, a.Body.Bytes())
	}
}

// schemas are loaded once; where Heroku's schema is not at hand,
// TestRouteSchemas says so by skipping.
var schemas struct {
	*viewtest.Schemas
	there bool
}

func TestMain(m *testing.M) {
	flag.Parse()
	if s, err := viewtest.Open(); err == nil {
		schemas.Schemas, schemas.there = s, true
	}
	os.Exit(m.Run())
}

// routeOf finds the route that a request takes.
func routeOf(method, path string) *Route {
	mux := http.NewServeMux()
	var found *Route
	for _, r := range Routes() {
		mux.HandleFunc(r.Method+" "+r.pattern(), func(http.ResponseWriter, *http.Request) { found = &r })
	}
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, muxPath(path), nil))
	return found
}

func (g *golden) answer(f *txtar.File, captures string) {
	a := g.last
	for _, c := range strings.Fields(captures) {
		name, path, _ := strings.Cut(c, "=")
		g.vars[name] = pick(g.t, a.Body.Bytes(), path)
	}
	status, _, _ := strings.Cut(f.Name, " ")
	got := fmt.Sprint(a.Code)
	if status != got && !*update {
		g.t.Errorf("%s: status %s, want %s: %s", g.file, got, status, a.Body)
	}
	f.Name = strings.TrimSpace(got + " " + captures)
	g.compare(f, g.shown(a))
}

// pick takes a member such as "access_token.token" or "0.id" out of JSON.
func pick(t *testing.T, body []byte, path string) string {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%s of %s: %v", path, body, err)
	}
	for _, name := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(x) {
				t.Fatalf("no %s in %s", path, body)
			}
			v = x[i]
		}
	}
	s, ok := v.(string)
	if !ok {
		t.Fatalf("no %s in %s", path, body)
	}
	return s
}

// shownHeaders are those that matter to clients.
var shownHeaders = []string{
	"Accept-Ranges", "Allow", "Content-Disposition", "Content-Range", "Next-Range", "Ratelimit-Remaining", "Retry-After", "Www-Authenticate",
}

func (g *golden) shown(a *httptest.ResponseRecorder) string {
	var b strings.Builder
	for _, name := range shownHeaders {
		// What is left of the rate is shown only where it is short.
		if name == "Ratelimit-Remaining" && len(a.Header().Get(name)) > 2 {
			continue
		}
		if v := a.Header().Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	if t := a.Header().Get("Content-Type"); t != "application/json" && t != "" {
		fmt.Fprintf(&b, "Content-Type: %s\n", t)
	}
	if body := strings.TrimSpace(a.Body.String()); body != "" {
		b.WriteString(body + "\n")
	}
	return g.normal(b.String())
}

var (
	anyUUID     = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	anyToken    = regexp.MustCompile(`HRKU-[0-9a-f]{64}`)
	anyRedacted = regexp.MustCompile(`(HRKU-\*{10})[0-9a-f]{4}`)
	anyPEM      = regexp.MustCompile(`-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----(\\n)?`)
	anyDigest   = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	anyMade     = regexp.MustCompile(`\b(cert|postgresql|app)-[0-9a-f]{6,8}\b`)
	anyPassword = regexp.MustCompile(`\b[0-9a-f]{48}\b`)
	anyRole     = regexp.MustCompile(`"([ud])[0-9a-f]{14}"|\b([ud])[0-9a-f]{14}\b`)
	anySigned   = regexp.MustCompile(`signature=[A-Za-z0-9_-]{43}`)
	anyRoot     = regexp.MustCompile(`"[A-Za-z0-9+/]{43}="|"[A-Za-z0-9+/]{22}=="`)
	anyRootLine = regexp.MustCompile(`(?m)^[A-Za-z0-9+/]{43}=$`)
	anyNote     = regexp.MustCompile(`(?m)^(— strongroom/\S+) .*$`)
	anyHex      = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
)

// normal replaces what is different in each run. Built-in ids are the same
// everywhere and stay.
func (g *golden) normal(s string) string {
	s = anyToken.ReplaceAllString(s, "<token>")
	s = anyRedacted.ReplaceAllString(s, "$1<end>")
	s = anyPEM.ReplaceAllString(s, "<pem>")
	s = anyDigest.ReplaceAllString(s, "<digest>")
	s = anyPassword.ReplaceAllString(s, "<password>")
	s = anySigned.ReplaceAllString(s, "signature=<signature>")
	s = anyRoot.ReplaceAllString(s, `"<hash>"`)
	s = anyRootLine.ReplaceAllString(s, "<hash>")
	s = anyNote.ReplaceAllString(s, "$1 <signature>")
	s = anyHex.ReplaceAllString(s, "<hex>")
	s = anyMade.ReplaceAllString(s, "$1-<made>")
	s = anyRole.ReplaceAllString(s, "<role>")
	names := map[string]string{}
	for name, id := range g.vars {
		if have, ok := names[id]; !ok || name < have {
			names[id] = name
		}
	}
	return anyUUID.ReplaceAllStringFunc(s, func(id string) string {
		if name, ok := names[id]; ok {
			return "<" + name + ">"
		}
		if id[14] == '5' {
			return id
		}
		i := slices.Index(g.ids, id)
		if i < 0 {
			i, g.ids = len(g.ids), append(g.ids, id)
		}
		return fmt.Sprintf("<id %d>", i+1)
	})
}

// entries lists what was recorded since the last look.
func (g *golden) entries() string {
	list, err := g.Store.Entries(g.t.Context(), store.Query{FromSeq: g.seen, Limit: 1000})
	if err != nil {
		g.t.Fatal(err)
	}
	g.seen = g.head()
	var b strings.Builder
	for _, e := range list {
		body, err := ledger.ParseBody(e.Body)
		if err != nil {
			g.t.Fatal(err)
		}
		who := strings.TrimSuffix(body.Actor.Email, "@example.org")
		if who == "" {
			who = string(body.Actor.Kind)
		}
		fmt.Fprintf(&b, "%s %s %s %s:%s", who, body.Action, body.Outcome, body.Target.Kind, body.Target.Name)
		for _, d := range body.Details {
			fmt.Fprintf(&b, " %s=%q", d.Name, d.Value)
		}
		if body.Reason != "" {
			fmt.Fprintf(&b, " reason=%q", body.Reason)
		}
		b.WriteString("\n")
	}
	return g.normal(b.String())
}

func (g *golden) compare(f *txtar.File, got string) {
	if *update {
		f.Data = []byte(got)
		return
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(f.Data)), strings.TrimSpace(got)); diff != "" {
		g.t.Errorf("%s: %s (-want +got):\n%s", g.file, f.Name, diff)
	}
}
