package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
)

// api is the running API.
type api struct {
	cfg      Config
	requests *rates // by account
	logins   *rates // attempts with a password
	hashing  semaphore
	streams  streamKey
	origin   *http.CrossOriginProtection
}

// New returns the API as one handler.
func New(cfg Config) (http.Handler, error) {
	if cfg.Store == nil || cfg.Kernel == nil || cfg.Log == nil || cfg.Site.API == "" {
		return nil, errors.New("api: Store, Kernel, Log and Site are needed")
	}
	if cfg.RatePerHour == 0 {
		cfg.RatePerHour = 4500
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := &api{
		cfg:      cfg,
		requests: newRates(time.Hour/time.Duration(cfg.RatePerHour), cfg.RatePerHour),
		logins:   newRates(10*time.Second, 20),
		hashing:  make(semaphore, 2),
		streams:  newStreamKey(),
		origin:   http.NewCrossOriginProtection(),
	}
	mux := newMux(Routes(), a.serve, a.unknown)
	mux.HandleFunc("GET "+streamsPath+"{kind}/{id}", a.serveStream)
	mux.HandleFunc("GET "+buildpacksPath+"{name}", a.serveBuildpack)
	if cfg.LogStream != nil {
		mux.Handle("/log-streams/", cfg.LogStream)
	}
	return a.front(mux), nil
}

// front does what comes before any route: git, headers for every answer, and
// the paths that a mux cannot tell apart.
func (a *api) front(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); strings.HasSuffix(first, ".git") && a.cfg.Git != nil {
			a.cfg.Git.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "private, no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Vary", "Authorization, Accept, Range")
		if r.TLS != nil && !shared(r.Host) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if rest, ok := strings.CutPrefix(r.URL.Path, teamApps); ok {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = teamAppsMux+rest, muxPath(r.URL.RawPath)
		}
		mux.ServeHTTP(w, r)
	})
}

// shared tells whether a host name is that of every service on a developer's
// machine: a browser that was told to use TLS with it would with all of them.
func shared(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return strings.EqualFold(name, "localhost") || net.ParseIP(strings.Trim(name, "[]")) != nil
}

// serve is a route as the mux calls it.
func (a *api) serve(route Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := a.call(route, w, r)
		defer c.recover()
		answer, err := c.run()
		if err != nil {
			c.fail(err)
			return
		}
		c.answer(answer)
	}
}

// unknown answers paths that are none, and methods that a path does not have.
func (a *api) unknown(w http.ResponseWriter, r *http.Request) {
	c := a.call(Route{Method: r.Method}, w, r)
	if w.Header().Get("Allow") != "" {
		c.fail(problemf(http.StatusMethodNotAllowed, "method_not_allowed", "This resource does not know the method %s.", clip(r.Method)))
		return
	}
	c.fail(problemf(http.StatusNotFound, "not_found", "The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`), and did you specify your intended version with the `Accept` header?"))
}

func (a *api) call(route Route, w http.ResponseWriter, r *http.Request) *call {
	id := requestID(r)
	w.Header().Set("Request-Id", id)
	from := source(r, a.cfg.TrustedProxies)
	c := &call{
		api: a, route: route, ctx: r.Context(), w: w, r: r, source: from,
		log: a.cfg.Log.With("request_id", id, "method", route.Method, "route", route.Path),
		by:  actorOf(r, id, from),
	}
	return c
}

// run takes a request from its first check to its handler's answer.
func (c *call) run() (Answer, error) {
	if err := c.wellFormed(); err != nil {
		return Answer{}, err
	}
	if c.route.Need != authz.Public {
		if err := c.identify(); err != nil {
			return Answer{}, err
		}
	}
	if err := c.visible(); err != nil {
		return Answer{}, c.onRecord(err)
	}
	answer, err := c.route.handle(c)
	if err != nil {
		return Answer{}, c.onRecord(err)
	}
	return answer, nil
}

func (c *call) wellFormed() error {
	if err := c.origin.Check(c.r); err != nil {
		return problemf(http.StatusForbidden, "forbidden", "Requests from other web sites are not accepted.")
	}
	if err := accepts(c.r); err != nil {
		return err
	}
	var err error
	c.by.Reason, err = reason(c.r)
	return err
}

// identify finds out who is calling, whether they call too often, and whether
// their token is good for this.
func (c *call) identify() error {
	if err := c.authenticate(c); err != nil {
		return err
	}
	c.by = c.who.actor(c.by)
	left, ok := c.requests.take(c.me().ID, c.cfg.Now())
	c.w.Header().Set("RateLimit-Remaining", strconv.Itoa(left))
	if !ok {
		c.w.Header().Set("Retry-After", "1")
		return problemf(http.StatusTooManyRequests, "rate_limit", "Your account reached the API rate limit. Please wait a few minutes before making new requests.")
	}
	if c.who.token != nil && !c.route.scope().coveredBy(c.who.token.Scope) {
		return c.execute(c.who.outOfScope(c.tried("api.read"), c.route.scope()))
	}
	return nil
}

// tried is what the ledger calls what the route does.
func (c *call) tried(otherwise string) string {
	if list := c.route.actions(); len(list) > 0 {
		return list[0]
	}
	return otherwise
}

// onRecord has a refused read recorded. What the kernel refused it recorded
// itself.
func (c *call) onRecord(err error) error {
	var refusal *query.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	recorded := c.execute(refusal.Command(c.tried(c.lookedFor())))
	if fault.Of(recorded) != fault.Of(err) {
		return recorded // it could not be recorded, or their access just changed
	}
	return err
}

// lookedFor names a refused read by its permission where that says more than
// that something was viewed.
func (c *call) lookedFor() string {
	switch c.route.Need {
	case authz.EvidenceRead, authz.AppSecrets:
		return string(c.route.Need)
	}
	return ""
}

// recover turns a panic into an internal error. A handler that gives up on a
// half-written answer panics with http.ErrAbortHandler on purpose.
func (c *call) recover() {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	c.log.Error("panic in handler", "panic", p, "stack", string(debug.Stack()))
	c.fail(errors.New("panic"))
}

// fail answers with an error.
func (c *call) fail(err error) {
	p, internal := explain(err, c.by.RequestID)
	switch {
	case internal && c.ctx.Err() != nil:
		c.log.Debug("the client went away", "error", err)
	case internal:
		c.log.Error("request failed", "error", err)
	case p.Status == http.StatusServiceUnavailable:
		c.log.Warn("request refused", "error", err)
		c.w.Header().Set("Retry-After", "5")
	}
	if p.Status == http.StatusUnauthorized {
		c.w.Header().Set("WWW-Authenticate", `Basic realm="strongroom"`)
	}
	told := *p
	if c.cfg.Help != "" && told.URL == "" {
		told.URL = c.cfg.Help + "#" + told.ID
	}
	body, _ := json.Marshal(told)
	c.write(p.Status, "application/json", append(body, '\n'))
}

func (c *call) answer(a Answer) {
	if a.Written {
		return
	}
	for name, values := range a.Header {
		c.w.Header()[name] = values
	}
	if a.Stream != nil {
		c.stream(a)
		return
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	body, err := encode(a.Body)
	if err != nil {
		c.fail(err)
		return
	}
	if c.r.Method == http.MethodGet || c.r.Method == http.MethodHead {
		sum := sha256.Sum256(body)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
		c.w.Header().Set("ETag", tag)
		if matches(c.r.Header.Get("If-None-Match"), tag) {
			c.w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	c.write(a.Status, "application/json", body)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// matches reads If-None-Match.
func matches(header, tag string) bool {
	for _, t := range strings.Split(header, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

func (c *call) write(status int, kind string, body []byte) {
	c.w.Header().Set("Content-Type", kind)
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // the client may have gone; there is nobody to tell
	}
}

// stream copies an answer that is not JSON. Once it has begun, an error can
// only be shown by breaking the connection.
func (c *call) stream(a Answer) {
	defer a.Stream.Close()
	c.w.Header().Set("Content-Type", a.ContentType)
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(c.w, a.Stream); err != nil {
		c.abort(err)
	}
}

func (c *call) abort(err error) {
	if !errors.Is(err, context.Canceled) {
		c.log.Log(c.ctx, slog.LevelWarn, "answer broken off", "error", err)
	}
	panic(http.ErrAbortHandler)
}
