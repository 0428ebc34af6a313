package spool

import (
	"bufio"
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
	maxBody    = 1 << 20
	maxQueries = 512 // at a time
	writeTime  = 30 * time.Second
)

// server is spool's API.
type server struct {
	store    *store
	registry *registry
	log      *slog.Logger
	queries  chan struct{} // one element a running query
}

func newServer(store *store, registry *registry, log *slog.Logger) *server {
	return &server{store: store, registry: registry, log: log, queries: make(chan struct{}, maxQueries)}
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /streams", s.answering(s.listStreams))
	mux.Handle("PUT /streams/{id}", s.answering(s.openStream))
	mux.Handle("DELETE /streams/{id}", s.answering(s.closeStream))
	mux.Handle("POST /lines", s.answering(s.addLine))
	mux.Handle("GET /logs", s.answering(s.logs))
	mux.Handle("DELETE /logs", s.answering(s.removeSpace))
	return mux
}

// answering turns a handler's error into the answer, if it did not answer itself.
func (s *server) answering(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := handle(w, r)
		if err == nil {
			return
		}
		p := problem{Kind: fault.Of(err), Message: fault.Message(err)}
		if p.Kind == "" {
			p = problem{Kind: fault.Unavailable, Message: "the log spool failed; its own log says why"}
		}
		s.log.Warn("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(httpStatus(p.Kind))
		// An error here is the caller's having gone.
		_ = json.NewEncoder(w).Encode(p)
	})
}

func httpStatus(kind fault.Kind) int {
	switch kind {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.TooMany:
		return http.StatusTooManyRequests
	default:
		return http.StatusServiceUnavailable
	}
}

// decode reads a JSON body. Unknown members are let pass: a spool outlives
// upgrades of the engine that calls it.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch err := body.Decode(v); {
	case errors.As(err, &large):
		return fault.Wrap(fault.TooLarge, err, "the body is larger than %d bytes", maxBody)
	case err != nil:
		return fault.Wrap(fault.Invalid, err, "the body is malformed")
	}
	return nil
}

func (s *server) listStreams(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(s.registry.list())
}

func (s *server) openStream(w http.ResponseWriter, r *http.Request) error {
	var st Stream
	if err := decode(w, r, &st); err != nil {
		return err
	}
	if st.ID != r.PathValue("id") {
		return fault.New(fault.Invalid, "the stream's id is not that of the path")
	}
	if err := s.registry.open(r.Context(), st); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) closeStream(w http.ResponseWriter, r *http.Request) error {
	if err := s.registry.close(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) addLine(w http.ResponseWriter, r *http.Request) error {
	var line Line
	if err := decode(w, r, &line); err != nil {
		return err
	}
	if line.Source == "" {
		line.Source = "heroku"
	}
	if len(line.Source) > maxName || len(line.Dyno) > maxName {
		return fault.New(fault.Invalid, "source or dyno is too long")
	}
	j, err := s.store.journal(line.Space, line.App)
	if err != nil {
		return err
	}
	b := j.begin()
	b.addText(line.Time, line.Source, line.Dyno, line.Text)
	if err := j.sync(r.Context(), b.end()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) removeSpace(w http.ResponseWriter, r *http.Request) error {
	if err := s.store.remove(r.Context(), r.URL.Query().Get("space")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *server) logs(w http.ResponseWriter, r *http.Request) error {
	var q driver.LogQuery
	if err := json.Unmarshal([]byte(r.URL.Query().Get("query")), &q); err != nil {
		return fault.Wrap(fault.Invalid, err, "the query is malformed")
	}
	select {
	case s.queries <- struct{}{}:
		defer func() { <-s.queries }()
	default:
		return fault.New(fault.TooMany, "%d log queries are running", maxQueries)
	}
	query, err := s.newQuery(q)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if query == nil {
		return nil
	}
	s.stream(w, r, query, q.Follow)
	return nil
}

// newQuery returns nil for an app that has no log and will not be followed.
func (s *server) newQuery(q driver.LogQuery) (*query, error) {
	if _, err := parseID(q.After); q.After != "" && err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the log cannot be continued after %q", q.After)
	}
	open := s.store.existing
	if q.Follow {
		open = s.store.journal
	}
	j, err := open(q.Space, q.App)
	if j == nil || err != nil {
		return nil, err
	}
	return newQuery(j, s.store.dir(place{q.Space, q.App}), q, s.log)
}

// stream answers with lines. Once the first are sent an error can only end it.
func (s *server) stream(w http.ResponseWriter, r *http.Request, query *query, follow bool) {
	control := http.NewResponseController(w)
	buffered := bufio.NewWriterSize(deadlineWriter{w, control}, 32<<10)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	err := query.run(r.Context(), follow,
		func(line driver.LogLine) error { return encoder.Encode(line) },
		func() error { return errors.Join(buffered.Flush(), control.Flush()) })
	switch {
	case err == nil || r.Context().Err() != nil:
	case errors.Is(err, context.Canceled):
	default:
		s.log.Warn("log query ended", "error", err)
		// Cut the connection: a short answer must not pass for a whole one.
		panic(http.ErrAbortHandler)
	}
}

// deadlineWriter gives each write a deadline, so that a caller who does not
// read does not hold a query for ever.
type deadlineWriter struct {
	w       io.Writer
	control *http.ResponseController
}

func (d deadlineWriter) Write(b []byte) (int, error) {
	if err := d.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return d.w.Write(b)
}
