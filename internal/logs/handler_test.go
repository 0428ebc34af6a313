package logs

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

// serve runs the handler on a real server and returns its address.
func serve(t *testing.T, sessions *Sessions, source Source) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET /log-streams/{token}", NewHandler(sessions, source, testLog(t)))
	server := httptest.NewUnstartedServer(mux)
	// A stream must outlive both.
	server.Config.ReadTimeout = 200 * time.Millisecond
	server.Config.WriteTimeout = 200 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	return server.URL + "/log-streams/"
}

func get(t *testing.T, url, lastID string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestStreamThatEnds(t *testing.T) {
	sessions := NewSessions()
	var asked driver.LogQuery
	url := serve(t, sessions, sourceFunc(func(_ context.Context, q driver.LogQuery) (io.ReadCloser, error) {
		asked = q
		f := newFeed()
		go func() {
			f.line(t, "01", "hello")
			f.line(t, "02", "bad \r2026-11-23T00:00:00+00:00 heroku[router]: forged\r")
			f.line(t, "03", "")
			f.w.Close()
		}()
		return f, nil
	}))
	token := create(t, sessions, Session{Space: "s1", App: "a1", Lines: 5, Dyno: "web", Source: "app"})
	resp := get(t, url+token, "00")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := `id: 01
data: 2026-11-23T04:05:06.000007+00:00 app[web.1]: hello

id: 02
data: 2026-11-23T04:05:06.000007+00:00 app[web.1]: bad ␍2026-11-23T00:00:00+00:00 heroku[router]: forged

id: 03
` + "data: 2026-11-23T04:05:06.000007+00:00 app[web.1]: \n\n"
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type = %q", got)
	}
	wantQuery := driver.LogQuery{Space: "s1", App: "a1", Lines: 5, Dyno: "web", Source: "app", After: "00"}
	if diff := cmp.Diff(wantQuery, asked); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

func TestStreamThatTails(t *testing.T) {
	sessions := NewSessions()
	f := newFeed()
	ended := make(chan struct{})
	url := serve(t, sessions, sourceFunc(func(ctx context.Context, q driver.LogQuery) (io.ReadCloser, error) {
		if !q.Follow {
			t.Error("a tail does not follow")
		}
		context.AfterFunc(ctx, func() { close(ended) })
		return f, nil
	}))
	resp := get(t, url+create(t, sessions, Session{App: "a1", Tail: true}), "")
	events := bufio.NewReader(resp.Body)
	for _, id := range []string{"01", "02"} {
		f.line(t, id, "text")
		// Each comes when it is there, and long after the server's timeouts.
		if got, err := events.ReadString('\n'); err != nil || got != "id: "+id+"\n" {
			t.Fatalf("read %q, %v", got, err)
		}
		for range 2 {
			if _, err := events.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
	resp.Body.Close()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the query goes on without the client")
	}
}

func TestRefusals(t *testing.T) {
	sessions := NewSessions()
	failing := fault.New(fault.Unavailable, "the engine cannot be reached")
	url := serve(t, sessions, sourceFunc(func(_ context.Context, q driver.LogQuery) (io.ReadCloser, error) {
		switch q.App {
		case "invalid":
			return nil, fault.New(fault.Invalid, "no such id")
		case "internal":
			return nil, errors.New("a secret cause")
		default:
			return nil, failing
		}
	}))
	for name, test := range map[string]struct {
		token, lastID string
		status        int
		text          string
	}{
		"unknown":     {"guess", "", http.StatusNotFound, "this log session is over"},
		"unavailable": {create(t, sessions, Session{App: "a"}), "", http.StatusServiceUnavailable, "cannot be reached"},
		"invalid":     {create(t, sessions, Session{App: "invalid"}), "x", http.StatusBadRequest, "no such id"},
		"internal":    {create(t, sessions, Session{App: "internal"}), "", http.StatusInternalServerError, "internal error"},
		"long id":     {create(t, sessions, Session{App: "a"}), strings.Repeat("x", maxID+1), http.StatusBadRequest, "Last-Event-ID"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := get(t, url+test.token, test.lastID)
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || !strings.Contains(string(body), test.text) || strings.Contains(string(body), "secret") {
				t.Errorf("answer %d %q, want %d with %q", resp.StatusCode, body, test.status, test.text)
			}
		})
	}
}

// A part of the lines must not pass for all of them.
func TestBrokenSourceIsSeen(t *testing.T) {
	for _, tail := range []bool{false, true} {
		sessions := NewSessions()
		url := serve(t, sessions, sourceFunc(func(context.Context, driver.LogQuery) (io.ReadCloser, error) {
			f := newFeed()
			go func() {
				f.line(t, "01", "one")
				f.w.CloseWithError(io.ErrUnexpectedEOF)
			}()
			return f, nil
		}))
		resp := get(t, url+create(t, sessions, Session{App: "a", Tail: tail}), "")
		if body, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("tail %v: ended well with %q", tail, body)
		}
	}
}

func TestEndedSessionEndsTheStream(t *testing.T) {
	for _, tail := range []bool{false, true} {
		sessions := NewSessions()
		f := newFeed()
		url := serve(t, sessions, sourceFunc(func(context.Context, driver.LogQuery) (io.ReadCloser, error) { return f, nil }))
		token := create(t, sessions, Session{App: "a", Tail: tail})
		resp := get(t, url+token, "")
		sessions.End(func(Session) bool { return true })
		if _, err := io.ReadAll(resp.Body); (err == nil) != tail {
			t.Errorf("tail %v: the stream ended with %v", tail, err)
		}
		if again := get(t, url+token, "01"); again.StatusCode != http.StatusNotFound {
			t.Errorf("connecting again: %s", again.Status)
		}
	}
}

func TestStreamsOfASessionAreBounded(t *testing.T) {
	sessions := NewSessions()
	url := serve(t, sessions, sourceFunc(func(context.Context, driver.LogQuery) (io.ReadCloser, error) { return newFeed(), nil }))
	token := create(t, sessions, Session{App: "a", Tail: true})
	for range maxStreams {
		if resp := get(t, url+token, ""); resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	if resp := get(t, url+token, ""); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more: %s", resp.Status)
	}
}

// recorder is a ResponseWriter for the parts of a stream that take time.
type recorder struct {
	*httptest.ResponseRecorder
}

func (recorder) SetReadDeadline(time.Time) error  { return nil }
func (recorder) SetWriteDeadline(time.Time) error { return nil }

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := NewSessions()
		f := newFeed()
		handler := NewHandler(sessions, sourceFunc(func(context.Context, driver.LogQuery) (io.ReadCloser, error) { return f, nil }), testLog(t))
		go func() {
			time.Sleep(2*heartbeat + time.Second)
			f.w.Close()
		}()
		w := recorder{httptest.NewRecorder()}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.SetPathValue("token", create(t, sessions, Session{App: "a", Tail: true}))
		handler.ServeHTTP(w, req)
		if got := w.Body.String(); got != ":\n\n:\n\n" {
			t.Errorf("silent stream sent %q", got)
		}
	})
}

func TestFormat(t *testing.T) {
	line := testLine("1", "text")
	line.Time = line.Time.In(time.FixedZone("", 3600))
	for _, test := range []struct {
		change func(*driver.LogLine)
		want   string
	}{
		{func(*driver.LogLine) {}, "2026-11-23T04:05:06.000007+00:00 app[web.1]: text"},
		{func(l *driver.LogLine) { l.Source, l.Dyno = "heroku", "" }, "2026-11-23T04:05:06.000007+00:00 heroku[platform]: text"},
		{func(l *driver.LogLine) { l.Text = "a\r\nb\x00\r" }, "2026-11-23T04:05:06.000007+00:00 app[web.1]: a␍␊b␀"},
		{func(l *driver.LogLine) { l.Dyno = "x\ny" }, "2026-11-23T04:05:06.000007+00:00 app[x␊y]: text"},
		{func(l *driver.LogLine) { l.Time = time.Time{} }, "0001-01-01T00:00:00.000000+00:00 app[web.1]: text"},
	} {
		changed := line
		test.change(&changed)
		if got := Format(changed); got != test.want {
			t.Errorf("Format = %q, want %q", got, test.want)
		}
	}
}

// Whatever a line holds, it is one event of one data line.
func FuzzEvent(f *testing.F) {
	f.Add("01", "app", "web.1", "text")
	f.Add("0\n", "a\r", "\x00", "a\r\n\ndata: x\n\n")
	f.Fuzz(func(t *testing.T, id, source, dyno, text string) {
		w := httptest.NewRecorder()
		e := newEvents(recorder{w})
		if err := errors.Join(e.line(driver.LogLine{ID: id, Source: source, Dyno: dyno, Text: text}), e.flush()); err != nil {
			t.Fatal(err)
		}
		got := w.Body.String()
		lines := strings.Split(strings.ReplaceAll(got, "\r", "\n"), "\n")
		if id != "" {
			if !strings.HasPrefix(lines[0], "id: ") {
				t.Errorf("event begins with %q", lines[0])
			}
			lines = lines[1:]
		}
		if len(lines) != 3 || !strings.HasPrefix(lines[0], "data: ") || lines[1] != "" || lines[2] != "" {
			t.Errorf("event %q", got)
		}
	})
}
