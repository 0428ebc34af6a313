package router

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestLine(t *testing.T) {
	entry := line{
		code: codeTimeout, method: "GET", path: "/a", host: "app.example.org", requestID: "id", fwd: "203.0.113.9, 192.0.2.1",
		dyno: "web.1", connect: 1500 * time.Microsecond, service: 30 * time.Second, status: 503, bytes: 7, tls: 0x0303,
	}
	want := `at=error code=H12 desc="Request timeout" method=GET path="/a" host=app.example.org request_id=id ` +
		`fwd="203.0.113.9,192.0.2.1" dyno=web.1 connect=1ms service=30000ms status=503 bytes=7 protocol=https tls_version=tls1.2`
	if got := entry.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	entry.code = codeNone
	if got := entry.String(); !strings.HasPrefix(got, "at=info method=GET ") {
		t.Errorf("success is %s", got)
	}
}

// Whatever a client sends, a line has one meaning and fits into one write.
func FuzzLine(f *testing.F) {
	f.Add("GET", "/a b", "host", "1.2.3.4")
	f.Add("G\"T", `/" status=200 x="`, "a\nb", `1.2.3.4" dyno=web.9`)
	f.Add(strings.Repeat("M", 5000), strings.Repeat("&", 5000), strings.Repeat("\\", 5000), strings.Repeat("<", 5000))
	f.Fuzz(func(t *testing.T, method, path, host, fwd string) {
		entry := line{
			code: codeInterrupted, method: method, path: path, host: host, fwd: fwd,
			requestID: strings.Repeat("i", 200), dyno: "web.12345", status: 200, bytes: 1 << 60,
			connect: time.Hour, service: time.Hour * 1000,
		}
		text := entry.String()
		if strings.Count(text, `"`) != 6 || strings.Count(text, "\n")+strings.Count(text, `\`) > 0 {
			t.Fatalf("a client breaks out of its quotes: %s", text)
		}
		encoded := encode(logLine{App: "0192a5f0-0000-7000-8000-000000000000", Text: text, Source: "heroku", Dyno: "router"})
		if len(encoded) > maxLine {
			t.Fatalf("%d bytes", len(encoded))
		}
		var back logLine
		if err := json.Unmarshal(encoded, &back); err != nil || back.Text != text {
			t.Fatalf("%v, %q", err, back.Text)
		}
	})
}

// A reader that is slow or gone costs lines and never a request's time.
func TestAccessLogNeverWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	log, err := newAccessLog(writer)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	writer.Close()
	const lines = 5000
	start := time.Now()
	for range lines {
		log.write("app", strings.Repeat("x", 200))
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("writing took %v", took)
	}
	dropped := log.lost()
	if dropped == 0 || dropped == lines {
		t.Fatalf("dropped %d of %d", dropped, lines)
	}
	// What is there, is whole lines.
	content := make([]byte, 1<<20)
	n, err := reader.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content[:n])
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line is torn")
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("torn line %q", line)
		}
	}
	if got := strings.Count(text, "\n"); got != lines-int(dropped) {
		t.Errorf("%d lines arrived, %d were dropped", got, dropped)
	}
	// The reader goes away: no signal ends the process, and a later reader is served.
	reader.Close()
	log.write("app", "nobody reads")
	if log.lost() != dropped+1 {
		t.Errorf("lost %d, want %d", log.lost(), dropped+1)
	}
	reader, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	log.write("app", "again")
	if n, err := reader.Read(content); err != nil || !strings.Contains(string(content[:n]), `"text":"again"`) {
		t.Errorf("read %q, %v", content[:n], err)
	}
}

func TestNoAppNoLine(t *testing.T) {
	var log *accessLog
	log.write("app", "text") // without a log nothing happens
	if log.lost() != 0 {
		t.Error("counted")
	}
}
