package api

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/sessions"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/store"
)

// Outputs of builds and release phases are fetched without credentials, so
// their addresses carry what is needed: for which token, until when, and a
// signature. Whoever fetches one is who holds that token, as long as it is good;
// it is checked and recorded like any read.
const streamsPath = "/output-streams/"

// streamLife is how long an address is good.
const streamLife = time.Hour

// streamKey signs addresses. It is made anew when the server starts.
type streamKey []byte

func newStreamKey() streamKey {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

func (k streamKey) sign(kind, id, token, expires string) string {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(strings.Join([]string{kind, id, token, expires}, "\n")))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// outputURL is an address for the caller: "" if they may not read the app's
// output, or not with the token that they came with.
func (c *call) outputURL(q *query.Reader, a query.App, kind, id string) (string, error) {
	if c.who.token == nil || !scopeReadProtected.coveredBy(c.who.token.Scope) {
		return "", nil
	}
	may, err := q.May(a, authz.AppOperate)
	if err != nil || !may {
		return "", err
	}
	token := c.who.token.ID
	// Rounded, so that asking twice gives the same address and the same ETag.
	expires := strconv.FormatInt(c.cfg.Now().Truncate(streamLife).Add(2*streamLife).Unix(), 10)
	p := url.Values{"token": {token}, "expires": {expires}, "signature": {c.streams.sign(kind, id, token, expires)}}
	return c.cfg.Site.API + streamsPath + kind + "/" + id + "?" + p.Encode(), nil
}

// Kinds of output.
const (
	buildOutput   = "build"
	releaseOutput = "release"
)

// serveStream answers an address of outputURL.
func (a *api) serveStream(w http.ResponseWriter, r *http.Request) {
	c := a.call(Route{Method: http.MethodGet, Path: streamsPath + "{kind}/{id}", Need: authz.AppOperate, Action: "log.read"}, w, r)
	defer c.recover()
	answer, err := c.output()
	if err != nil {
		c.fail(c.onRecord(err))
		return
	}
	c.answer(answer)
}

func (c *call) output() (Answer, error) {
	q := c.r.URL.Query()
	kind, id, token, expires := c.path("kind"), c.path("id"), q.Get("token"), q.Get("expires")
	if !hmac.Equal([]byte(c.streams.sign(kind, id, token, expires)), []byte(q.Get("signature"))) {
		return Answer{}, fault.New(fault.NotFound, "Couldn't find that stream.")
	}
	until, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || !c.cfg.Now().Before(time.Unix(until, 0)) {
		return Answer{}, fault.New(fault.NotFound, "Couldn't find that stream.")
	}
	who, err := c.doorman().readmit(c.ctx, token, c.by)
	if err != nil {
		return Answer{}, err
	}
	c.who, c.by = who, who.actor(c.by)
	return c.blob(kind, id)
}

// blob records the read and opens the output: what is kept of it, or what comes
// while it runs.
func (c *call) blob(kind, id string) (Answer, error) {
	var app, digest string
	err := c.cfg.Store.Read(c.ctx, func(v store.View) (err error) {
		app, digest, err = outputOf(v, kind, id)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	var live LiveOutput
	if digest == "" && c.cfg.Live != nil {
		live = c.cfg.Live(kind, id)
	}
	if digest == "" && live == nil {
		// The CLI asks again until it is there.
		return Answer{}, fault.New(fault.NotFound, "The output is not there yet.")
	}
	read := &sessions.ReadLogs{App: app, Tail: live != nil}
	if err := c.execute(read); err != nil {
		return Answer{}, err
	}
	if live != nil {
		return c.follow(live)
	}
	if c.cfg.Blobs == nil {
		return Answer{}, missing("Output")
	}
	rc, err := c.cfg.Blobs.Get(c.ctx, &read.Target.Space, digest)
	return Answer{Stream: rc, ContentType: plainText}, err
}

const plainText = "text/plain; charset=utf-8"

// follow sends output as it comes.
func (c *call) follow(live LiveOutput) (Answer, error) {
	c.w.Header().Set("Content-Type", plainText)
	c.w.WriteHeader(http.StatusOK)
	if err := live.CopyTo(c.ctx, flusher{c.w, http.NewResponseController(c.w)}); err != nil {
		c.abort(err)
	}
	return Answer{Written: true}, nil
}

// flusher sends every write at once.
type flusher struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// Write implements io.Writer.
func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.rc.Flush()
}

func outputOf(v store.View, kind, id string) (app, digest string, err error) {
	switch kind {
	case buildOutput:
		b, err := store.Get[*document.Build](v, id)
		if err != nil {
			return "", "", err
		}
		return b.App, b.Log, nil
	case releaseOutput:
		r, err := store.Get[*document.Release](v, id)
		if err != nil {
			return "", "", err
		}
		return r.App, r.Output, nil
	}
	return "", "", fault.New(fault.NotFound, "Couldn't find that stream.")
}

// releaseStream is where a release phase's output is, "" if there is none or
// the caller may not read it.
func (c *call) releaseStream(q *query.Reader, a query.App, r *document.Release) (string, error) {
	if r.Output == "" && r.Status != document.ReleasePending {
		return "", nil
	}
	return c.outputURL(q, a, releaseOutput, r.ID)
}
