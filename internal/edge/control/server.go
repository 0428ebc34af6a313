package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

// Serve answers requests of processes of the given uid on the listener until
// ctx ends. Others are disconnected before they can say anything. It closes the
// listener.
func Serve(ctx context.Context, listener *net.UnixListener, uid int, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      2 * time.Minute,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err := server.Serve(&guard{UnixListener: listener, uid: uid, log: log})
	if ctx.Err() != nil && (errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed)) {
		return nil
	}
	return fmt.Errorf("serve the control socket: %w", err)
}

// guard lets in only connections of one uid.
type guard struct {
	*net.UnixListener
	uid int
	log *slog.Logger
}

func (g *guard) Accept() (net.Conn, error) {
	for {
		conn, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peer(conn)
		if err == nil && uid == g.uid {
			return conn, nil
		}
		g.log.Warn("refuse a caller on the control socket", "uid", uid, "err", err)
		conn.Close()
	}
}

// peer returns the uid of the process that connected; -1 with an error.
func peer(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, credErr); err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

// Decode reads a request's body strictly: at most limit bytes, one JSON value,
// no unknown keys. Its errors never quote the body, which may hold keys.
func Decode(w http.ResponseWriter, r *http.Request, limit int64, value any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(value)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return fault.New(fault.TooLarge, "the body is larger than %d bytes", limit)
	case err != nil:
		return fault.New(fault.Invalid, "the body is not the JSON that is expected here%s", position(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "the body goes on after its JSON value")
	}
	return nil
}

// position says where a JSON error is, without what is there.
func position(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return " (wrong type in " + wrongType.Field + ")"
	}
	return ""
}

// Reply answers with value as JSON, or nothing if it is nil, or with the error.
// Internal errors are logged and answered without their text.
func Reply(w http.ResponseWriter, log *slog.Logger, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		kind := fault.Of(err)
		log.Warn("refuse a control request", "kind", string(kind), "err", err)
		w.WriteHeader(status(kind))
		write(w, log, refusal{Kind: kind, Message: fault.Message(err)})
		return
	}
	if value == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	write(w, log, value)
}

func write(w io.Writer, log *slog.Logger, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		log.Warn("answer a control request", "err", err)
	}
}

func status(kind fault.Kind) int {
	switch kind {
	case fault.Invalid:
		return http.StatusUnprocessableEntity
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Conflict:
		return http.StatusConflict
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
