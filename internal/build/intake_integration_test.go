//go:build integration

package build

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/driver"
)

// The example app as a team would run it: built from its source, its database
// from our image beside it, the release phase, a web dyno, a request.
func TestIntakeRuns(t *testing.T) {
	e := newEngine(t)
	space := driver.Space{ID: uuid.NewString(), Name: "clinic", Outbound: []driver.Outbound{{CIDR: "0.0.0.0/0", Protocol: "tcp", FromPort: 443, ToPort: 443}}}
	e.must(e.driver.EnsureSpace(t.Context(), space))
	t.Cleanup(func() { e.must(e.driver.RemoveSpace(context.Background(), space.ID)) })
	e.serveNames(space.ID)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	e.must(err)
	b, err := New(e.driver, Config{
		WorkDir: t.TempDir(), BaseArchive: e.archive("base"), BuildImage: e.load(e.archive("build")), Key: key,
		BuilderID: "https://strongroom.example/builder", Registry: Registry{CA: hostAuthorities(t)}, ScratchBytes: 1 << 30,
	})
	e.must(err)
	in := input(source(t, exampleSource(t, "intake")))
	in.Space, in.Buildpacks = space.ID, nil
	var log bytes.Buffer
	r, err := b.Build(t.Context(), in, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}

	database, ca := e.startPostgres(space.ID)
	env := []driver.EnvVar{
		{Name: "DATABASE_URL", Value: "postgres://postgres:" + secret + "@" + database.address + ":5432/postgres?sslmode=require"},
		{Name: "STRONGROOM_SPACE_CA", Value: ca},
		{Name: "PORT", Value: "5000"},
	}
	release := e.task(space.ID, r.Image, r.Release, env, database.formation)
	if !strings.Contains(release, "applied 001_patients.sql") || !strings.Contains(release, "up to date") {
		t.Fatalf("release phase: %s", release)
	}
	web := driver.Formation{
		ID: uuid.NewString(), Space: space.ID, Labels: driver.Labels{App: in.App, Source: "app", Type: "web"}, Name: "web", Revision: "1", Quantity: 1,
		Process: driver.Process{Image: r.Image, Args: Launch(r.ProcessTypes[0].Command), Env: env, Dir: "/app", UID: UID, Port: 5000, ReadOnly: true},
		Grace:   10 * time.Second, Boot: time.Minute, Peers: []string{database.formation},
	}
	e.must(e.driver.ApplyFormation(t.Context(), web))
	e.ready(web.ID)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := e.driver.Dial(ctx, web.ID, 5000)
		return connection{c}, err
	}}}
	steps := []struct{ method, path, body, want string }{
		{"GET", "/healthz", "", `"status":"ok"`},
		{"POST", "/patients", `{"name": "Ada Lovelace", "dateOfBirth": "1985-12-10", "reason": "Checkup"}`, `"status":"new"`},
		{"GET", "/patients", "", "Ada Lovelace"},
		{"GET", "/", "", "<td>Ada Lovelace</td>"},
	}
	for _, s := range steps {
		req, err := http.NewRequestWithContext(t.Context(), s.method, "http://web"+s.path, strings.NewReader(s.body))
		e.must(err)
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		e.must(err)
		body, err := io.ReadAll(res.Body)
		e.must(err)
		if res.StatusCode >= 300 || !strings.Contains(string(body), s.want) {
			t.Errorf("%s %s: %s, want %q in:\n%s", s.method, s.path, res.Status, s.want, body)
		}
	}

	// The web dyno stops on SIGTERM well before it would be killed.
	began := time.Now()
	e.must(e.driver.RemoveFormation(t.Context(), web.ID))
	e.gone(web.ID)
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the web dyno took %v to stop", took)
	}
	e.must(e.driver.RemoveFormation(t.Context(), database.formation))
	e.gone(database.formation)
	disposal, err := e.driver.DestroyVolume(t.Context(), database.volume)
	if err != nil || !disposal.KeyRemoved {
		t.Errorf("the database's volume: %+v, %v", disposal, err)
	}
	logs, err := e.driver.Logs(t.Context(), driver.LogQuery{Space: space.ID, App: in.App, Lines: 1000})
	e.must(err)
	defer logs.Close()
	raw, err := io.ReadAll(logs)
	e.must(err)
	if !bytes.Contains(raw, []byte("stopping")) {
		t.Errorf("the app did not say that it stops:\n%.3000s", raw)
	}
	for _, private := range []string{"Lovelace", "1985", "Checkup", secret} {
		if bytes.Contains(raw, []byte(private)) {
			t.Errorf("%q is in the app's log:\n%.3000s", private, raw)
		}
	}
}

type database struct{ formation, volume, address string }

// startPostgres runs our PostgreSQL image on an encrypted volume and returns
// the authority that its certificate can be checked with.
func (e *engine) startPostgres(space string) (database, string) {
	e.Helper()
	image := e.load(e.archive("postgres"))
	v := driver.Volume{ID: uuid.NewString(), Space: space, Bytes: 512 << 20, Key: make([]byte, 64)}
	rand.Read(v.Key)
	e.must(e.driver.EnsureVolume(e.Context(), v))
	e.Cleanup(func() {
		// Of a test that failed on the way; else there is nothing left to do.
		if _, err := e.driver.DestroyVolume(context.Background(), v.ID); err != nil {
			e.Log(err)
		}
	})
	// The certificate must name the address; one for any of the space's will do.
	cert, key := certificate(e.T)
	e.must(e.driver.PutFiles(e.Context(), v.ID, "", tlsFiles(e.T, cert, key)))
	f := driver.Formation{
		ID: uuid.NewString(), Space: space, Labels: driver.Labels{App: uuid.NewString(), Source: "heroku", Type: "postgres"}, Name: "db", Revision: "1",
		Quantity: 1, Private: true, Grace: 30 * time.Second, Boot: 2 * time.Minute,
		Process: driver.Process{
			Image: image, Args: []string{"/usr/local/bin/postgres-entrypoint"}, UID: 26, Port: 5432, ReadOnly: true, Dir: "/var/lib/postgresql",
			Env:    []driver.EnvVar{{Name: "POSTGRES_PASSWORD", Value: secret}},
			Mounts: []driver.Mount{{Volume: v.ID, Path: "/var/lib/postgresql/data"}},
		},
	}
	e.must(e.driver.ApplyFormation(e.Context(), f))
	e.Cleanup(func() {
		e.must(e.driver.RemoveFormation(context.Background(), f.ID))
		e.gone(f.ID)
	})
	return database{f.ID, v.ID, e.ready(f.ID)}, string(cert)
}

// ready waits for a formation's instance and returns its address.
func (e *engine) ready(formation string) string {
	e.Helper()
	for range 600 {
		o, err := e.driver.Observe(e.Context())
		e.must(err)
		for _, i := range o.Instances {
			if i.Formation == formation && i.State == driver.Up {
				return i.Address
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	o, _ := e.driver.Observe(e.Context())
	e.Fatalf("not ready: %+v", o.Instances)
	return ""
}

func (e *engine) gone(formation string) {
	e.Helper()
	for range 400 {
		o, err := e.driver.Observe(context.Background())
		e.must(err)
		left := 0
		for _, i := range o.Instances {
			if i.Formation == formation {
				left++
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	e.Error("an instance is left")
}

// certificate covers the addresses that spaces give to their instances.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "space authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	for host := range 16 {
		template.IPAddresses = append(template.IPAddresses, net.IPv4(100, 64, 0, byte(host)))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// tlsFiles gives the volume itself to the database's user too: it makes its
// cluster there.
func tlsFiles(t *testing.T, cert, key []byte) io.Reader {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, m := range []struct {
		name    string
		kind    byte
		mode    int64
		content []byte
	}{
		{"./", tar.TypeDir, 0o700, nil},
		{"tls/", tar.TypeDir, 0o700, nil},
		{"tls/server.crt", tar.TypeReg, 0o600, cert},
		{"tls/server.key", tar.TypeReg, 0o600, key},
	} {
		if err := tw.WriteHeader(&tar.Header{Typeflag: m.kind, Name: m.name, Mode: m.mode, Uid: 26, Gid: 26, Size: int64(len(m.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(m.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

// task runs a command of an app to its end.
func (e *engine) task(space, image, command string, env []driver.EnvVar, peers ...string) string {
	e.Helper()
	session, err := e.driver.StartTask(e.Context(), driver.Task{
		ID: uuid.NewString(), Space: space, Labels: driver.Labels{Type: "release", Source: "app"}, Name: "release.1", Attach: true, Timeout: time.Minute, Peers: peers,
		Process: driver.Process{Image: image, Args: Launch(command), Env: env, UID: UID, Dir: "/app", ReadOnly: true},
	})
	e.must(err)
	defer session.Close()
	out, err := io.ReadAll(session)
	e.must(err)
	exit, err := session.Wait(e.Context())
	e.must(err)
	if exit.Code != 0 {
		return fmt.Sprintf("exit %d: %s", exit.Code, out)
	}
	return string(out)
}

// connection makes what the driver dials fit for net/http.
type connection struct{ io.ReadWriteCloser }

func (connection) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (connection) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (connection) SetDeadline(time.Time) error      { return nil }
func (connection) SetReadDeadline(time.Time) error  { return nil }
func (connection) SetWriteDeadline(time.Time) error { return nil }
