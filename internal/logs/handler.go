package logs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
)

const (
	// heartbeat is how often a silent stream shows that it is alive.
	heartbeat = 15 * time.Second
	// writeTime is how long a client may take to accept what it is sent.
	writeTime = 30 * time.Second
	// maxID bounds Last-Event-ID.
	maxID = 200
)

// Source gives log lines, as driver.Driver does.
type Source interface {
	Logs(ctx context.Context, query driver.LogQuery) (io.ReadCloser, error)
}

// Handler answers GET with the lines of a session as Server-Sent Events. The
// session's token is the path value "token":
//
//	mux.Handle("GET /log-streams/{token}", handler)
//
// The token is a secret: whoever logs requests must leave this path out.
type Handler struct {
	sessions *Sessions
	source   Source
	log      *slog.Logger
}

// NewHandler returns a handler for the sessions given.
func NewHandler(sessions *Sessions, source Source, log *slog.Logger) *Handler {
	return &Handler{sessions: sessions, source: source, log: log}
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, session, done, err := h.sessions.begin(r.Context(), r.PathValue("token"))
	if err != nil {
		h.refuse(w, err)
		return
	}
	defer done()
	after := r.Header.Get("Last-Event-ID")
	if len(after) > maxID {
		h.refuse(w, fault.New(fault.Invalid, "this Last-Event-ID is not one of ours"))
		return
	}
	body, err := h.source.Logs(ctx, session.query(after))
	if err != nil {
		h.refuse(w, err)
		return
	}
	defer body.Close()
	err = h.stream(ctx, w, body)
	switch {
	case err == nil || r.Context().Err() != nil:
	case ctx.Err() != nil && session.Tail:
		// The session is over. A client that tails asks once more and is told so.
	default:
		h.log.Warn("log stream broke off", "app", session.App, "error", err)
		// The client must not take a part for the whole. One that tails
		// connects anew and continues after the last line it has.
		panic(http.ErrAbortHandler)
	}
}

// refuse answers with an error. The heroku CLI takes 404 for a session that is over.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	status, message := http.StatusInternalServerError, "internal error"
	switch fault.Of(err) {
	case fault.Invalid:
		status = http.StatusBadRequest
	case fault.NotFound:
		status = http.StatusNotFound
	case fault.TooMany:
		status = http.StatusTooManyRequests
	case fault.Unavailable:
		status = http.StatusServiceUnavailable
	}
	if text := fault.Message(err); text != "" {
		message = text
	}
	if status >= http.StatusInternalServerError {
		h.log.Error("log stream cannot be given", "error", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, message, status)
}

// stream sends lines until there are no more or ctx ends.
func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, body io.ReadCloser) error {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no") // of proxies that would hold lines back
	events := newEvents(w)
	if err := events.begin(); err != nil {
		return err
	}
	lines, failed := decode(ctx, body)
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-alive.C:
			if err := events.comment(); err != nil {
				return err
			}
		case line, more := <-lines:
			if !more {
				return errors.Join(<-failed, events.flush())
			}
			if err := events.line(line); err != nil {
				return err
			}
			if len(lines) > 0 {
				continue // sent together with those that are there
			}
		}
		if err := events.flush(); err != nil {
			return err
		}
	}
}

// decode reads lines until the body ends; what ended it comes from failed, nil
// for its end.
func decode(ctx context.Context, body io.Reader) (<-chan driver.LogLine, <-chan error) {
	lines, failed := make(chan driver.LogLine, 256), make(chan error, 1)
	go func() {
		defer close(lines)
		decoder := json.NewDecoder(body)
		for {
			var line driver.LogLine
			if err := decoder.Decode(&line); err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				failed <- err
				return
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				failed <- ctx.Err()
				return
			}
		}
	}()
	return lines, failed
}
