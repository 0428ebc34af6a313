package witness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// Cosigned is a checkpoint that the witness cosigned.
type Cosigned struct {
	torchwood.Checkpoint
	At   time.Time
	Note []byte // with the log's signatures and the witness's
}

// line is a record of a history file. A record is one line, so that what a
// crash left half written is what follows the last newline.
type line struct {
	Note string `json:"note"`
}

// maxLine bounds a record: a request with every byte escaped.
const maxLine = 8 * maxRequest

// history is the file of the checkpoints of one log that were cosigned. Its last
// record is the witness's state: there is no second place to fall out of step.
//
// Durability: when add returns nil the record survives a crash. After an error
// nobody knows what is on disk, and nothing is added before it was opened anew.
type history struct {
	file   *os.File
	last   *Cosigned // nil: none yet
	broken error
}

// openHistory cuts off what a crash left half written: nobody was answered for it.
func openHistory(path string, key note.Verifier) (*history, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	h := &history{file: f}
	if err := errors.Join(h.recover(key), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return h, nil
}

func (h *history) recover(key note.Verifier) error {
	size, err := h.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	start := max(0, size-2*maxLine)
	tail := make([]byte, size-start)
	if _, err := h.file.ReadAt(tail, start); err != nil {
		return err
	}
	end := bytes.LastIndexByte(tail, '\n') + 1
	if end == 0 && start > 0 {
		return fmt.Errorf("%s is damaged: its end is not a record", h.file.Name())
	}
	if err := errors.Join(h.file.Truncate(start+int64(end)), h.file.Sync()); err != nil {
		return err
	}
	if _, err := h.file.Seek(0, io.SeekEnd); err != nil || end == 0 {
		return err
	}
	record := tail[bytes.LastIndexByte(tail[:end-1], '\n')+1 : end]
	if h.last, err = parseLine(record, key); err != nil {
		return fmt.Errorf("%s is damaged: %w", h.file.Name(), err)
	}
	return nil
}

// add appends what is about to be answered.
func (h *history) add(c *Cosigned) error {
	if h.broken != nil {
		return h.broken
	}
	b, err := json.Marshal(line{string(c.Note)})
	if err != nil {
		return err
	}
	_, err = h.file.Write(append(b, '\n'))
	if h.broken = errors.Join(err, h.file.Sync()); h.broken != nil {
		h.broken = fmt.Errorf("write the history: %w", h.broken)
		return h.broken
	}
	h.last = c
	return nil
}

func parseLine(b []byte, key note.Verifier) (*Cosigned, error) {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, fmt.Errorf("a record is malformed: %w", err)
	}
	return parseCosigned([]byte(l.Note), key)
}

// parseCosigned reads a checkpoint that the witness's key cosigned.
func parseCosigned(signed []byte, key note.Verifier) (*Cosigned, error) {
	n, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return nil, fmt.Errorf("a record was not cosigned by the key of %s: %w", key.Name(), err)
	}
	c := &Cosigned{Note: signed}
	if c.Checkpoint, err = torchwood.ParseCheckpoint(n.Text); err != nil {
		return nil, fmt.Errorf("a record is not a checkpoint: %w", err)
	}
	at, err := torchwood.CosignatureTimestamp(n.Sigs[0])
	if err != nil {
		return nil, fmt.Errorf("a record has no time: %w", err)
	}
	c.At = time.Unix(at, 0).UTC()
	return c, nil
}

// History gives what the witness cosigned of a log, oldest first, each verified
// by its own key. It may be read while the witness runs.
func (d Directory) History(origin string) iter.Seq2[*Cosigned, error] {
	return func(yield func(*Cosigned, error) bool) {
		s, err := d.signer()
		if err != nil {
			yield(nil, err)
			return
		}
		f, err := os.Open(d.historyPath(origin))
		if errors.Is(err, os.ErrNotExist) {
			return // known, and never cosigned
		}
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		var size int64
		for c, err := range records(f, s.Verifier()) {
			if err == nil && (c.N < size || c.Origin != origin) {
				err = fmt.Errorf("a record over %d entries of %s follows one over %d", c.N, c.Origin, size)
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s is damaged: %w", f.Name(), err))
				return
			}
			if size = c.N; !yield(c, nil) {
				return
			}
		}
	}
}

// records reads whole records and leaves out one that is being written.
func records(in io.Reader, key note.Verifier) iter.Seq2[*Cosigned, error] {
	return func(yield func(*Cosigned, error) bool) {
		r := bufio.NewReaderSize(in, maxLine)
		for {
			b, err := r.ReadSlice('\n')
			if errors.Is(err, io.EOF) {
				return
			}
			var c *Cosigned
			if err == nil {
				c, err = parseLine(b, key)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}
