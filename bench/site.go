package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The demo's variables: an installation beside any other on this machine.
const (
	siteName    = "bench"
	sitePort    = 5740
	siteBastion = 140
)

// site is an installation that runs: the demo's, made for the figures that need
// a whole platform, and removed when the bench ends.
type site struct {
	data, run string // directories
	out       string // what the demo keeps: tokens
	api       string // URL
	edge      string // host:port
	apps      string // domain
	http      *http.Client
}

// site brings the installation up with the first figure that asks for it.
func (b *bench) site(ctx context.Context) (*site, error) {
	if b.running != nil {
		return b.running, nil
	}
	if os.Getuid() != 0 {
		return nil, errors.New("this figure runs the whole platform: it needs root")
	}
	b.say("  bringing up an installation: scripts/demo up, its output in %s", b.demoLog())
	b.demo = true
	if err := b.script(ctx, "up"); err != nil {
		return nil, err
	}
	s := &site{
		data: "/var/lib/strongroom-" + siteName, run: "/run/strongroom-" + siteName, out: filepath.Join("build", siteName),
		api: fmt.Sprintf("https://localhost:%d", sitePort+3), edge: fmt.Sprintf("127.0.0.1:%d", sitePort+5), apps: "apps.localhost",
	}
	pem, err := os.ReadFile(filepath.Join(s.data, "public/ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	s.http = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	b.running = s
	return s, nil
}

func (b *bench) demoLog() string { return filepath.Join(b.cache, "demo.log") }

// clean removes the installation, if there is one, also when the bench was
// interrupted.
func (b *bench) clean() error {
	if !b.demo || b.keep {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return b.script(ctx, "clean")
}

func (b *bench) script(ctx context.Context, what string) error {
	log, err := os.OpenFile(b.demoLog(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "scripts/demo", what)
	cmd.Env = append(os.Environ(), "DEMO_NAME="+siteName, fmt.Sprintf("DEMO_PORT=%d", sitePort), fmt.Sprintf("DEMO_BASTION=%d", siteBastion),
		"DEMO_SCRATCH_MB=1024") // of disk for each container: figures start many at once
	cmd.Stdout, cmd.Stderr = log, log
	// An interrupt of the bench is not one of the script: clean comes after it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("scripts/demo %s: %w; see %s", what, err, b.demoLog())
	}
	return nil
}

// call asks the API as one of the demo's people.
func (s *site) call(ctx context.Context, who, method, path string, in, out any) error {
	token, err := os.ReadFile(filepath.Join(s.out, "tokens", who))
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, s.api+path, &body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, raw)
	}
	return json.Unmarshal(raw, out)
}
