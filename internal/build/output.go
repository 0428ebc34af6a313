package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"
)

// output passes a build's text on, within a bound, and takes its digest. It
// never fails: a reader that has gone away does not end a build.
type output struct {
	mu   sync.Mutex
	w    io.Writer
	left int64
	sum  hash.Hash
	over bool
}

func newOutput(w io.Writer, limit int64) *output {
	return &output{w: w, left: limit, sum: sha256.New()}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(p)
	if int64(n) > o.left {
		p = p[:o.left]
	}
	o.emit(p)
	o.left -= int64(len(p))
	if len(p) < n && !o.over {
		o.over = true
		o.emit([]byte("\n !     The build prints more than is kept; the rest is not shown.\n"))
	}
	return n, nil
}

func (o *output) emit(p []byte) {
	o.sum.Write(p)
	if o.w == nil {
		return
	}
	if _, err := o.w.Write(p); err != nil {
		o.w = nil
	}
}

// step says what begins now, in Heroku's form; line adds to it.
func (o *output) step(format string, args ...any) { fmt.Fprintf(o, "-----> "+format+"\n", args...) }
func (o *output) line(format string, args ...any) { fmt.Fprintf(o, "       "+format+"\n", args...) }

func (o *output) digest() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return "sha256:" + hex.EncodeToString(o.sum.Sum(nil))
}
