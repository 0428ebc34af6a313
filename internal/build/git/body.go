package git

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"time"
)

// errTooLarge ends a request body at its bound.
var errTooLarge = errors.New("git: the request is too large")

// body is a request's content, decompressed, bounded, and given up when the
// client sends nothing for a while.
type body struct {
	r    io.Reader // decompressed
	left int64
}

func newBody(w http.ResponseWriter, r *http.Request, limit int64, idle time.Duration) (*body, error) {
	rc := http.NewResponseController(w)
	paced := reader(func(p []byte) (int, error) {
		// Not every server supports deadlines per request; then its own hold.
		_ = rc.SetReadDeadline(time.Now().Add(idle))
		// Between reads nothing may expire: a deploy can take its time.
		defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
		return r.Body.Read(p)
	})
	if r.Header.Get("Content-Encoding") != "gzip" {
		return &body{r: paced, left: limit}, nil
	}
	zr, err := gzip.NewReader(paced)
	if err != nil {
		return nil, err
	}
	return &body{r: zr, left: limit}, nil
}

type reader func(p []byte) (int, error)

func (f reader) Read(p []byte) (int, error) { return f(p) }

func (b *body) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		n = int(b.left)
		err = errTooLarge
	}
	b.left -= int64(n)
	return n, err
}

// drain reads what a refused client still sends: it shows an answer only
// after it has sent everything. Past the bound it is cut off instead.
func (b *body) drain(limit int64) {
	_, _ = io.Copy(io.Discard, io.LimitReader(b.r, limit))
}
