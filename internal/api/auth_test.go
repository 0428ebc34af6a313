package api

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/people"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// last gives the newest entry's body.
func (w *world) last() *ledger.Body {
	w.t.Helper()
	list, err := w.Store.Entries(w.t.Context(), store.Query{Limit: 1, Newest: true})
	if err != nil || len(list) != 1 {
		w.t.Fatalf("newest entry: %v", err)
	}
	b, err := ledger.ParseBody(list[0].Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) size() int64 {
	h, err := w.Store.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return h.Size
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\n"
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expired := &people.CreateToken{Account: w.Accounts["dev"].ID, Description: "short", ExpiresIn: time.Hour}
	w.Do(expired, commandtest.Platform)
	w.Tokens["expired"] = string(expired.Secret.Reveal())
	dev := w.Tokens["dev"]
	for i, c := range []struct {
		name, who, header string
		at                time.Duration // 0: soon
		want              int
		why               string // in the ledger
	}{
		{"bearer", "dev", "", 0, 200, ""},
		{"scheme in capitals", "nobody", "Authorization: BEARER " + dev + "\n", 0, 200, ""},
		{"basic as git sends it", "nobody", basic("heroku", dev), 0, 200, ""},
		{"basic as the data commands send it", "nobody", basic("", dev), 0, 200, ""},
		{"basic as curl -u TOKEN: sends it", "nobody", basic(dev, ""), 0, 200, ""},
		{"token with another letter", "nobody", "Authorization: Bearer " + dev[:len(dev)-1] + "x\n", 0, 401, "unknown token"},
		{"digest instead of the token", "nobody", "Authorization: Bearer " + people.TokenDigest(dev) + "\n", 0, 401, "unknown token"},
		{"no credentials", "nobody", "", 0, 401, ""},
		{"another scheme", "nobody", "Authorization: Digest x\n", 0, 401, ""},
		{"a password where a token is needed", "nobody", basic("dev@example.org", "correct horse battery"), 0, 401, "unknown token"},
		{"token with an hour to live", "expired", "", 0, 200, ""},
		{"token a moment before its end", "expired", "", time.Hour - time.Nanosecond, 200, ""},
		{"token at its end", "expired", "", time.Hour, 401, "expired token"},
	} {
		// A denial of the same kind within a minute is counted, not appended.
		at := c.at
		if at == 0 {
			at = time.Duration(i+1) * 2 * time.Minute
		}
		w.Set(commandtest.Noon.Add(at))
		before := w.size()
		a := w.request(c.who, "GET /account", c.header)
		if a.Code != c.want {
			t.Errorf("%s: status %d, want %d: %s", c.name, a.Code, c.want, a.Body)
		}
		switch {
		case c.why == "" && w.size() != before:
			t.Errorf("%s: %d new entries in the ledger, want none", c.name, w.size()-before)
		case c.why != "":
			if b := w.last(); b.Action != "account.login" || b.Outcome != ledger.Denied || b.Target.Name != c.why || b.Actor.IP != "198.51.100.7" {
				t.Errorf("%s: the ledger has %+v, want a denied log-in because of an %s", c.name, b, c.why)
			}
		}
	}
}

func TestSuspendedAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Do(&people.SuspendAccount{Email: "dev@example.org"}, w.As("root"))
	if a := w.request("dev", "GET /apps", ""); a.Code != 401 {
		t.Errorf("a suspended account's token: %d, want 401", a.Code)
	}
}

// TestUse: that an account is used is on record once a day, whatever it is used
// for.
func TestUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	uses := func() (n int) {
		for _, l := range w.Since(0) {
			if l.Action == "account.use" {
				n++
			}
		}
		return n
	}
	for i, step := range []struct {
		who  string
		pass time.Duration
		want int // uses on record by then
	}{
		{"dev", 0, 0}, // the day the account was made tells enough
		{"dev", 25 * time.Hour, 1},
		{"dev", time.Hour, 1},
		{"auditor", 0, 2},
		{"dev", 24 * time.Hour, 3},
	} {
		w.Pass(step.pass)
		if a := w.request(step.who, "GET /account", "Strongroom-Reason: of the request\n"); a.Code != 200 {
			t.Fatalf("step %d: %d", i, a.Code)
		}
		if n := uses(); n != step.want {
			t.Errorf("step %d: %d uses on record, want %d", i, n, step.want)
		}
	}
	if b := w.last(); b.Actor.Email != "dev@example.org" || b.Reason != "" || b.Target.ID != w.Accounts["dev"].ID {
		t.Errorf("on record: %+v", b)
	}
	if a := w.request("dev", "GET /account", ""); pick(t, a.Body.Bytes(), "last_login") != "2026-03-04T14:00:00Z" {
		t.Errorf("the account: %s", a.Body)
	}
	w.Pass(25 * time.Hour)
	if a := w.request("dev", "GET /account", ""); a.Code != 200 || uses() != 4 {
		t.Errorf("another day: %d, %d uses", a.Code, uses())
	}
}

func TestPasswordLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const password = "correct horse battery staple"
	w.Account("pat", password)
	body := `{"description": "Heroku CLI login from laptop", "expires_in": 2592000, "scope": ["global"]}`
	right := w.request("nobody", "POST /oauth/authorizations", basic("pat@example.org", password)+body)
	if right.Code != 201 {
		t.Fatalf("log-in: %d %s", right.Code, right.Body)
	}
	w.Tokens["pat"] = pick(t, right.Body.Bytes(), "access_token.token")
	if email := pick(t, right.Body.Bytes(), "user.email"); email != "pat@example.org" {
		t.Errorf("user.email = %q", email)
	}
	if a := w.request("pat", "GET /account", ""); a.Code != 200 {
		t.Errorf("the new token: %d", a.Code)
	}
	var actions []string
	for _, e := range w.since(w.size() - 2) {
		actions = append(actions, e.Action+" "+string(e.Outcome)+" "+e.Actor.Email)
	}
	if got, want := strings.Join(actions, ", "), "account.login ok pat@example.org, token.create ok pat@example.org"; got != want {
		t.Errorf("the ledger has %q, want %q", got, want)
	}

	for _, c := range []struct{ name, header string }{
		{"wrong password", basic("pat@example.org", "wrong horse battery staple")},
		{"unknown address", basic("nobody@example.org", password)},
		{"account without a password", basic("dev@example.org", password)},
	} {
		a := w.request("nobody", "POST /oauth/authorizations", c.header+body)
		if a.Code != 401 || !strings.Contains(a.Body.String(), "Invalid credentials provided.") {
			t.Errorf("%s: %d %s", c.name, a.Code, a.Body)
		}
	}
	if b := w.last(); b.Action != "account.login" || b.Outcome != ledger.Denied {
		t.Errorf("the ledger has %+v, want a denied log-in", b)
	}
	// A password opens nothing but the making of a token.
	if a := w.request("nobody", "GET /account", basic("pat@example.org", password)); a.Code != 401 {
		t.Errorf("a password on another route: %d, want 401", a.Code)
	}
}

func (w *world) since(seq int64) []*ledger.Body {
	w.t.Helper()
	list, err := w.Store.Entries(w.t.Context(), store.Query{FromSeq: seq, Limit: 100})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []*ledger.Body
	for _, e := range list {
		b, err := ledger.ParseBody(e.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func TestGuessingIsSlow(t *testing.T) {
	a := &api{cfg: Config{Now: func() time.Time { return commandtest.Noon }}, logins: newRates(10*time.Second, 3), hashing: make(semaphore, 1)}
	c := &call{api: a, ctx: t.Context(), source: netip.MustParseAddr("198.51.100.7")}
	for range 3 {
		a.logins.take("from 198.51.100.0/24", commandtest.Noon)
	}
	if err := a.logIn(c, credentials{email: "a@example.org", password: "guess"}); fault.Of(err) != fault.TooMany {
		t.Errorf("the fourth guess from a network: %v, want too many", err)
	}
	if _, ok := a.logins.take("from 198.51.100.0/24", commandtest.Noon.Add(41*time.Second)); !ok {
		t.Error("later there is no attempt left")
	}
}

func TestTokenScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, s := range []string{"identity", "read", "read-protected", "write", "write-protected"} {
		w.Token(s, "owner", s)
	}
	const (
		who     = "GET /account"
		look    = "GET /apps/clinic"
		secrets = "GET /apps/clinic/config-vars"
		change  = "PATCH /apps/clinic"
		set     = "PATCH /apps/clinic/config-vars"
		people  = "PUT /teams/care/members"
		token   = "POST /oauth/authorizations"
	)
	bodies := map[string]string{
		change: `{"maintenance": true}`, set: `{"X": "1"}`, people: `{"email": "collab@example.org", "role": "viewer"}`, token: `{}`,
	}
	for _, c := range []struct {
		token string
		may   string
	}{
		{"identity", who},
		{"read", who + look},
		{"read-protected", who + look + secrets},
		{"write", who + look + change},
		{"write-protected", who + look + secrets + change + set},
		{"owner", who + look + secrets + change + set + people + token},
	} {
		for _, request := range []string{who, look, secrets, change, set, people, token} {
			a := w.request(c.token, request, bodies[request])
			may := strings.Contains(c.may, request)
			if may != (a.Code/100 == 2) || !may && a.Code != 403 {
				t.Errorf("a token for %s: %s gives %d, allowed: %t", c.token, request, a.Code, may)
			}
		}
	}
	denied, err := w.Store.Entries(t.Context(), store.Query{Outcome: ledger.Denied, Limit: 100})
	if err != nil || len(denied) != 6 {
		t.Errorf("%d denials on record, want one for each kind of request that was refused: %v", len(denied), err)
	}
}

func TestAuthenticator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Token("reader", "dev", "read")
	d := &Authenticator{Store: w.Store, Kernel: w.Kernel, Via: ledger.ViaGit, Now: w.Now}
	try := func(user, password string) (control.By, error) {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", "https://api.localhost/clinic.git/git-receive-pack", nil)
		r.RemoteAddr = "198.51.100.7:40000"
		r.SetBasicAuth(user, password)
		return d.Authenticate(r)
	}
	by, err := try("heroku", w.Tokens["dev"])
	if err != nil || by.Actor.ID != w.Accounts["dev"].ID || by.Via != ledger.ViaGit || by.Actor.Session != w.vars["token:dev"] {
		t.Errorf("by = %+v, %v", by, err)
	}
	if _, err := try("heroku", "wrong"); err == nil || w.last().Via != ledger.ViaGit || w.last().Outcome != ledger.Denied {
		t.Errorf("a wrong token: %v; the ledger has %+v", err, w.last())
	}
	if _, err := try("heroku", w.Tokens["reader"]); err == nil || w.last().Action != "repository.push" {
		t.Errorf("a token that may only read: %v; the ledger has %+v", err, w.last())
	}
}

func TestAccountOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.request("dev", "POST /apps", "Request-Id: 0123456789abcdef,older-id\nStrongroom-Reason: as asked for in TICKET-9\n"+`{"name": "traced", "space": "ward"}`)
	if a.Code != 201 || a.Header().Get("Request-Id") != "0123456789abcdef" {
		t.Fatalf("%d, Request-Id %q", a.Code, a.Header().Get("Request-Id"))
	}
	b := w.last()
	want := ledger.Actor{
		Kind: ledger.AccountActor, ID: w.Accounts["dev"].ID, Email: "dev@example.org", IP: "198.51.100.7", UserAgent: "golden/1",
		Session: w.vars["token:dev"], Roles: []string{"member"},
	}
	if b.RequestID != "0123456789abcdef" || b.Reason != "as asked for in TICKET-9" || b.Via != ledger.ViaAPI {
		t.Errorf("body = %+v", b)
	}
	if diff := cmp.Diff(want, b.Actor); diff != "" {
		t.Errorf("actor (-want +got):\n%s", diff)
	}
}
