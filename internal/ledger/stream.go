package ledger

import (
	"context"
	"runtime"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/fault"
)

// Line is an entry on its way through Stream: bytes in, facts out.
type Line struct {
	Seq    int64  // which entry the header must be
	Header []byte // its bytes
	Framed []byte // FrameSize bytes of room, then the body's bytes; nil: no body
	Salt   [SaltSize]byte

	// HeaderErr and BodyErr say why the header or the body is refused. Who
	// fills the line may set them; its bytes are then not looked at.
	HeaderErr, BodyErr error

	Parsed Header    // valid if HeaderErr is nil
	Leaf   tlog.Hash // valid if HeaderErr is nil
	JSON   JSON      // the body taken apart; valid if there is one and both errors are nil
}

// Body returns the body's bytes, nil if there is none.
func (l *Line) Body() []byte {
	if l.Framed == nil {
		return nil
	}
	return l.Framed[FrameSize:]
}

// check establishes what an entry's own bytes can: the header is the only
// encoding of the entry expected, and the body is canonical and the header's.
func (l *Line) check(names scopeNames) {
	if l.HeaderErr != nil {
		return
	}
	if l.Parsed, l.HeaderErr = parseHeader(l.Header, names); l.HeaderErr != nil {
		return
	}
	if l.Parsed.Seq != l.Seq {
		l.HeaderErr = fault.New(fault.Invalid, "the header of entry %d is where that of entry %d must be", l.Parsed.Seq, l.Seq)
		return
	}
	l.Leaf = LeafHash(l.Header)
	if l.Framed == nil || l.BodyErr != nil {
		return
	}
	if hashFramed(l.Framed, l.Salt) != l.Parsed.Body {
		l.BodyErr = ErrBodyMismatch
		return
	}
	l.BodyErr = l.JSON.ReadObject(l.Body())
}

// ErrBodyMismatch says that a body is not the one that its header commits to.
var ErrBodyMismatch = fault.New(fault.Invalid, "the body does not match its header")

// Batch is a number of lines and the memory that they lie in.
type Batch struct {
	Lines []Line
	names scopeNames
	buf   []byte
	big   bool // a line did not fit in buf
	done  chan struct{}
}

const (
	batchLines = 256
	batchBytes = 256 << 10
)

// Full reports whether the batch should be passed on before more is added.
func (b *Batch) Full() bool {
	return len(b.Lines) == batchLines || b.big || len(b.buf) > batchBytes-batchBytes/8
}

// Bytes returns n bytes that are valid as long as the batch.
func (b *Batch) Bytes(n int) []byte {
	if len(b.buf)+n > cap(b.buf) {
		b.big = true
		return make([]byte, n)
	}
	at := len(b.buf)
	b.buf = b.buf[:at+n]
	return b.buf[at : at+n : at+n]
}

// Add appends a line for entry seq and returns it.
func (b *Batch) Add(seq int64) *Line {
	b.Lines = b.Lines[:len(b.Lines)+1] // there is always room: see Full
	l := &b.Lines[len(b.Lines)-1]
	*l = Line{Seq: seq, JSON: l.JSON} // its memory is used again
	return l
}

// ready returns b emptied, or a new batch if there is none yet.
func (b *Batch) ready() *Batch {
	if b == nil {
		b = &Batch{Lines: make([]Line, 0, batchLines), buf: make([]byte, 0, batchBytes), names: scopeNames{}}
	}
	b.Lines, b.buf, b.big, b.done = b.Lines[:0], b.buf[:0], false, make(chan struct{})
	return b
}

// Stream checks entries in parallel and hands them on in order. fill adds lines
// to a batch until it is full and reports whether more will come; it runs in a
// goroutine of its own. take gets every line, in order, in the caller's
// goroutine, and must not keep what the line refers to. The first error of
// either, or the context's, ends the stream; when Stream returns nothing of it
// runs any more.
func Stream(ctx context.Context, fill func(*Batch) (more bool, err error), take func(*Line) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	workers := runtime.GOMAXPROCS(0)
	batches := 2*workers + 2
	free := make(chan *Batch, batches)
	for range batches {
		free <- nil // a batch that is made when it is needed
	}
	work := make(chan *Batch, batches)
	ordered := make(chan *Batch, batches)
	var fillErr error // read after ordered is closed
	wg.Go(func() {
		defer close(work)
		defer close(ordered)
		for more := true; more; {
			var b *Batch
			select {
			case b = <-free:
			case <-ctx.Done():
				return
			}
			b = b.ready()
			if more, fillErr = fill(b); fillErr != nil {
				return
			}
			work <- b // never blocks: there is room for all batches
			ordered <- b
		}
	})
	for range workers {
		wg.Go(func() {
			for b := range work {
				for i := range b.Lines {
					b.Lines[i].check(b.names)
				}
				close(b.done)
			}
		})
	}
	for b := range ordered {
		<-b.done
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range b.Lines {
			if err := take(&b.Lines[i]); err != nil {
				return err
			}
		}
		free <- b
	}
	if fillErr != nil {
		return fillErr
	}
	return ctx.Err()
}
