package attempt_test

import (
	"context"
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/command/releases"
	"github.com/strongroom/strongroom/internal/command/spaces"
	"github.com/strongroom/strongroom/internal/command/teams"
	"github.com/strongroom/strongroom/internal/compliance/attempt"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/pack"
)

// mutation takes a protection away and gives it back.
type mutation struct {
	check   string
	subject string // key of World.IDs, or the subject itself
	tells   string // what the failure says
	now     time.Time
	before  func(l *lab)
	breaks  func(l *lab)
	mends   func(l *lab)
}

// reached records what package probe would have found.
func reached(kind, target string, open bool) func(l *lab) {
	return func(l *lab) {
		l.Platform(&spaces.RecordAttempt{
			Scope: l.IDs["space:ward"], Name: "reach another space's " + kind, From: "a dyno in another team's space", Target: target,
			Refused: !open, Result: map[bool]string{true: "the connection was made", false: "no connection within 2 s"}[open], Count: 1,
		})
	}
}

func unmeddled(l *lab) { l.meddle = nil }

var mutations = []mutation{
	{
		check: "attempt.other-space-dyno", subject: "space:ward", tells: "clinic web dyno, TCP port 5000: the connection was made",
		before: reached("dyno", "clinic web dyno, TCP port 5000", false),
		breaks: reached("dyno", "clinic web dyno, TCP port 5000", true),
		mends:  reached("dyno", "clinic web dyno, TCP port 5000", false),
	},
	{
		check: "attempt.other-space-database", subject: "space:ward", tells: "database records, TCP port 5432: the connection was made",
		before: reached("database", "database records, TCP port 5432", false),
		breaks: reached("database", "database records, TCP port 5432", true),
		mends:  reached("database", "database records, TCP port 5432", false),
	},
	{
		check: "attempt.plaintext", subject: "api", tells: "answered 200 OK",
		breaks: func(l *lab) { l.clear = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" },
		mends: func(l *lab) {
			l.clear = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server."
		},
	},
	{
		check: "attempt.plaintext", subject: "http", tells: "answered 302 Found http://elsewhere/",
		before: func(l *lab) { l.clear = toHTTPS },
		breaks: func(l *lab) {
			l.clear = "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"
		},
		mends: func(l *lab) { l.clear = toHTTPS },
	},
	{
		check: "attempt.tls-version", subject: "api", tells: "TLS 1.1 alone: the handshake came to its end",
		breaks: func(l *lab) { l.oldest = tls.VersionTLS11 },
		mends:  func(l *lab) { l.oldest = tls.VersionTLS12 },
	},
	{
		check: "attempt.tls-version", subject: "records", tells: "TLS 1.0 alone: the handshake came to its end",
		breaks: func(l *lab) { l.oldest = tls.VersionTLS10 },
		mends:  func(l *lab) { l.oldest = tls.VersionTLS12 },
	},
	{
		check: "attempt.database-plaintext", subject: "records", tells: "went on with it",
		before: func(l *lab) { l.session = refusedSession },
		breaks: func(l *lab) { l.session = "R\x00\x00\x00\x08\x00\x00\x00\x0a" },
		mends:  func(l *lab) { l.session = refusedSession },
	},
	{
		check: "attempt.revoked-token", subject: "", tells: "shows the revoked token asked the API for GET /account: 200",
		breaks: func(l *lab) { // who revokes a token is told so, and nothing happens
			l.meddle = func(r attempt.Request) *attempt.Answer {
				if r.Method == "DELETE" {
					return &attempt.Answer{Status: 200}
				}
				return nil
			}
		},
		mends: unmeddled,
	},
	{
		check: "attempt.suspended-account", subject: "", tells: "asked the API for GET /account: 200",
		breaks: func(l *lab) { // suspending does not last
			l.meddle = func(attempt.Request) *attempt.Answer {
				change(l, l.account("attempt-suspended").ID, func(a *document.Account) { a.Suspended = false })
				return nil
			}
		},
		mends: unmeddled,
	},
	{
		check: "attempt.stranger", subject: "team:care", tells: "who has no role in care, asked the API for GET /teams/",
		breaks: func(l *lab) { // somebody let the stranger in
			l.World.Do(&teams.GrantRole{Team: "care", Email: "attempt-member@strongroom.invalid", Role: authz.Viewer}, l.As("owner"))
		},
		mends: func(l *lab) {
			l.World.Do(&teams.RevokeRole{Team: "care", Email: "attempt-member@strongroom.invalid"}, l.As("owner"))
		},
	},
	{
		check: "attempt.member-forbidden", subject: "", tells: "GET /strongroom/accounts: 200",
		breaks: func(l *lab) {
			change(l, l.account("attempt-member").ID, func(a *document.Account) { a.Operator = true })
		},
		mends: func(l *lab) {
			change(l, l.account("attempt-member").ID, func(a *document.Account) { a.Operator = false })
		},
	},
	{
		check: "attempt.self-approval", subject: "", tells: "/actions/grant: 200",
		breaks: func(l *lab) { // who asked is forgotten
			l.meddle = func(r attempt.Request) *attempt.Answer {
				if strings.HasSuffix(r.Path, "/grant") {
					id := strings.Split(r.Path, "/")[4]
					change(l, id, func(r *document.Request) { r.By = l.account("attempt-suspended").ID })
				}
				return nil
			}
		},
		mends: unmeddled,
	},
	{
		check: "attempt.self-approval", subject: "app:clinic", tells: "dev@example.org pushed v3 of clinic and, asked without writing, approves it: it would go through",
		breaks: func(l *lab) {
			l.config.Rehearse = func(context.Context, control.Command, control.By) error { return nil }
		},
		mends: func(l *lab) { l.config.Rehearse = l.Kernel.Rehearse },
	},
	{
		check: "attempt.self-approval", subject: "app:clinic", tells: "asked without writing, approves it in an emergency: it would go through",
		breaks: func(l *lab) { // the policy is not asked
			l.config.Rehearse = func(ctx context.Context, cmd control.Command, by control.By) error {
				if _, alone := cmd.(*releases.Emergency); alone {
					return nil
				}
				return l.Kernel.Rehearse(ctx, cmd, by)
			}
		},
		mends: func(l *lab) { l.config.Rehearse = l.Kernel.Rehearse },
	},
	{
		check: "attempt.refusal-on-record", subject: "", tells: "NOT ON RECORD", now: commandtest.Noon,
		breaks: func(l *lab) { // it is refused, and nobody wrote it down
			l.Pass(2 * time.Minute)
			l.meddle = func(r attempt.Request) *attempt.Answer {
				if r.Method == "DELETE" {
					return &attempt.Answer{Status: 403}
				}
				return nil
			}
		},
		mends: func(l *lab) {
			unmeddled(l)
			l.Pass(2 * time.Minute)
		},
	},
	{
		check: "attempt.volume-without-key", subject: "", tells: "reading it was answered with: the file was there.",
		breaks: func(l *lab) { l.keep = true },
		mends:  func(l *lab) { l.keep = false },
	},
	{
		check: "attempt.tampered-ledger", subject: "", tells: "was left out, signed anew with the log's key: verified",
		before: func(l *lab) { // more entries than a copy has, of documents that there were before
			for range 220 {
				reached("dyno", "clinic web dyno, TCP port 5000", false)(l)
			}
		},
		breaks: func(l *lab) {
			l.config.Ledger.Verify = func(context.Context, io.ReaderAt, int64, pack.Options) (*pack.Result, error) {
				return &pack.Result{Verdict: pack.Verified}, nil
			}
		},
		mends: func(l *lab) { l.config.Ledger.Verify = pack.Verify },
	},
}

// TestMutations: every check sees that a protection is gone, and that it is back.
func TestMutations(t *testing.T) {
	tested := map[string]bool{}
	for _, m := range mutations {
		tested[m.check] = true
		t.Run(m.check+" "+m.subject, func(t *testing.T) {
			l := newLabAt(t, m.now)
			subject := m.subject
			if id, ok := l.IDs[subject]; ok {
				subject = id
			}
			if m.before != nil {
				m.before(l)
			}
			if r, err := l.look(m.check, subject); err != nil || r.Status != document.StatusPass {
				t.Fatalf("before: %+v, %v", r, err)
			}
			m.breaks(l)
			r, err := l.look(m.check, subject)
			if err != nil || r.Status != document.StatusFail || !strings.Contains(strings.Join(r.Facts, "\n"), m.tells) {
				t.Errorf("broken: %+v, %v, want a failure that tells %q", r, err, m.tells)
			}
			m.mends(l)
			if r, err := l.look(m.check, subject); err != nil || r.Status != document.StatusPass {
				t.Errorf("mended: %+v, %v", r, err)
			}
		})
	}
	for _, c := range attempt.All(attempt.Config{}) {
		if !tested[c.ID] {
			t.Errorf("nothing takes away what %s watches", c.ID)
		}
	}
}

// TestTamperedNames: the refusals are the verifier's, and name what was altered.
func TestTamperedNames(t *testing.T) {
	l := newLab(t)
	for range 220 {
		reached("dyno", "clinic web dyno, TCP port 5000", false)(l)
	}
	r, err := l.look("attempt.tampered-ledger", "")
	if err != nil || r.Status != document.StatusPass || len(r.Facts) != 5 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, f := range r.Facts {
		t.Log(f)
	}
}
