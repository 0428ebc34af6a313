package recording

import (
	"bufio"
	"bytes"
	"context"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/blob"
)

// Recover seals the recordings that a crash left behind, and those whose Seal
// failed; running sessions are not touched. The caller records the end of each
// returned session, if that was not done before the crash, and then calls
// Remove: until then Recover returns the same again. A recording that cannot be
// sealed stays, is part of the error, and does not keep others from it.
func (r *Recorder) Recover(ctx context.Context) ([]Sealed, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("recover recordings: %w", err)
	}
	var (
		all  []Sealed
		errs []error
	)
	for _, e := range entries {
		s, ok, err := r.recoverFile(ctx, e.Name())
		if err != nil {
			errs = append(errs, fmt.Errorf("recover %s: %w", e.Name(), err))
		} else if ok {
			all = append(all, s)
		}
	}
	return all, errors.Join(errs...)
}

func (r *Recorder) recoverFile(ctx context.Context, name string) (s Sealed, ok bool, err error) {
	id, begun := strings.CutSuffix(name, suffix)
	if !begun {
		return Sealed{}, false, r.sweep(name)
	}
	f, err := os.Open(filepath.Join(r.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return Sealed{}, false, nil
	} else if err != nil {
		return Sealed{}, false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return Sealed{}, false, nil
	} else if err != nil {
		return Sealed{}, false, err
	}
	s, err = r.seal(ctx, f, id)
	return s, err == nil, err
}

// sweep removes what a crash left of a recording that had not begun.
func (r *Recorder) sweep(name string) error {
	if !strings.HasSuffix(name, newSuffix) {
		return nil
	}
	r.making.Lock()
	defer r.making.Unlock()
	f, err := os.Open(filepath.Join(r.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	} else if err != nil {
		return err
	}
	// It may have been begun, and another's, since the directory was read.
	if err := os.Remove(f.Name()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// seal puts what is in a working file into the blob store.
func (r *Recorder) seal(ctx context.Context, f *os.File, id string) (Sealed, error) {
	// Not f itself: where a live recording stands in it is not of interest, and
	// nothing beyond the reserved space was written.
	src := bufio.NewReaderSize(io.NewSectionReader(f, 0, r.max), 256<<10)
	p, start, err := readPreamble(src)
	if err != nil {
		return Sealed{}, err
	}
	if p.ID != id {
		return Sealed{}, fmt.Errorf("the file of session %s holds the recording of %s", id, p.ID)
	}
	key, err := r.wrapKey(ctx, p.Scope)
	if err != nil {
		return Sealed{}, err
	}
	aead, header, err := openHeader(src, key, start)
	if err != nil {
		return Sealed{}, err
	}
	t := newTranscript(src, aead, header)
	ref, err := r.blobs.Put(ctx, p.Scope, t, 2*r.max)
	if err != nil {
		return Sealed{}, err
	}
	return t.sealed(p, ref), nil
}

// transcript reads the chunks of a file as one asciicast and sums up what
// passes. If the recording does not say how the session ended, it adds that the
// session was interrupted.
type transcript struct {
	src   io.Reader
	aead  cipher.AEAD
	chain chain

	text    []byte // not yet read
	header  Header
	begun   bool // the header was seen
	last    Event
	in, out int64
	end     *End
	damaged bool
	done    bool
}

func newTranscript(src io.Reader, aead cipher.AEAD, header []byte) *transcript {
	return &transcript{src: src, aead: aead, chain: newChain(header)}
}

// Read implements io.Reader.
func (t *transcript) Read(p []byte) (int, error) {
	for len(t.text) == 0 {
		if t.done {
			return 0, io.EOF
		}
		if err := t.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.text)
	t.text = t.text[n:]
	return n, nil
}

func (t *transcript) next() error {
	plain, err := t.chain.next(t.src, t.aead)
	switch {
	case err == nil:
		t.text = plain
		return t.scan(plain)
	case err == errTorn:
		if t.damaged, err = nonzeroAfter(t.src, t.chain.torn); err != nil {
			return err
		}
	case err != io.EOF:
		return fmt.Errorf("read recording: %w", err)
	}
	t.done = true
	if !t.begun {
		return errors.New("the recording has no beginning")
	}
	if t.end == nil {
		t.end = &End{Reason: Interrupted}
		t.text = encode(t.last.At, codeMarker, endLabel(*t.end))
	}
	return nil
}

// scan takes note of the lines in a chunk.
func (t *transcript) scan(plain []byte) error {
	for line := range bytes.Lines(plain) {
		if !t.begun {
			t.begun = true
			if err := json.Unmarshal(line, &t.header); err != nil {
				return fmt.Errorf("the recording's header: %w", err)
			}
			continue
		}
		event, err := parseEvent(line)
		if err != nil {
			return err
		}
		t.note(event)
	}
	return nil
}

func (t *transcript) note(e Event) {
	switch e.Code {
	case codeInput:
		t.in += int64(len(e.Data))
	case codeOutput:
		t.out += int64(len(e.Data))
	case codeExactInput:
		t.in += exactLen(e.Data) - int64(len(t.last.Data))
	case codeExactOutput:
		t.out += exactLen(e.Data) - int64(len(t.last.Data))
	case codeMarker:
		if end, ok := parseEndLabel(e.Data); ok {
			t.end = &end
		}
	}
	t.last = e
}

func exactLen(b []byte) int64 {
	return int64(len(b)/4*3 - bytes.Count(b, []byte("=")))
}

// nonzeroAfter skips n bytes, as many as one torn write may have left, and
// tells whether anything follows.
func nonzeroAfter(r io.Reader, n int) (bool, error) {
	if _, err := io.CopyN(io.Discard, r, int64(n)); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if !isZero(buf[:n]) {
			return true, nil
		}
		if err == io.EOF {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
}

func (t *transcript) sealed(p preamble, ref blob.Ref) Sealed {
	return Sealed{
		Meta: Meta{
			ID: p.ID, Scope: p.Scope, Command: t.header.Command,
			Cols: t.header.Width, Rows: t.header.Height, Term: t.header.Env["TERM"],
			Started: time.Unix(t.header.Timestamp, 0).UTC(),
		},
		End: *t.end, Ref: ref, Chain: t.chain.head(),
		In: t.in, Out: t.out, Last: t.last.At, Damaged: t.damaged,
	}
}
