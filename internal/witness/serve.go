package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// ServeHTTP answers POST /add-checkpoint.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/add-checkpoint":
		http.NotFound(rw, r)
		return
	case r.Method != http.MethodPost:
		rw.Header().Set("Allow", http.MethodPost)
		http.Error(rw, "POST is expected", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		http.Error(rw, "the request is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(rw, "the request could not be read", http.StatusBadRequest)
		return
	}
	line, err := w.answer(body)
	if err != nil {
		w.refuse(rw, r, err)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = rw.Write(line) // whoever has gone asks again
}

func (w *Witness) answer(body []byte) ([]byte, error) {
	req, err := ParseRequest(body)
	if err != nil {
		return nil, err
	}
	return w.Cosign(req)
}

// refuse answers as the protocol says.
func (w *Witness) refuse(rw http.ResponseWriter, r *http.Request, err error) {
	var conflict *Conflict
	if errors.As(err, &conflict) {
		w.log.Warn("refused", "error", err, "from", r.RemoteAddr)
		rw.Header().Set("Content-Type", "text/x.tlog.size")
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", conflict.Size)
		return
	}
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, errProof):
		status = http.StatusUnprocessableEntity
	case fault.Of(err) == fault.Invalid:
		status = http.StatusBadRequest
	case fault.Of(err) == fault.NotFound:
		status = http.StatusNotFound
	case fault.Of(err) == fault.Forbidden:
		status = http.StatusForbidden
	}
	text := "the witness cannot answer now"
	if status == http.StatusInternalServerError {
		w.log.Error("not cosigned", "error", err)
	} else {
		text = err.Error()
		w.log.Warn("refused", "error", err, "from", r.RemoteAddr)
	}
	http.Error(rw, text, status)
}

// Serve answers on a listener until ctx ends. With a certificate and its key, in
// files, it speaks TLS. Nobody can keep it by being slow.
func (w *Witness) Serve(ctx context.Context, l net.Listener, cert, key string) error {
	s := &http.Server{
		Handler: w, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10,
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- s.Shutdown(grace)
	}()
	var err error
	if cert == "" {
		err = s.Serve(l)
	} else {
		err = s.ServeTLS(l, cert, key)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the witness: %w", err)
	}
	return <-stopped
}
