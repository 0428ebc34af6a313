package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"golang.org/x/sys/unix"
)

// shutdownPatience is how long calls under way may take once ctx has ended.
const shutdownPatience = 5 * time.Second

// Serve answers on a unix listener until ctx ends. Processes of other users
// than uids are turned away when they connect.
func Serve(ctx context.Context, l *net.UnixListener, d driver.Driver, uids []int, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           Handler(d, log),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownPatience)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	})
	defer stop()
	err := srv.Serve(&gate{UnixListener: l, uids: uids, log: log})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// gate lets in connections of certain users.
type gate struct {
	*net.UnixListener
	uids []int
	log  *slog.Logger
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peer(c)
		if err == nil && slices.Contains(g.uids, uid) {
			return c, nil
		}
		g.log.Warn("connection refused", "uid", uid, "err", err)
		c.Close()
	}
}

// peer returns the user id of the process that connected.
func peer(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return -1, err
	}
	if credErr != nil {
		return -1, credErr
	}
	return int(cred.Uid), nil
}

type server struct {
	driver driver.Driver
	log    *slog.Logger
}

// Handler answers the calls of Dial. It checks nobody: Serve does.
func Handler(d driver.Driver, log *slog.Logger) http.Handler {
	s := &server{driver: d, log: log}
	mux := http.NewServeMux()
	for name, h := range map[string]http.HandlerFunc{
		"capabilities":    call(func(ctx context.Context, _ none) (driver.Capabilities, error) { return d.Capabilities(ctx) }),
		"observe":         call(func(ctx context.Context, _ none) (driver.Observation, error) { return d.Observe(ctx) }),
		"survey":          call(func(ctx context.Context, v surveyCall) (*driver.Survey, error) { return d.Survey(ctx, v.Area) }),
		"ensure-space":    do(d.EnsureSpace),
		"remove-space":    do(func(ctx context.Context, v byID) error { return d.RemoveSpace(ctx, v.ID) }),
		"remove-logs":     do(func(ctx context.Context, v byID) error { return d.RemoveLogs(ctx, v.ID) }),
		"ensure-volume":   do(d.EnsureVolume),
		"lock-volume":     do(func(ctx context.Context, v byID) error { return d.LockVolume(ctx, v.ID) }),
		"destroy-volume":  call(func(ctx context.Context, v byID) (driver.Disposal, error) { return d.DestroyVolume(ctx, v.ID) }),
		"apply-formation": do(d.ApplyFormation),
		"remove-formation": do(func(ctx context.Context, v byID) error {
			return d.RemoveFormation(ctx, v.ID)
		}),
		"stop-instance": do(func(ctx context.Context, v byID) error { return d.StopInstance(ctx, v.ID) }),
		"stop-task":     do(func(ctx context.Context, v byID) error { return d.StopTask(ctx, v.ID) }),
		"apply-routes":  do(d.ApplyRoutes),
		"import-image":  s.importImage,
		"put-files":     s.putFiles,
		"get-files":     s.getFiles,
		"logs":          s.logs,
		"start-task":    s.startTask,
		"exec":          s.exec,
		"dial":          s.dial,
	} {
		mux.HandleFunc("POST /"+name, h)
	}
	return mux
}

// call makes a handler of a function from one JSON value to another.
func call[In, Out any](f func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := decode[In](w, r)
		if err != nil {
			fail(w, err)
			return
		}
		out, err := f(r.Context(), in)
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(out) // a broken connection is the caller's to notice
	}
}

func do[In any](f func(context.Context, In) error) http.HandlerFunc {
	return call(func(ctx context.Context, in In) (none, error) { return none{}, f(ctx, in) })
}

func decode[In any](w http.ResponseWriter, r *http.Request) (In, error) {
	var in In
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return in, fault.Wrap(fault.TooLarge, err, "The request cannot be read.")
	}
	if err := json.Unmarshal(body, &in); err != nil {
		// The cause may quote what it stumbled over, which may be a secret.
		return in, fault.New(fault.Invalid, "The request is not the JSON that the engine expects.")
	}
	return in, nil
}

func fail(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(err))
	json.NewEncoder(w).Encode(toWire(err))
}

// drain reads what is left of an archive, so that the caller, who is still
// writing it, comes to read the error.
func drain(body io.Reader) {
	const most = 1 << 30
	io.Copy(io.Discard, io.LimitReader(body, most))
}

func (s *server) importImage(w http.ResponseWriter, r *http.Request) {
	digest, err := s.driver.ImportImage(r.Context(), r.Body)
	if err != nil {
		drain(r.Body)
		fail(w, err)
		return
	}
	json.NewEncoder(w).Encode(imported{Digest: digest})
}

func (s *server) putFiles(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if err := s.driver.PutFiles(r.Context(), q.Get("volume"), q.Get("dir"), r.Body); err != nil {
		drain(r.Body)
		fail(w, err)
		return
	}
	json.NewEncoder(w).Encode(none{})
}

func (s *server) getFiles(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	body, err := s.driver.GetFiles(r.Context(), q.Get("volume"), q.Get("dir"))
	s.stream(w, r, body, err)
}

func (s *server) logs(w http.ResponseWriter, r *http.Request) {
	q, err := decode[driver.LogQuery](w, r)
	if err != nil {
		fail(w, err)
		return
	}
	body, err := s.driver.Logs(r.Context(), q)
	s.stream(w, r, body, err)
}

// stream sends a body as it comes; an error in its midst goes in the trailer.
func (s *server) stream(w http.ResponseWriter, r *http.Request, body io.ReadCloser, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	defer body.Close()
	stop := context.AfterFunc(r.Context(), func() { body.Close() })
	defer stop()
	w.Header().Set("Trailer", faultTrailer)
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	flush.Flush()
	buf := make([]byte, maxFrame)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			flush.Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			w.Header().Set(faultTrailer, trailer(err))
			return
		}
	}
}

func (s *server) startTask(w http.ResponseWriter, r *http.Request) {
	t, err := decode[driver.Task](w, r)
	if err != nil {
		fail(w, err)
		return
	}
	session, err := s.driver.StartTask(r.Context(), t)
	s.carry(w, session, err)
}

func (s *server) exec(w http.ResponseWriter, r *http.Request) {
	e, err := decode[driver.Exec](w, r)
	if err != nil {
		fail(w, err)
		return
	}
	session, err := s.driver.Exec(r.Context(), e)
	s.carry(w, session, err)
}

func (s *server) carry(w http.ResponseWriter, session driver.Session, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	conn, in, err := hijack(w)
	if err != nil {
		session.Close()
		s.log.Error("session has no connection", "err", err)
		return
	}
	carrySession(conn, in, session)
}

func (s *server) dial(w http.ResponseWriter, r *http.Request) {
	d, err := decode[dialCall](w, r)
	if err != nil {
		fail(w, err)
		return
	}
	to, err := s.driver.Dial(r.Context(), d.Formation, d.Port)
	if err != nil {
		fail(w, err)
		return
	}
	defer to.Close()
	conn, in, err := hijack(w)
	if err != nil {
		s.log.Error("dial has no connection", "err", err)
		return
	}
	defer conn.Close()
	go func() {
		io.Copy(to, in)
		halfClose(to)
	}()
	io.Copy(conn, to)
}

// halfClose passes on the end of one direction, where that can be said.
func halfClose(c io.Closer) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
		return
	}
	c.Close()
}

// hijack switches the connection from HTTP to a stream.
func hijack(w http.ResponseWriter) (net.Conn, io.Reader, error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if _, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", upgrade); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, buf.Reader, nil
}
