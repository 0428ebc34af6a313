package git

import (
	"net/http"
	"time"
)

// maxNegotiation bounds what a fetch sends: lists of commits it has.
const maxNegotiation = 16 << 20

// upload serves a fetch or clone.
func (h *Handler) upload(w http.ResponseWriter, r *http.Request, repo *repository) {
	if !h.reads.take(r.Context(), h.patience) {
		http.Error(w, tooMany, http.StatusServiceUnavailable)
		return
	}
	defer h.reads.release()
	in, err := newBody(w, r, maxNegotiation, h.config.IdleTimeout)
	if err != nil {
		http.Error(w, "The request's compression is broken.", http.StatusBadRequest)
		return
	}
	cmd := repo.command(r.Context(), "upload-pack", "--stateless-rpc", "--strict", "--timeout=60", repo.dir)
	setProtocol(cmd, r, "git-upload-pack")
	stderr := &tail{}
	cmd.Stdin, cmd.Stderr = in, stderr
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	cmd.Stdout = &flusher{w: w, rc: http.NewResponseController(w), idle: h.config.IdleTimeout}
	if err := cmd.Run(); err != nil && r.Context().Err() == nil {
		h.config.Log.WarnContext(r.Context(), "git upload-pack", "error", err, "stderr", stderr.String())
	}
}

// flusher passes each write on at once, and gives a client that does not read
// a bounded time.
type flusher struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	idle time.Duration
}

func (f *flusher) Write(p []byte) (int, error) {
	_ = f.rc.SetWriteDeadline(time.Now().Add(f.idle))
	// In HTTP/2 a deadline that passes between writes ends the stream.
	defer func() { _ = f.rc.SetWriteDeadline(time.Time{}) }()
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.rc.Flush()
}
