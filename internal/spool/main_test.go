package spool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// With this variable set the test binary is a spool process of that Config.
const (
	spoolConfig   = "STRONGROOM_SPOOL_TEST"
	spoolListener = "STRONGROOM_SPOOL_TEST_LISTENER" // descriptor 3 is one
	spoolCall     = "STRONGROOM_SPOOL_TEST_CALL"     // call the spool at this socket instead
)

func TestMain(m *testing.M) {
	if cfg := os.Getenv(spoolConfig); cfg != "" {
		os.Exit(spoolMain(cfg))
	}
	if socket := os.Getenv(spoolCall); socket != "" {
		os.Exit(callMain(socket))
	}
	goleak.VerifyTestMain(m)
}

func spoolMain(text string) int {
	var cfg Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if fd := os.Getenv(spoolListener); fd != "" {
		var err error
		if cfg.Listener, err = net.FileListener(os.NewFile(3, "listener")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// callMain makes one call and says how it went.
func callMain(socket string) int {
	if _, err := Dial(socket).Streams(context.Background()); err != nil {
		fmt.Println(fault.Of(err), err)
		return 1
	}
	return 0
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func testConfig(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	return Config{
		Dir: filepath.Join(dir, "logs"), Run: filepath.Join(dir, "run"),
		Socket: filepath.Join(dir, "spool.sock"),
	}
}

// running runs a spool in this process; the function returned stops it.
func running(t *testing.T, cfg Config) (*Client, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, testLog(t)) }()
	client := Dial(cfg.Socket)
	stop := sync.OnceFunc(func() {
		client.CloseIdle()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	eventually(t, "spool answers", func() bool {
		_, err := client.Streams(t.Context())
		return err == nil
	})
	return client, stop
}

// process starts a spool in a process of its own.
func process(t *testing.T, cfg Config) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), spoolConfig+"="+string(b))
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd
}

// fifo makes a FIFO and opens its writing end, as a container's shim does.
func fifo(t *testing.T, name string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func testStream(file *os.File) Stream {
	return Stream{ID: filepath.Base(file.Name()), Space: "s1", App: "a1", Source: "app", Dyno: "web.1", Path: file.Name()}
}

func open(t *testing.T, c *Client, streams ...Stream) {
	t.Helper()
	for _, st := range streams {
		if err := c.Open(t.Context(), st); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// query returns all lines of an answer that ends.
func queried(t *testing.T, c *Client, q driver.LogQuery) []driver.LogLine {
	t.Helper()
	body, err := c.Logs(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var lines []driver.LogLine
	decoder := json.NewDecoder(body)
	for {
		var line driver.LogLine
		if err := decoder.Decode(&line); err == io.EOF {
			return lines
		} else if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
}

func texts(lines []driver.LogLine) []string {
	var out []string
	for _, line := range lines {
		out = append(out, line.Text)
	}
	return out
}

// all is a query for everything of the test app.
func all() driver.LogQuery { return driver.LogQuery{Space: "s1", App: "a1", Lines: maxLines} }

// follow runs a query that goes on, and passes its lines on.
func follow(t *testing.T, c *Client, q driver.LogQuery) <-chan driver.LogLine {
	t.Helper()
	q.Follow = true
	ctx, cancel := context.WithCancel(t.Context())
	body, err := c.Logs(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan driver.LogLine, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		for scanner := bufio.NewScanner(body); scanner.Scan(); {
			var line driver.LogLine
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Error(err)
				return
			}
			lines <- line
		}
	}()
	t.Cleanup(func() {
		cancel()
		body.Close()
		<-done
	})
	return lines
}

func next(t *testing.T, lines <-chan driver.LogLine) driver.LogLine {
	t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			t.Fatal("the answer ended")
		}
		return line
	case <-time.After(10 * time.Second):
		t.Fatal("no line came")
	}
	return driver.LogLine{}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatal("never came true: " + what)
}

// ascending fails the test unless ids grow.
func ascending(t *testing.T, lines []driver.LogLine) {
	t.Helper()
	if !slices.IsSortedFunc(lines, func(a, b driver.LogLine) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("ids do not grow")
	}
	for i := 1; i < len(lines); i++ {
		if lines[i].ID == lines[i-1].ID {
			t.Errorf("id %s twice", lines[i].ID)
		}
	}
}

// waitFor returns the lines of the test app as soon as there are n.
func waitFor(t *testing.T, c *Client, n int) []driver.LogLine {
	t.Helper()
	var lines []driver.LogLine
	eventually(t, fmt.Sprintf("%d lines are there", n), func() bool {
		lines = queried(t, c, all())
		return len(lines) >= n
	})
	return lines
}

func repeat(n int, format string) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
