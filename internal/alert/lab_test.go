package alert_test

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/alert"
	"github.com/strongroom/strongroom/internal/command/alerts"
	"github.com/strongroom/strongroom/internal/command/checks"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

const key = "0123456789abcdef0123456789abcdef"

// lab is an installation that sends its findings to a receiver.
type lab struct {
	*commandtest.World
	*receiver
	config alert.Config
	sender *alert.Sender
}

// receiver is a webhook on a real HTTPS server.
type receiver struct {
	server *httptest.Server

	mu     sync.Mutex
	status int
	got    []taken
}

// taken is a message as it came.
type taken struct {
	to     string // path and query
	header http.Header
	body   []byte
	alert.Message
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	m := taken{to: req.URL.RequestURI(), header: req.Header, body: body}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || json.Unmarshal(body, &m.Message) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.got = append(r.got, m)
	if r.status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(r.status)
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// take gives what came since the last look.
func (r *receiver) take() []taken {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

func (r *receiver) host() string { return r.server.Listener.Addr().String() }

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{World: commandtest.New(t, commandtest.Noon), receiver: &receiver{status: http.StatusNoContent}}
	l.server = httptest.NewTLSServer(l.receiver)
	t.Cleanup(l.server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(l.server.Certificate())
	l.config = alert.Config{
		Store: l.Store, Kernel: l.Kernel, Keyring: l.Keyring, Log: slog.New(slog.DiscardHandler), Now: l.Now,
		Title: func(check string) string { return "What " + check + " is about" }, Webhook: alert.Webhook{Allow: []string{l.host()}, Roots: roots},
	}
	l.sender = alert.New(l.config)
	return l
}

// path of the receiver, which is a secret: chat services have nothing else.
const path = "/services/T000/B000/canary-of-the-path?token=canary-of-the-query"

// hook adds the receiver as a channel.
func (l *lab) hook(severity string) *document.Alert {
	l.T.Helper()
	add := &alerts.Add{Channel: document.AlertWebhook, To: secret.NewValue([]byte("https://" + l.host() + path)), Severity: severity, Secret: secret.NewValue([]byte(key))}
	l.Do(add, l.As("root"))
	return add.Alert
}

func (l *lab) turn() {
	l.T.Helper()
	if _, err := l.sender.Turn(l.T.Context()); err != nil {
		l.T.Error(err)
	}
}

// says makes a check say something of a subject in ward.
func (l *lab) says(subject, status string) {
	l.T.Helper()
	l.Do(report(l.IDs["space:ward"], subject, status), commandtest.Platform)
}

func report(scope, subject, status string) *checks.Report {
	return &checks.Report{
		Check: "state.trusted-ips", Version: 1, Scope: scope, Subject: subject, Name: subject, Status: status,
		Facts: []string{"dev@example.org did it."}, Severity: "high", Controls: []string{"network.trusted-sources"}, Due: time.Hour,
	}
}

func (l *lab) finding() *document.Finding {
	l.T.Helper()
	list := commandtest.Find[*document.Finding](l.World, "check", "state.trusted-ips")
	return list[len(list)-1]
}

// waiting are the jobs of alerts.
func (l *lab) waiting() []store.Job {
	l.T.Helper()
	list, err := l.Store.JobsOf(l.T.Context(), alerts.JobSend, "", 100_000)
	if err != nil {
		l.T.Fatal(err)
	}
	return list
}

// closed is an address that nobody listens at.
func closed(t *testing.T) string {
	t.Helper()
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	return n.Addr().String()
}
