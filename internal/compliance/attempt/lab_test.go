package attempt_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/command/commandtest"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/compliance/attempt"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/memory"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view"
)

// lab is commandtest's world with the real API over TLS, a real engine in
// memory, doors and a database, and hooks that take protections away.
type lab struct {
	*commandtest.World
	client *attempt.Client
	config attempt.Config

	meddle  func(attempt.Request) *attempt.Answer // before the API is asked; an answer is instead of it
	keep    bool                                  // locking a volume does nothing
	oldest  uint16                                // version of TLS that doors take
	clear   string                                // what they answer to what is no TLS
	session string                                // what the database answers to a session without TLS
}

func newLab(t *testing.T) *lab { return newLabAt(t, time.Time{}) }

// newLabAt has the clock stand still, unless it is the wall's.
func newLabAt(t *testing.T, now time.Time) *lab {
	t.Helper()
	l := &lab{World: commandtest.New(t, now), oldest: tls.VersionTLS12}
	log := slog.New(slog.DiscardHandler)
	handler, err := api.New(api.Config{Store: l.Store, Kernel: l.Kernel, Log: log, Site: view.Site{API: "https://localhost"}, Now: l.Now})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	l.client = &attempt.Client{URL: server.URL, HTTP: server.Client()}
	engine := memory.New(memory.Config{})
	t.Cleanup(func() { engine.Close() })
	for _, name := range []string{"ward", "attic"} {
		if err := engine.EnsureSpace(t.Context(), driver.Space{ID: l.IDs["space:"+name], Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	certificate := server.TLS.Certificates[0]
	site := l.listen(func(c net.Conn) { l.serve(c, certificate) })
	database := l.listen(func(c net.Conn) { l.serveDatabase(c, certificate) })
	l.config = attempt.Config{
		Store: l.Store, Kernel: l.Kernel, Rehearse: l.Kernel.Rehearse, API: l, Volumes: &volumes{engine, l}, Ledger: l.ledger(),
		Doors: func(context.Context) ([]attempt.Door, error) {
			return []attempt.Door{
				{Subject: "api", Name: "The API", Host: "localhost", Dial: site},
				{Subject: "http", Name: "The HTTP port", Host: "localhost", Dial: site, Redirects: true},
				{Subject: "records", Scope: l.IDs["space:ward"], Name: "The database records", Dial: database, Database: true},
			}, nil
		},
	}
	return l
}

// Do implements attempt.API.
func (l *lab) Do(ctx context.Context, r attempt.Request) (attempt.Answer, error) {
	if l.meddle != nil {
		if a := l.meddle(r); a != nil {
			return *a, nil
		}
	}
	return l.client.Do(ctx, r)
}

// volumes are the engine's, whose locks may not lock.
type volumes struct {
	*memory.Driver
	lab *lab
}

func (v *volumes) LockVolume(ctx context.Context, id string) error {
	if v.lab.keep {
		return nil
	}
	return v.Driver.LockVolume(ctx, id)
}

// ledger signs with a key that the installation says is its log's.
func (l *lab) ledger() attempt.Ledger {
	l.T.Helper()
	origin := ledger.Origin(l.IDs["installation"], 1)
	skey, vkey, err := ledger.GenerateKey(rand.Reader, origin)
	if err != nil {
		l.T.Fatal(err)
	}
	signer, err1 := note.NewSigner(skey)
	verifier, err2 := note.NewVerifier(vkey)
	if err1 != nil || err2 != nil {
		l.T.Fatal(err1, err2)
	}
	change(l, l.IDs["installation"], func(i *document.Installation) { i.LogKey = vkey })
	s, err := ledger.NewSigner(ledger.SignerConfig{
		Origin: origin, Anchor: ledger.NewFileAnchor(filepath.Join(l.T.TempDir(), "anchor")), Signers: []note.Signer{signer}, Keys: []note.Verifier{verifier},
	})
	if err != nil {
		l.T.Fatal(err)
	}
	checkpoints := &control.Checkpoints{Store: l.Store, Signer: s, Log: slog.New(slog.DiscardHandler)}
	return attempt.Ledger{Checkpoint: checkpoints.Sign, Signer: signer, Verify: pack.Verify}
}

// listen serves connections until the test ends and gives a way to make them.
func (l *lab) listen(serve func(net.Conn)) func(context.Context) (net.Conn, error) {
	l.T.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.T.Fatal(err)
	}
	l.T.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", listener.Addr().String())
	}
}

// started is a connection of which a little was read already.
type started struct {
	net.Conn
	io.Reader
}

func (s started) Read(b []byte) (int, error) { return s.Reader.Read(b) }

func (l *lab) secure(c net.Conn, pair tls.Certificate) {
	_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: l.oldest}).Handshake()
}

// serve is a door: TLS, and whatever it says to others.
func (l *lab) serve(c net.Conn, pair tls.Certificate) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(c, first); err != nil {
		return
	}
	if first[0] == 0x16 {
		l.secure(started{c, io.MultiReader(strings.NewReader("\x16"), c)}, pair)
		return
	}
	_, _ = c.Read(make([]byte, 4096))
	_, _ = io.WriteString(c, l.clear)
}

// serveDatabase begins as PostgreSQL does.
func (l *lab) serveDatabase(c net.Conn, pair tls.Certificate) {
	first := make([]byte, 8)
	if _, err := io.ReadFull(c, first); err != nil {
		return
	}
	if first[3] == 8 { // SSLRequest
		_, _ = io.WriteString(c, "S")
		l.secure(c, pair)
		return
	}
	_, _ = c.Read(make([]byte, 4096))
	_, _ = io.WriteString(c, l.session)
}

// refusedSession is PostgreSQL's answer to what pg_hba.conf lets nobody do.
const refusedSession = "E\x00\x00\x00\x29SFATAL\x00C28000\x00Mno pg_hba.conf entry\x00\x00"

// toHTTPS is what the port for HTTP answers.
const toHTTPS = "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n"

// write is a command that no program has: it puts a document as it is.
type write struct{ doc document.Doc }

func (*write) Action() string { return "test.write" }

func (c *write) Aim(store.View) (control.Aim, error) {
	return control.Aim{Scope: c.doc.Within(), Target: ledger.Target{Kind: string(c.doc.Kind()), ID: c.doc.Ident()}, Need: authz.System}, nil
}

func (c *write) Decide(_ store.View, _ control.By, _ time.Time, d *control.Decision) error {
	d.Put(c.doc)
	return nil
}

// change alters a document in place.
func change[T document.Doc](l *lab, id string, alter func(T)) {
	doc := commandtest.Get[T](l.World, id)
	alter(doc)
	l.Platform(&write{doc})
}

// Platform executes a command as the platform itself.
func (l *lab) Platform(cmd control.Command) { l.World.Do(cmd, commandtest.Platform) }

// check finds a check.
func (l *lab) check(id string) *compliance.Check {
	l.T.Helper()
	for _, c := range attempt.All(l.config) {
		if c.ID == id {
			return c
		}
	}
	l.T.Fatalf("there is no check %s", id)
	return nil
}

// look runs a check and gives what it says of a subject.
func (l *lab) look(id, subject string) (compliance.Result, error) {
	l.T.Helper()
	c := l.check(id)
	var results []compliance.Result
	var err error
	if c.Try != nil {
		results, err = c.Try(l.T.Context())
	} else {
		err = l.Store.Read(l.T.Context(), func(v store.View) (err error) {
			results, err = c.State(v, l.Now())
			return err
		})
	}
	for _, r := range results {
		if r.Subject == subject {
			return r, err
		}
	}
	return compliance.Result{Status: "none"}, err
}

// account is one of the stage's.
func (l *lab) account(name string) *document.Account {
	l.T.Helper()
	list := commandtest.Find[*document.Account](l.World, "email", name+"@strongroom.invalid")
	if len(list) != 1 {
		l.T.Fatalf("%d accounts %s", len(list), name)
	}
	return list[0]
}
