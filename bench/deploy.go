package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// deployFigure releases the image of the demo's second app again and waits for
// the first byte of a dyno that started after that: the approval that makes the
// release live is the last thing that a person does. The peer is the same program
// started as a process of this host, which nothing can be faster than.
func deployFigure(ctx context.Context, b *bench) error {
	s, err := b.site(ctx)
	if err != nil {
		return err
	}
	const app = "echo"
	client, err := s.visitor(app)
	if err != nil {
		return err
	}
	ours, theirs, err := b.contest(ctx, time.Second,
		func() (time.Duration, error) { return s.deploy(ctx, client, app) },
		func() (time.Duration, error) { return bareProcess(ctx, app) })
	if err != nil {
		return err
	}
	b.add(Result{Figure: "deploy", Case: "built image, approval to first byte", Unit: "s", Peer: "node alone"}, ours, theirs, aim{})
	return nil
}

// release is what we read of one.
type release struct {
	ID         string `json:"id"`
	Version    int    `json:"version"`
	Current    bool   `json:"current"`
	Strongroom struct {
		Status string `json:"status"`
	} `json:"strongroom"`
}

// deploy rolls the app back to what it runs, which is a release like any other.
func (s *site) deploy(ctx context.Context, client *http.Client, app string) (time.Duration, error) {
	var list []release
	if err := s.call(ctx, "developer", "GET", "/apps/"+app+"/releases", nil, &list); err != nil {
		return 0, err
	}
	var made release
	for _, r := range list {
		if r.Current {
			made = r
		}
	}
	at := time.Now()
	if err := s.call(ctx, "developer", "POST", "/apps/"+app+"/releases", map[string]string{"release": made.ID}, &made); err != nil {
		return 0, err
	}
	if made.Strongroom.Status == "waiting" {
		at = time.Now()
		path := fmt.Sprintf("/apps/%s/releases/%s/actions/approve", app, made.ID)
		if err := s.call(ctx, "approver", "POST", path, map[string]string{"note": "bench"}, &made); err != nil {
			return 0, err
		}
	}
	return firstByte(ctx, client, "https://"+app+"."+s.apps, at)
}

// firstByte waits until a process that started after that moment answers.
func firstByte(ctx context.Context, client *http.Client, url string, at time.Time) (time.Duration, error) {
	var last error
	for end := at.Add(2 * time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		var body struct{ Started time.Time }
		resp, err := client.Get(url)
		if err != nil {
			last = err
			continue
		}
		took := time.Since(at)
		err = json.NewDecoder(resp.Body).Decode(&body)
		resp.Body.Close()
		if err == nil && body.Started.After(at) {
			return took, nil
		}
		last = err
	}
	return 0, errors.Join(fmt.Errorf("%s does not answer from a new process", url), last, ctx.Err())
}

// visitor reaches an app as its users do: a new TLS connection for each request.
func (s *site) visitor(app string) (*http.Client, error) {
	host := app + "." + s.apps
	// The space's authority comes with the app's certificate.
	conn, err := tls.Dial("tcp", s.edge, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // to fetch it
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	roots := x509.NewCertPool()
	for _, c := range conn.ConnectionState().PeerCertificates {
		roots.AddCert(c)
	}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: host},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.edge)
		},
	}}, nil
}

// bareProcess starts the program with nothing around it.
func bareProcess(ctx context.Context, app string) (time.Duration, error) {
	const port = "5748"
	at := time.Now()
	cmd := exec.CommandContext(ctx, "node", filepath.Join("examples", app, "server.js"))
	cmd.Env = append(os.Environ(), "PORT="+port)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	took, err := firstByte(ctx, &http.Client{Timeout: time.Second}, "http://127.0.0.1:"+port, at)
	err = errors.Join(err, cmd.Process.Kill())
	cmd.Wait() //nolint:errcheck // it was killed
	return took, err
}
