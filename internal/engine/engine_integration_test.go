//go:build integration

package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/containerd/network"
	"github.com/strongroom/strongroom/internal/driver/drivertest"
	"github.com/strongroom/strongroom/internal/driver/remote"
	"github.com/strongroom/strongroom/tests/port"
)

// TestMain lets the test binary be the program that the engine starts.
func TestMain(m *testing.M) {
	children := map[string]func(context.Context, []string, *slog.Logger) error{"spool": Spool, "edge": Edge, "router": Router}
	if len(os.Args) > 1 {
		if child := children[os.Args[1]]; child != nil {
			ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
			defer stop()
			log := slog.New(slog.NewTextHandler(os.Stderr, nil))
			if err := child(ctx, os.Args[2:], log); err != nil {
				log.Error("ended", "err", err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

// installation is a whole engine below one directory.
type installation struct {
	*testing.T
	cfg    Config
	log    *slog.Logger
	stop   context.CancelFunc
	done   chan error
	driver *remote.Client
}

func install(t *testing.T, change ...func(*Config)) *installation {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test needs root")
	}
	dir, err := os.MkdirTemp("", "sr")
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{T: t, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	in.cfg = Config{
		Data: filepath.Join(dir, "data"), Run: filepath.Join(dir, "run"), Name: fmt.Sprintf("e%d", os.Getpid()%1_000_000),
		HTTPS: port.Address(t), HTTP: port.Address(t), Program: filepath.Join(dir, "strongroom"),
	}
	for _, c := range change {
		c(&in.cfg)
	}
	in.must(os.Chmod(dir, 0o711))
	in.must(copyFile("/proc/self/exe", in.cfg.Program))
	t.Cleanup(func() { in.uninstall(dir) })
	in.driver = remote.Dial(in.cfg.engineSocket())
	in.start()
	return in
}

func (in *installation) must(err error) {
	in.Helper()
	if err != nil {
		in.Fatal(err)
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

func (in *installation) start() {
	in.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	cfg := in.cfg
	go func() { done <- Run(ctx, cfg, in.log) }()
	in.stop, in.done = cancel, done
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := in.driver.Observe(in.Context())
		if err == nil {
			return
		}
		select {
		case err := <-done:
			in.Fatalf("the engine ended: %v", err)
		default:
		}
		if time.Now().After(deadline) {
			in.Fatalf("the engine does not answer: %v", err)
		}
	}
}

// end ends the engine and leaves its children, unless they are to stop.
func (in *installation) end() {
	in.Helper()
	if in.stop == nil {
		return
	}
	in.stop()
	in.stop = nil
	if err := <-in.done; err != nil && !errors.Is(err, context.Canceled) {
		in.Errorf("the engine ended: %v", err)
	}
}

func (in *installation) uninstall(dir string) {
	if in.Failed() {
		in.showLogs()
	}
	in.end()
	in.cfg.StopChildren = true
	in.start2()
	in.end()
	in.cfg.complete()
	n, err := network.Open(network.Config{Dir: filepath.Join(in.cfg.secretRun(), "net"), Name: in.cfg.Name, EdgeUID: EdgeUID}, in.log)
	if err == nil {
		err = n.Uninstall(context.Background())
	}
	if err != nil {
		in.Errorf("uninstall: %v", err)
	}
	if err := unix.Unmount(in.cfg.secretRun(), 0); err != nil && !errors.Is(err, unix.EINVAL) {
		in.Errorf("unmount: %v", err)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mounts), dir+"/") {
		in.Errorf("left mounted:\n%s", mounts)
		return
	}
	in.wantNoProcesses(dir)
	for _, name := range []string{"platform", "dynos"} {
		groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + in.cfg.Name + "-" + name)
		for _, g := range groups {
			removeCgroup(g)
		}
	}
	os.RemoveAll(dir)
}

func removeCgroup(path string) {
	entries, _ := os.ReadDir(path)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(path, e.Name()))
		}
	}
	os.Remove(path)
}

// start2 starts the engine once more, empties it, and lets it stop its
// children.
func (in *installation) start2() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	cfg := in.cfg
	go func() { done <- Run(ctx, cfg, in.log) }()
	in.stop, in.done = cancel, done
	deadline, stop := context.WithTimeout(context.Background(), 90*time.Second)
	defer stop()
	for deadline.Err() == nil {
		o, err := in.driver.Observe(deadline)
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		for _, v := range o.Volumes {
			in.driver.DestroyVolume(deadline, v.ID)
		}
		for _, s := range o.Spaces {
			if err := in.driver.RemoveSpace(deadline, s.ID); err != nil {
				in.Errorf("remove space: %v", err)
			}
		}
		if len(o.Spaces)+len(o.Volumes) == 0 {
			return
		}
	}
	in.Error("the engine was not emptied")
}

func (in *installation) wantNoProcesses(dir string) {
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		var found []string
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range all {
			if cmd, _ := os.ReadFile(file); strings.Contains(string(cmd), dir+"/") {
				found = append(found, strings.ReplaceAll(string(cmd), "\x00", " "))
			}
		}
		if len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			in.Errorf("left running: %q", found)
			return
		}
	}
}

func (in *installation) showLogs() {
	files, _ := filepath.Glob(filepath.Join(in.cfg.engineData(), "*.log"))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		in.Logf("%s:\n%s", filepath.Base(f), b[max(0, len(b)-4000):])
	}
}

func testImage(t *testing.T) []byte {
	t.Helper()
	return drivertest.Layout(t, drivertest.Build(t))
}

// TestDriver runs the suite against the whole engine, from another process's
// side, with names resolved by real routers.
func TestDriver(t *testing.T) {
	in := install(t)
	drivertest.Run(t, func(*testing.T) driver.Driver { return in.driver }, drivertest.Options{
		Image: testImage(t), Program: drivertest.Program, UID: 1007, Patience: 30 * time.Second, Settle: time.Second, Names: true,
	})
}

// certificate makes a self-signed one.
func certificate(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// browser speaks to the edge as if every name led to it.
func (in *installation) browser() *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", in.cfg.HTTPS)
			},
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true,
		},
	}
}

// TestRequests goes from a browser to a dyno and back, through deployments and
// through the end of every process on the way.
func TestRequests(t *testing.T) {
	in := install(t)
	ctx := t.Context()
	space := driver.Space{ID: uuid.NewString(), Name: "prod", Trusted: []string{"127.0.0.0/8"}}
	in.must(in.driver.EnsureSpace(ctx, space))
	image, err := in.driver.ImportImage(ctx, bytes.NewReader(testImage(t)))
	in.must(err)
	app := uuid.NewString()
	f := driver.Formation{
		ID: uuid.NewString(), Space: space.ID, Labels: driver.Labels{App: app, Source: "app", Type: "web"}, Name: "shop",
		Revision: "1", Quantity: 2, Rolling: true, Grace: 5 * time.Second, Boot: 30 * time.Second,
		Process: driver.Process{
			Image: image, Args: []string{drivertest.Program, "http", "wait"}, UID: 1007, Port: 5000,
			Env: []driver.EnvVar{{Name: "PORT", Value: "5000"}, {Name: "GREETING", Value: "revision 1"}},
		},
	}
	in.must(in.driver.ApplyFormation(ctx, f))
	cert, key := certificate(t, "shop.example.org")
	in.must(in.driver.ApplyRoutes(ctx, driver.Routes{Space: space.ID, Domains: []driver.Route{
		{Hostname: "shop.example.org", App: app, Formation: f.ID, Certificate: cert, Key: key, MinTLS: "1.2"},
		{Hostname: "waiting.example.org", App: app, Formation: f.ID}, // its certificate is not there yet
	}}))
	in.eventually("an answer", func() error { return in.get("revision 1") })

	// A deployment loses no request.
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				failed <- nil
				return
			default:
			}
			if err := in.get(""); err != nil {
				failed <- err
				return
			}
		}
	}()
	f.Revision = "2"
	f.Process.Env[1].Value = "revision 2"
	in.must(in.driver.ApplyFormation(ctx, f))
	in.eventually("revision 2 alone", func() error {
		o, err := in.driver.Observe(ctx)
		if err != nil {
			return err
		}
		for _, i := range o.Instances {
			if i.Revision != "2" || i.State != driver.Up {
				return fmt.Errorf("%+v", i)
			}
		}
		return nil
	})
	close(stop)
	in.must(<-failed)
	in.must(in.get("revision 2"))

	in.wantAccessLog(space.ID, app)
	in.restarts()
	in.untrusted(space)
}

// get asks the shop, and wants the text if there is one.
func (in *installation) get(want string) error {
	r, err := in.browser().Get("https://shop.example.org/")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK || !strings.Contains(string(b), want) {
		return fmt.Errorf("%s: %q", r.Status, b)
	}
	return nil
}

func (in *installation) eventually(what string, try func() error) {
	in.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			in.Fatalf("%s: %v", what, err)
		}
	}
}

func (in *installation) wantAccessLog(space, app string) {
	in.Helper()
	in.eventually("a line of the router", func() error {
		r, err := in.driver.Logs(in.Context(), driver.LogQuery{Space: space, App: app, Lines: 1000, Dyno: "router"})
		if err != nil {
			return err
		}
		defer r.Close()
		for s := bufio.NewScanner(r); s.Scan(); {
			var l driver.LogLine
			if err := json.Unmarshal(s.Bytes(), &l); err == nil && strings.Contains(l.Text, "status=200") && strings.Contains(l.Text, "shop.example.org") {
				return nil
			}
		}
		return errors.New("none")
	})
}

// restarts ends the engine, then each of its children, and wants answers each
// time.
func (in *installation) restarts() {
	before := in.instances()
	in.end()
	in.must(in.get("revision 2")) // without any engine
	in.start()
	in.must(in.get("revision 2"))
	for _, child := range []string{"router", "edge", "spool"} {
		in.must(in.killChild(child))
		in.eventually("an answer after the end of "+child, func() error { return in.get("revision 2") })
	}
	if after := in.instances(); after != before {
		in.Errorf("instances %s became %s", before, after)
	}
}

func (in *installation) instances() string {
	in.Helper()
	o, err := in.driver.Observe(in.Context())
	in.must(err)
	var ids []string
	for _, i := range o.Instances {
		ids = append(ids, i.ID+" "+i.State)
	}
	return strings.Join(ids, ", ")
}

// killChild kills the process of this installation that runs a subcommand.
func (in *installation) killChild(name string) error {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		cmd, _ := os.ReadFile(file)
		if words := strings.Split(string(cmd), "\x00"); len(words) > 1 && words[0] == in.cfg.Program && words[1] == name {
			var pid int
			fmt.Sscanf(file, "/proc/%d/", &pid)
			return unix.Kill(pid, unix.SIGKILL)
		}
	}
	return fmt.Errorf("no process %s", name)
}

// untrusted takes the trust away.
func (in *installation) untrusted(space driver.Space) {
	space.Trusted = nil
	in.must(in.driver.EnsureSpace(in.Context(), space))
	in.eventually("no answer", func() error {
		if err := in.get(""); err == nil {
			return errors.New("still answered")
		}
		return nil
	})
}
