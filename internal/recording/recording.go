package recording

import (
	"context"
	"crypto/cipher"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/fault"
)

// Recording is a session being written down. Its methods are safe for
// concurrent use; what waits at the same time is written and synced together.
type Recording struct {
	recorder *Recorder
	meta     Meta

	mu     sync.Mutex
	queue  [][]byte // encoded events, in order
	queued uint64   // number of events ever put in the queue
	last   time.Duration

	disk    sync.Mutex // held by the one that writes; taken before mu
	file    *os.File   // nil once sealed
	aead    cipher.AEAD
	chain   chain
	off     int64  // where the next chunk goes
	durable uint64 // number of events on disk
	err     error  // the recording failed, for good
}

// begin writes the header of the file and of the asciicast.
func begin(r *Recorder, f *os.File, key wrapKey, meta Meta) (*Recording, error) {
	aead, header, err := newHeader(key, meta)
	if err != nil {
		return nil, err
	}
	if _, err := f.WriteAt(header, 0); err != nil {
		return nil, err
	}
	rec := &Recording{
		recorder: r, meta: meta, file: f, aead: aead,
		chain: newChain(header), off: int64(len(header)),
		queue: [][]byte{encodeHeader(meta)}, queued: 1,
	}
	return rec, rec.commit(1)
}

// Meta returns what the recording is of.
func (r *Recording) Meta() Meta { return r.meta }

// Remove deletes the working file, as Recorder.Remove does.
func (r *Recording) Remove() error { return r.recorder.Remove(r.meta.ID) }

// Input records keystrokes. When it returns nil they are on disk and may be
// given to the process.
func (r *Recording) Input(b []byte) error { return r.record(codeInput, b) }

// Output records what the process wrote. When it returns nil that is on disk
// and may be shown.
func (r *Recording) Output(b []byte) error { return r.record(codeOutput, b) }

// Resize records a new size of the terminal.
func (r *Recording) Resize(cols, rows int) error {
	return r.record(codeResize, fmt.Appendf(nil, "%dx%d", cols, rows))
}

// Seal ends the recording and moves it to the blob store. The session is over:
// later calls of Input and Output fail. A recording that failed is sealed as it
// was then. If Seal fails, the file stays for Recover.
func (r *Recording) Seal(ctx context.Context, end End) (Sealed, error) {
	r.disk.Lock()
	defer r.disk.Unlock()
	if r.file == nil {
		return Sealed{}, fault.New(fault.Conflict, "The recording was sealed before.")
	}
	defer func() {
		r.file.Close()
		r.file, r.err = nil, errSealed
	}()
	if err := r.finish(end); err != nil {
		return Sealed{}, err
	}
	s, err := r.recorder.seal(ctx, r.file, r.meta.ID)
	if err != nil {
		return Sealed{}, err
	}
	s.Meta, s.End = r.meta, end
	s.Damaged = s.Damaged || s.Chain != r.chain.head()
	return s, nil
}

// finish writes what is still queued and then how the session ended. Called
// with disk held.
func (r *Recording) finish(end End) error {
	for r.err == nil && r.pending() {
		r.err = r.flush()
	}
	failed := r.err != nil
	r.mu.Lock()
	marker := encode(r.elapsed(), codeMarker, endLabel(end))
	r.mu.Unlock()
	if err := r.write(marker, r.recorder.max); err != nil && !failed {
		return err
	}
	return nil
}

var errSealed = fault.New(fault.Conflict, "The session is over: its recording was sealed.")

// record returns when b is on disk.
func (r *Recording) record(code string, b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), maxEvent)]
		if err := r.commit(r.enqueue(code, piece)); err != nil {
			return err
		}
		b = b[len(piece):]
	}
	return nil
}

func (r *Recording) enqueue(code string, b []byte) (ticket uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, encode(r.elapsed(), code, b))
	r.queued++
	return r.queued
}

// elapsed is the time in the recording; it never falls. Called with mu held.
func (r *Recording) elapsed() time.Duration {
	r.last = max(r.last, r.recorder.now().Sub(r.meta.Started))
	return r.last
}

// commit returns when the event with this ticket is on disk: written here, or
// together with an earlier one that was waiting.
func (r *Recording) commit(ticket uint64) error {
	r.disk.Lock()
	defer r.disk.Unlock()
	for r.durable < ticket {
		if r.err == nil {
			r.err = r.flush()
		}
		if r.err != nil {
			return r.err
		}
	}
	return nil
}

// flush makes one chunk of what is queued. Called with disk held.
func (r *Recording) flush() error {
	plain, events := r.take()
	if err := r.write(plain, r.recorder.max-reserve); err != nil {
		return err
	}
	r.durable += events
	return nil
}

// write appends a chunk, within the limit, and syncs it. Called with disk held.
func (r *Recording) write(plain []byte, limit int64) error {
	chunk := r.chain.seal(r.aead, plain)
	if r.off+int64(len(chunk)) > limit {
		return fault.New(fault.TooLarge, "The session was ended: its recording reached the limit of %d MiB.", r.recorder.max>>20)
	}
	if _, err := r.file.WriteAt(chunk, r.off); err != nil {
		return unwritable(err)
	}
	// After a failed sync the kernel may have dropped what was written and call
	// the next sync a success: it is never tried again.
	if err := fdatasync(r.file); err != nil {
		return unwritable(err)
	}
	r.chain.advance(chunk)
	r.off += int64(len(chunk))
	return nil
}

func (r *Recording) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue) > 0
}

// take removes events from the queue, no more than fit a chunk.
func (r *Recording) take() (plain []byte, events uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) > 0 && (events == 0 || len(plain)+len(r.queue[0]) <= maxPlain) {
		plain = append(plain, r.queue[0]...)
		r.queue = r.queue[1:]
		events++
	}
	return plain, events
}

func fdatasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return err
		}
	}
}
