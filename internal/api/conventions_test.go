package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/view"
)

func TestETag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.request("dev", "GET /apps/clinic", "")
	tag := first.Header().Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	for _, c := range []struct {
		header string
		want   int
	}{
		{tag, 304}, {"W/" + tag, 304}, {`"other", ` + tag, 304}, {"*", 304}, {`"other"`, 200}, {"", 200},
	} {
		a := w.request("dev", "GET /apps/clinic", "If-None-Match: "+c.header+"\n")
		if a.Code != c.want || c.want == 304 && a.Body.Len() > 0 {
			t.Errorf("If-None-Match %s: %d with %d bytes, want %d", c.header, a.Code, a.Body.Len(), c.want)
		}
	}
	w.request("dev", "PATCH /apps/clinic", `{"maintenance": true}`)
	if a := w.request("dev", "GET /apps/clinic", "If-None-Match: "+tag+"\n"); a.Code != 200 {
		t.Errorf("after a change: %d, want 200", a.Code)
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(Config{
		RatePerHour: 60,
	})
	for i := range 60 {
		a := w.request("dev", "GET /account", "")
		if a.Code != 200 {
			t.Fatalf("request %d: %d", i, a.Code)
		}
		if i == 0 && a.Header().Get("RateLimit-Remaining") != "59" {
			t.Errorf("RateLimit-Remaining = %q, want 59", a.Header().Get("RateLimit-Remaining"))
		}
	}
	a := w.request("dev", "GET /account", "")
	if a.Code != 429 || !strings.Contains(a.Body.String(), `"rate_limit"`) {
		t.Errorf("request 61: %d %s", a.Code, a.Body)
	}
	if a := w.request("owner", "GET /account", ""); a.Code != 200 {
		t.Errorf("another account: %d", a.Code)
	}
	w.Set(w.Now().Add(time.Minute))
	if a := w.request("dev", "GET /account", ""); a.Code != 200 {
		t.Errorf("a minute later: %d", a.Code)
	}
}

func TestRatesForget(t *testing.T) {
	l := newRates(time.Second, 5)
	for i := range 100 {
		l.take(strings.Repeat("x", i), commandtest.Noon)
	}
	l.take("again", commandtest.Noon.Add(time.Hour))
	if len(l.buckets) != 1 {
		t.Errorf("%d buckets an hour later, want 1", len(l.buckets))
	}
}

// TestStrictTransport pins browsers to TLS for names of this server alone.
func TestStrictTransport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for host, want := range map[string]bool{
		"localhost.paas.example.org": true, "localhost.paas.example.org:5443": true,
		"localhost": false, "LocalHost:5443": false, "127.0.0.1:5443": false, "[::1]:5443": false,
	} {
		r := httptest.NewRequest("GET", "https://"+host+"/account", nil)
		a := httptest.NewRecorder()
		w.handler.ServeHTTP(a, r)
		if got := a.Header().Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("%s: pinned %v, want %v", host, got, want)
		}
	}
}

// TestHelp leads from an error to the installation's page about it.
func TestHelp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(Config{Help: "https://help.example.org/errors"})
	for request, id := range map[string]string{"GET /apps/none": "not_found", "GET /nowhere": "not_found", "POST /apps": "bad_request"} {
		want := `"url":"https://help.example.org/errors#` + id + `"`
		if a := w.request("dev", request, "{"); !strings.Contains(a.Body.String(), want) {
			t.Errorf("%s: %s, want %s", request, a.Body, want)
		}
	}
}

func TestBodyBounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"a megabyte and more", `{"name": "` + strings.Repeat("x", maxBody) + `"}`, 413},
		{"deep", strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40), 400},
		{"wide", `{"a": [` + strings.Repeat("1,", maxItems) + "1]}", 400},
		{"not UTF-8", "{\"name\": \"\xff\"}", 400},
		{"duplicate deep inside", `{"a": {"b": 1, "b": 2}}`, 400},
		{"number that is none", `{"name": 01}`, 400},
		{"trailing comma", `{"name": "x",}`, 400},
	} {
		if a := w.request("dev", "POST /apps", c.body); a.Code != c.want {
			t.Errorf("%s: %d, want %d: %.200s", c.name, a.Code, c.want, a.Body)
		}
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	w.serve(Config{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for request, body := range map[string]string{
		"POST /apps/clinic/dynos":                               `{"command": "bash", "attach": true}`,
		"POST /apps/clinic/log-sessions":                        `{}`,
		"GET /strongroom/ledger/checkpoint":                     "",
		"GET /client/v11/databases/records/bastion":             "",
		"GET /spaces/ward/sessions/${session:closed}/recording": "",
		"POST /strongroom/evidence":                             `{"space": "ward", "from": "2026-01-01T00:00:00Z"}`,
	} {
		before := w.size()
		who := "dev"
		if strings.Contains(request, "evidence") || strings.Contains(request, "recording") {
			who = "auditor"
		}
		if a := w.request(who, request, body); a.Code != 503 || !strings.Contains(a.Body.String(), `"unavailable"`) {
			t.Errorf("%s: %d %s", request, a.Code, a.Body)
		}
		if w.size() != before {
			t.Errorf("%s: recorded what could not be done: %+v", request, w.last())
		}
	}
}

func TestInternalErrorShowsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var log bytes.Buffer
	w.serve(Config{
		Network: broken{},
		Log:     slog.New(slog.NewTextHandler(&log, nil)),
	})
	a := w.request("dev", "GET /spaces/ward/nat", "Request-Id: 00000000-1111\n")
	if a.Code != 500 || strings.Contains(a.Body.String(), "10.9.8.7") || !strings.Contains(a.Body.String(), "00000000-1111") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if !strings.Contains(log.String(), "10.9.8.7") || !strings.Contains(log.String(), "00000000-1111") {
		t.Errorf("the log lacks the cause or the request: %s", log.String())
	}
}

type broken struct{}

func (broken) HostAddresses() ([]netip.Addr, error) { return nil, errors.New("netlink 7") }

func (broken) Egress(context.Context, string) ([]string, error) {
	return nil, errors.New("dial 10.9.8.7: refused")
}

func (broken) Disk(context.Context, string) (used, size int64, err error) {
	return 0, 0, errors.New("the engine is away")
}

func (broken) Stats(ctx context.Context, _ *document.Addon) (view.DatabaseStats, error) {
	<-ctx.Done()
	return view.DatabaseStats{}, ctx.Err()
}

// TestDatabaseThatHangs: what is known of it is shown, soon.
func TestDatabaseThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve(Config{Network: broken{}})
	began := time.Now()
	a := w.request("dev", "GET /client/v11/databases/records", "")
	if a.Code != 200 || !strings.Contains(a.Body.String(), `"Available"`) || strings.Contains(a.Body.String(), "Data Size") {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if took := time.Since(began); took > 4*statsPatience {
		t.Errorf("it took %s", took)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	a := &api{cfg: Config{Log: slog.New(slog.DiscardHandler), Now: time.Now}, origin: http.NewCrossOriginProtection()}
	w := httptest.NewRecorder()
	a.serve(Route{Method: "GET", Path: "/x", Need: "public", handle: func(*call) (Answer, error) { panic("oh") }})(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != 500 || strings.Contains(w.Body.String(), "oh\"") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOutputStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.request("dev", "GET /apps/clinic/builds/${build:1}", "")
	address := pick(t, a.Body.Bytes(), "output_stream_url")
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	out := w.request("nobody", "GET "+u.RequestURI(), "")
	if out.Code != 200 || out.Body.String() != "-----> Node.js app detected\n" {
		t.Fatalf("%d %q", out.Code, out.Body)
	}
	if b := w.last(); b.Action != "log.read" || b.Actor.Email != "dev@example.org" {
		t.Errorf("the ledger has %+v, want dev's reading", b)
	}
	for name, change := range map[string]func(url.Values){
		"another token": func(q url.Values) { q.Set("token", w.IDs["token:owner"]) },
		"a longer life": func(q url.Values) { q.Set("expires", "9999999999") },
		"no signature":  func(q url.Values) { q.Del("signature") },
	} {
		q := u.Query()
		change(q)
		if a := w.request("nobody", "GET "+u.Path+"?"+q.Encode(), ""); a.Code != 404 {
			t.Errorf("%s: %d, want 404", name, a.Code)
		}
	}
	if a := w.request("nobody", "GET /output-streams/build/${build:2}?"+u.RawQuery, ""); a.Code != 404 {
		t.Errorf("another build with this signature: %d, want 404", a.Code)
	}
	w.Set(w.Now().Add(3 * time.Hour))
	if a := w.request("nobody", "GET "+u.RequestURI(), ""); a.Code != 404 {
		t.Errorf("three hours later: %d, want 404", a.Code)
	}
}

func TestOutputStreamOfOneWhoLostAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.request("dev", "GET /apps/clinic/builds/${build:1}", "")
	u, err := url.Parse(pick(t, a.Body.Bytes(), "output_stream_url"))
	if err != nil {
		t.Fatal(err)
	}
	if a := w.request("owner", "DELETE /teams/care/members/dev@example.org", ""); a.Code != 200 {
		t.Fatal(a.Body)
	}
	if a := w.request("nobody", "GET "+u.RequestURI(), ""); a.Code != 404 {
		t.Errorf("%d, want 404: %s", a.Code, a.Body)
	}
	if b := w.last(); b.Outcome != ledger.Denied || b.Action != "log.read" {
		t.Errorf("the ledger has %+v, want a denial", b)
	}
}

// TestOutputStreamOfAToken says that an address is worth no more than the token
// that it was made for.
func TestOutputStreamOfAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Token("reader", "dev", "read")
	w.Token("protected", "dev", "read-protected")
	w.Token("writer", "dev", "write")
	short := &people.CreateToken{Account: w.Accounts["dev"].ID, Description: "short", ExpiresIn: time.Minute}
	w.Do(short, commandtest.Platform)
	w.Tokens["short"] = string(short.Secret.Reveal())
	address := func(who string) string {
		t.Helper()
		a := w.request(who, "GET /apps/clinic/builds/${build:1}", "")
		u, err := url.Parse(pick(t, a.Body.Bytes(), "output_stream_url"))
		if err != nil {
			t.Fatal(err)
		}
		return u.RequestURI()
	}
	for _, who := range []string{"reader", "writer"} {
		a := w.request(who, "GET /apps/clinic/builds/${build:1}", "")
		if u := pick(t, a.Body.Bytes(), "output_stream_url"); u != "" {
			t.Errorf("a token that is not good for logs got %s", u)
		}
	}
	revoked, expired, suspended := address("protected"), address("short"), address("dev")
	if a := w.request("nobody", "GET "+revoked, ""); a.Code != 200 {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	refused := func(address, why string) {
		t.Helper()
		if a := w.request("nobody", "GET "+address, ""); a.Code != 401 {
			t.Errorf("%s: %d %s, want 401", why, a.Code, a.Body)
		}
		if b := w.last(); b.Action != "account.login" || b.Outcome != ledger.Denied || b.Target.Name != why {
			t.Errorf("the ledger has %+v, want an %s", b, why)
		}
		w.Set(w.Now().Add(2 * time.Minute)) // or the next denial is only counted
	}
	if a := w.request("dev", "DELETE /oauth/authorizations/${token:protected}", ""); a.Code != 200 {
		t.Fatal(a.Body)
	}
	refused(revoked, "unknown token")
	refused(expired, "expired token")
	w.Do(&people.SuspendAccount{Email: "dev@example.org"}, w.As("root")) // which revokes the tokens, too
	refused(suspended, "unknown token")
}

// live is output that is still being written.
type live struct{ parts []string }

func (l live) CopyTo(_ context.Context, w io.Writer) error {
	for _, p := range l.parts {
		if _, err := io.WriteString(w, p); err != nil {
			return err
		}
	}
	return nil
}

func TestLiveOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := streamKey("0123456789abcdef0123456789abcdef")
	a := &api{streams: key, cfg: Config{
		Store: w.Store, Kernel: w.Kernel, Log: slog.New(slog.DiscardHandler), Now: w.Now,
		Live: func(kind, _ string) LiveOutput {
			if kind == releaseOutput {
				return live{[]string{"migrating\n", "done\n"}}
			}
			return nil
		},
	}}
	id, dev, expires := w.vars["release:2"], w.IDs["token:dev"], "4102444800"
	r := httptest.NewRequest("GET", streamsPath+"release/"+id+"?"+url.Values{
		"token": {dev}, "expires": {expires}, "signature": {key.sign(releaseOutput, id, dev, expires)},
	}.Encode(), nil)
	r.SetPathValue("kind", "release")
	r.SetPathValue("id", id)
	out := httptest.NewRecorder()
	a.serveStream(out, r)
	if out.Code != 200 || out.Body.String() != "migrating\ndone\n" || !out.Flushed {
		t.Errorf("%d %q flushed %t", out.Code, out.Body, out.Flushed)
	}
	if b := w.last(); b.Action != "log.read" || b.Details[0].Value != "true" {
		t.Errorf("the ledger has %+v, want a log that is followed", b)
	}
}

func TestSource(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, c := range []struct {
		remote, forwarded, want string
	}{
		{"198.51.100.7:1", "", "198.51.100.7"},
		{"198.51.100.7:1", "203.0.113.9", "198.51.100.7"}, // not a proxy of ours: what it says counts for nothing
		{"10.0.0.1:1", "203.0.113.9", "203.0.113.9"},
		{"10.0.0.1:1", "192.0.2.1, 203.0.113.9", "203.0.113.9"}, // the left one is the client's own invention
		{"10.0.0.1:1", "203.0.113.9, 10.0.0.2", "203.0.113.9"},
		{"10.0.0.1:1", "garbage", "10.0.0.1"},
		{"10.0.0.1:1", "", "10.0.0.1"},
		{"[2001:db8::1]:1", "203.0.113.9", "203.0.113.9"},
		{"[::ffff:10.0.0.1]:1", "203.0.113.9", "203.0.113.9"},
		{"@", "203.0.113.9", "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := source(r, trusted).String(); got != c.want {
			t.Errorf("from %s, forwarded for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

func TestRequestID(t *testing.T) {
	for _, c := range []struct {
		header string
		kept   bool
	}{
		{"0b8a1c9e-0000-4000-8000-000000000000", true},
		{"0b8a1c9e-0000-4000-8000-000000000000,older", true},
		{"short", false},
		{"", false},
		{"with spaces in it", false},
		{strings.Repeat("x", 200), false},
		{"quote\"quote\"", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Request-Id", c.header)
		first, _, _ := strings.Cut(c.header, ",")
		if got := requestID(r); (got == first) != c.kept {
			t.Errorf("%q gives %q", c.header, got)
		}
	}
}

func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		header string
		ok     bool
	}{
		{"application/vnd.heroku+json; version=3", true},
		{"application/vnd.heroku+json; version=3.sdk", true},
		{"application/vnd.heroku+json;version=3.account-quotas", true},
		{"application/vnd.heroku+json", true},
		{"*/*", true},
		{"", true},
		{"application/json", true},
		{"application/vnd.heroku+json; version=2", false},
		{"application/vnd.heroku+json; version=30", false},
		{"APPLICATION/vnd.heroku+json; version=edge", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", c.header)
		if err := accepts(r); (err == nil) != c.ok {
			t.Errorf("Accept %q: %v", c.header, err)
		}
	}
}

func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	done := make(chan int, 64)
	for i := range 64 {
		go func() {
			request, body := "GET /apps/clinic", ""
			if i%4 == 0 {
				request, body = "PATCH /apps/clinic/config-vars", `{"N": "1"}`
			}
			r := httptest.NewRequest(strings.Fields(request)[0], "https://api.localhost"+strings.Fields(request)[1], strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+w.Tokens["dev"])
			r.Header.Set("Content-Type", "application/json")
			a := httptest.NewRecorder()
			w.handler.ServeHTTP(a, r)
			done <- a.Code
		}()
	}
	for range 64 {
		if code := <-done; code != 200 {
			t.Errorf("status %d", code)
		}
	}
}
