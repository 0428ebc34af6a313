//go:build integration

package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/jackc/pgx/v5/pgproto3"
)

// herokuCLI returns the path of the real heroku CLI.
func herokuCLI(t *testing.T) string {
	t.Helper()
	path := os.Getenv("STRONGROOM_HEROKU")
	if path == "" {
		path = filepath.Join("..", "..", "build", "heroku", "node_modules", ".bin", "heroku")
	}
	path, err := filepath.Abs(path)
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the heroku CLI is needed: install it or set STRONGROOM_HEROKU: %v", err)
	}
	return path
}

// platform is a small API in front of a lab: enough for `heroku run`.
type platform struct {
	*lab
	t   *testing.T
	api *httptest.Server

	mu       sync.Mutex
	sessions []promised
	tty      []bool
}

func newPlatform(t *testing.T) *platform {
	p := &platform{lab: newLab(t, nil), t: t}
	mux := http.NewServeMux()
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, v) }
	}
	mux.HandleFunc("GET /account", answer(map[string]any{"email": "a@example.com"}))
	mux.HandleFunc("GET /apps/x", answer(map[string]any{"name": "x", "stack": map[string]any{"name": "heroku-24"}}))
	mux.HandleFunc("POST /apps/x/dynos", p.createDyno)
	p.api = httptest.NewServer(mux)
	t.Cleanup(p.api.Close)
	return p
}

// createDyno starts what `heroku run` asks for and promises it to a secret.
func (p *platform) createDyno(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Command    string `json:"command"`
		ForceNoTTY bool   `json:"force_no_tty"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tty := !body.ForceNoTTY
	s := p.promise(p.t, startProcess(p.t, tty, "bash", "--norc", "--noprofile", "-c", body.Command), tty)
	p.mu.Lock()
	p.sessions, p.tty = append(p.sessions, s), append(p.tty, tty)
	p.mu.Unlock()
	_, port, _ := net.SplitHostPort(p.addr)
	writeJSON(w, map[string]any{
		"name": "run.1234", "size": "Standard-1X", "attach_url": "rendezvous://localhost:" + port + "/" + s.secret,
	})
}

// end returns how the only session ended.
func (p *platform) end() Ending {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sessions) != 1 {
		p.t.Fatalf("%d sessions, want 1", len(p.sessions))
	}
	return p.sessions[0].end(p.t)
}

// heroku returns a command of the CLI against the platform.
func (p *platform) heroku(args ...string) *exec.Cmd {
	return herokuCommand(p.t, p.api.URL, p.caFile, args...)
}

func herokuCommand(t *testing.T, api, caFile string, args ...string) *exec.Cmd {
	cli := herokuCLI(t)
	cmd := exec.CommandContext(t.Context(), cli, args...)
	home := t.TempDir()
	cmd.Env = []string{
		"PATH=" + filepath.Dir(cli) + ":" + os.Getenv("PATH"), "HOME=" + home, "TERM=dumb", "LANG=C.UTF-8",
		"HEROKU_HOST=" + strings.Replace(api, "127.0.0.1", "localhost", 1), "HEROKU_API_KEY=test-token",
		"HEROKU_DATA_HOST=localhost",
		"DISABLE_TELEMETRY=true", "HEROKU_SKIP_NEW_VERSION_CHECK=1", "NODE_EXTRA_CA_CERTS=" + caFile,
	}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return -1
}

func TestHerokuRunInteractive(t *testing.T) {
	p := newPlatform(t)
	cmd := p.heroku("run", "-a", "x", "--", "bash", "--norc", "--noprofile", "-i")
	term, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 80})
	must(t, err)
	defer term.Close()
	screen := &safeBuffer{}
	go io.Copy(screen, term)
	wait := func(text string) {
		t.Helper()
		for range 600 {
			if strings.Contains(screen.String(), text) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("no %q on the screen:\n%s", text, screen.String())
	}
	wait("bash-")
	send(t, term, "echo answer-$((6*7))\r")
	wait("answer-42")
	send(t, term, "sleep 600\r")
	wait("sleep 600")
	time.Sleep(300 * time.Millisecond) // until bash has started it
	send(t, term, "\x03")
	time.Sleep(300 * time.Millisecond)
	send(t, term, "echo interrupted-$?\r")
	wait("interrupted-130")
	send(t, term, "exit\r")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, screen.String())
	}
	end := p.end()
	if end.Reason != EndedExit || end.Exit.Code != 0 {
		t.Errorf("%+v", end)
	}
	typed, shown := p.cast(t, end)
	if typed != "echo answer-$((6*7))\rsleep 600\r\x03echo interrupted-$?\rexit\r" {
		t.Errorf("typed %q", typed)
	}
	for _, text := range []string{"answer-42\r\n", "interrupted-130\r\n", "^C"} {
		if !strings.Contains(shown, text) {
			t.Errorf("%q is not in the recording:\n%s", text, shown)
		}
	}
}

func TestHerokuRunExitCode(t *testing.T) {
	for _, args := range [][]string{{"--exit-code"}, {"--exit-code", "--no-tty"}} {
		p := newPlatform(t)
		cmd := p.heroku(append(append([]string{"run", "-a", "x"}, args...), "--", "echo said; (exit 7)")...)
		out, err := cmd.CombinedOutput()
		if exitCode(err) != 7 || !bytes.Contains(out, []byte("said")) {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		if end := p.end(); end.Reason != EndedExit && end.Reason != EndedDisconnect {
			t.Errorf("%v: %+v", args, end)
		}
	}
}

// What is piped in arrives up to its end, and the process sees the end.
func TestHerokuRunPipe(t *testing.T) {
	p := newPlatform(t)
	cmd := p.heroku("run", "-a", "x", "--no-tty", "--exit-code", "--", "wc -lc")
	input := strings.Repeat("a line with ümlauts\n", 20_000)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if want := fmt.Sprintf("20000  %d", len(input)); err != nil || !strings.Contains(strings.Join(strings.Fields(string(out)), "  "), want) {
		t.Errorf("%v: %q, want %q", err, out, want)
	}
	end := p.end()
	if typed, _ := p.cast(t, end); typed != input+"\x04" {
		t.Errorf("%d bytes recorded, %d typed", len(typed), len(input)+1)
	}
}

// No byte of a large output is lost, neither at its beginning, where the CLI
// drops its first read, nor at its end, where the connection is closed.
func TestHerokuRunBigOutput(t *testing.T) {
	for name, args := range map[string][]string{
		"plain":     {"run", "-a", "x", "--no-tty"},
		"exit code": {"run", "-a", "x", "--no-tty", "--exit-code"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			var stdout, stderr bytes.Buffer
			cmd := p.heroku(append(args, "--", "seq -f '%06.0f ümlaut' 1 350000")...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			lines := strings.Split(strings.TrimSuffix(stdout.String(), "\n"), "\n")
			if stdout.Len() < 5<<20 || len(lines) != 350_000 || lines[0] != "000001 ümlaut" || lines[349_999] != "350000 ümlaut" {
				t.Fatalf("%d bytes, %d lines, from %q to %q", stdout.Len(), len(lines), lines[0], lines[len(lines)-1])
			}
			_, shown := p.cast(t, p.end())
			if !strings.HasPrefix(shown, stdout.String()) {
				t.Error("the recording has something else")
			}
		})
	}
}

// The marker reaches the CLI in one piece also after output of every length.
func TestHerokuRunMarkerAfterOutput(t *testing.T) {
	for _, size := range []int{1400, 16_380, 65_500} {
		p := newPlatform(t)
		out, err := p.heroku("run", "-a", "x", "--no-tty", "--exit-code", "--", fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; (exit 3)", size)).Output()
		if exitCode(err) != 3 || bytes.Count(out, []byte("x")) != size {
			t.Errorf("%d: %v, %d bytes", size, err, len(out))
		}
	}
}

// The whole way of `heroku pg:psql` for a plan in a private space: the CLI opens a
// tunnel with the key that it is given, and the real psql asks a database behind
// it. (For a shield plan the CLI runs psql in a one-off dyno instead.)
func TestHerokuPsql(t *testing.T) {
	l := newSSHLab(t, nil)
	l.dbAddr = fakePostgres(t)
	a := l.grant(t)
	out, err := herokuPsql(t, l, a).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("over the tunnel")) {
		t.Fatalf("%v\n%s", err, out)
	}
	if end := a.end(t); end.Reason != EndedDisconnect || end.Channels < 1 || end.In == 0 || end.Out == 0 {
		t.Errorf("%+v", end)
	}
	if !strings.HasPrefix(l.order(), "open dial") {
		t.Errorf("order: %s", l.order())
	}
}

// A database that is down ends `heroku pg:psql` with an error, at once.
func TestHerokuPsqlOfADatabaseThatIsDown(t *testing.T) {
	l := newSSHLab(t, nil)
	a := l.grant(t, func(t *Tunnel) {
		t.Dial = func(context.Context) (io.ReadWriteCloser, error) { return nil, errors.New("no instance is up") }
	})
	out, err := herokuPsql(t, l, a).CombinedOutput()
	if exitCode(err) <= 0 || !bytes.Contains(out, []byte("server closed the connection")) {
		t.Fatalf("%v\n%s", err, out)
	}
	if end := a.end(t); end.Channels != 0 {
		t.Errorf("%+v", end)
	}
}

// herokuPsql asks a database through the bastion of the lab, with the grant's key.
func herokuPsql(t *testing.T, l *sshLab, a access) *exec.Cmd {
	t.Helper()
	// The CLI connects to port 22, so the bastion needs an address of its own.
	ln, err := net.Listen("tcp", fmt.Sprintf("127.77.%d.%d:22", os.Getpid()>>8&0xff, os.Getpid()&0xff|1))
	must(t, err)
	addr, stop := serveListener(t, ln, l.Serve)
	t.Cleanup(stop)
	host, _, _ := net.SplitHostPort(addr)

	mux := http.NewServeMux()
	mux.HandleFunc("POST /actions/addon-attachments/resolve", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, []any{map[string]any{
			"name": "DATABASE", "app": map[string]any{"name": "x"}, "namespace": nil, "config_vars": []string{"DATABASE_URL"},
			"addon": map[string]any{
				"id": "5f1b6a3c-0000-4000-8000-000000000001", "name": "postgresql-1", "app": map[string]any{"name": "x"},
				"plan": map[string]any{"name": "heroku-postgresql:private-0"}, "config_vars": []string{"DATABASE_URL"},
			},
		}})
	})
	mux.HandleFunc("GET /apps/x/config-vars", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]string{
			"DATABASE_URL": "postgres://u:p@" + database + "/d",
		})
	})
	mux.HandleFunc("GET /client/v11/databases/{id}/bastion", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]string{"host": host, "private_key": string(a.key)})
	})
	api := httptest.NewServer(mux)
	t.Cleanup(api.Close)
	return herokuCommand(t, api.URL, "", "pg:psql", "-a", "x", "-c", "select 'over the tunnel'")
}

// fakePostgres answers every query with one row that says where it came from.
// The tunnel carries real TLS and a real client's protocol.
func fakePostgres(t *testing.T) string {
	t.Helper()
	cert, _ := testCert(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				servePostgres(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			}()
		}
	}()
	return ln.Addr().String()
}

func servePostgres(c net.Conn, cfg *tls.Config) {
	b := pgproto3.NewBackend(c, c)
	for {
		msg, err := b.ReceiveStartupMessage()
		if err != nil {
			return
		}
		switch msg.(type) {
		case *pgproto3.GSSEncRequest:
			c.Write([]byte("N"))
			continue
		case *pgproto3.SSLRequest:
			c.Write([]byte("S"))
			c = tls.Server(c, cfg)
			b = pgproto3.NewBackend(c, c)
			continue
		}
		break
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "17.0"})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for b.Flush() == nil {
		msg, err := b.Receive()
		if _, ok := msg.(*pgproto3.Query); err != nil || !ok {
			return
		}
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("answer"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("over the tunnel")}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
}
