//go:build live

package live

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// drill is an app that tells what it is, in a shield space of its own.
type drill struct {
	*site
	space, app string
	home       string // where its repository is made
	dir        string // its repository
	database   string
}

func newDrill(t *testing.T) *drill {
	t.Helper()
	tag := strings.ToLower(rand.Text()[:5])
	return &drill{site: newSite(t), home: t.TempDir(), space: "annex-" + tag, app: "drill-" + tag, database: "drilldb-" + tag}
}

// drillFiles is the app: its version, the seconds that its release phase takes,
// and a one-off that answers.
func drillFiles(version, phase int) map[string]string {
	return map[string]string{
		"package.json": `{"name":"drill","version":"1.0.0","private":true,"engines":{"node":"24.x"}}`,
		"Procfile":     "web: node server.js\nrelease: node release.js\n",
		"server.js": `
const started = new Date().toISOString();
require('http').createServer((request, response) => {
  console.log('was asked for ' + request.url);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ version: ` + fmt.Sprint(version) + `, dyno: process.env.DYNO, greeting: process.env.GREETING ?? '', host: request.headers.host, started }));
}).listen(process.env.PORT, '::');
process.once('SIGTERM', () => process.exit(0));
`,
		"release.js": `
console.log('the phase of version ` + fmt.Sprint(version) + ` begins');
setTimeout(() => console.log('the phase ends'), ` + fmt.Sprint(phase) + `000);
`,
		"say.js": `console.log([process.env.DYNO.split('.')[0], 6 * 7, ...process.argv.slice(2)].join(' '));`,
	}
}

// said is what the app answers.
type said struct {
	Version                       int
	Dyno, Greeting, Host, Started string
}

// visit asks for a path under a host name at the edge; the certificate that
// came must be for the name.
func (s *site) visit(host, path string) (status int, body string, cert *x509.Certificate, err error) {
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{ServerName: host, InsecureSkipVerify: true}, // of another authority for each host
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, s.edge)
		},
	}}
	resp, err := c.Get("https://" + host + path)
	if err != nil {
		return 0, "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, "", nil, err
	}
	cert = resp.TLS.PeerCertificates[0]
	return resp.StatusCode, string(b), cert, cert.VerifyHostname(host)
}

// ask gives what the app says under a host name.
func (s *site) ask(host, path string) (answer said, err error) {
	status, body, _, err := s.visit(host, path)
	if err != nil {
		return answer, err
	}
	if status != http.StatusOK {
		return answer, fmt.Errorf("%s%s: status %d: %.200s", host, path, status, body)
	}
	return answer, json.Unmarshal([]byte(body), &answer)
}

// answers waits until the app answers as the check wants.
func (d *drill) answers(t *testing.T, limit time.Duration, what string, check func(said) bool) said {
	t.Helper()
	var answer said
	eventually(t, limit, what, func() (err error) {
		if answer, err = d.ask(d.host(d.app), "/"); err == nil && !check(answer) {
			err = fmt.Errorf("the app says %+v", answer)
		}
		return err
	})
	return answer
}

// dynos are the dynos that answer a number of requests.
func (d *drill) dynos(t *testing.T, requests int) []string {
	t.Helper()
	var names []string
	for range requests {
		answer, err := d.ask(d.host(d.app), "/")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(names, answer.Dyno) {
			names = append(names, answer.Dyno)
		}
	}
	slices.Sort(names)
	return names
}

// running is a command that goes on.
type running struct {
	t    *testing.T
	line string
	cmd  *exec.Cmd
	said both
	done chan error
}

// start starts the heroku CLI as a person; it is ended with the test.
func (s *site) start(t *testing.T, who string, args ...string) *running {
	t.Helper()
	r := &running{t: t, line: "heroku " + strings.Join(args, " "), done: make(chan error, 1)}
	r.cmd = exec.Command(s.program, append([]string{"heroku"}, args...)...)
	r.cmd.Env, r.cmd.Dir = s.env(t, who), s.out
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL) })
	return r
}

// says waits for words.
func (r *running) says(limit time.Duration, words string) {
	r.t.Helper()
	deadline := time.Now().Add(limit)
	for !strings.Contains(colours.ReplaceAllString(r.said.String(), ""), words) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: no %q within %s:\n%s", r.line, words, limit, r.said.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// interrupt is what Ctrl-C does: every process of the group gets the signal.
func (r *running) interrupt(limit time.Duration) {
	r.t.Helper()
	if err := syscall.Kill(-r.cmd.Process.Pid, syscall.SIGINT); err != nil {
		r.t.Fatal(err)
	}
	r.ends(limit)
}

// ends waits for the end and gives the exit code.
func (r *running) ends(limit time.Duration) int {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(limit):
		r.t.Fatalf("%s: has not ended after %s:\n%s", r.line, limit, r.said.String())
	}
	return r.cmd.ProcessState.ExitCode()
}

// answer is what to type when a program at a terminal says something.
type answer struct{ when, typed string }

// talk runs a command at a terminal and answers it; the last answer may be
// empty. It gives all that was shown.
func talk(t *testing.T, cmd *exec.Cmd, answers ...answer) string {
	t.Helper()
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	deadline := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer deadline.Stop()
	var shown bytes.Buffer
	buf := make([]byte, 4096)
	from := 0
	for _, a := range answers {
		for !bytes.Contains(shown.Bytes()[from:], []byte(a.when)) {
			n, err := terminal.Read(buf)
			shown.Write(buf[:n])
			if err != nil && !bytes.Contains(shown.Bytes()[from:], []byte(a.when)) {
				t.Fatalf("no %q: %v\n%s", a.when, err, shown.String())
			}
		}
		from = shown.Len()
		if _, err := io.WriteString(terminal, a.typed); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = io.Copy(&shown, terminal) // a terminal ends with an error
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, shown.String())
	}
	return shown.String()
}

var oneOff = regexp.MustCompile(`\brun\.\d+`)
