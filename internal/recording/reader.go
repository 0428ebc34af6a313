package recording

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// maxLine bounds a line of an asciicast: an event of 64 KiB of control
// characters takes six times that.
const maxLine = 512 << 10

// Event of a session.
type Event struct {
	At   time.Duration // since the start
	Code string        // "i" typed, "o" shown, "r" resized, "m" marker
	Data []byte        // the exact bytes, also where they are not UTF-8
}

// Reader reads an asciicast v2.
type Reader struct {
	header Header
	lines  *bufio.Reader
	ahead  *Event // read, but perhaps to be made exact by the next line
	err    error
}

// NewReader reads the header of an asciicast.
func NewReader(r io.Reader) (*Reader, error) {
	rd := &Reader{lines: bufio.NewReaderSize(r, maxLine)}
	line, err := rd.line()
	if err != nil {
		return nil, fmt.Errorf("read recording: %w", noEOF(err))
	}
	if err := json.Unmarshal(line, &rd.header); err != nil {
		return nil, fmt.Errorf("the recording's header: %w", err)
	}
	if rd.header.Version != 2 {
		return nil, fmt.Errorf("a recording of version %d: only 2 is known", rd.header.Version)
	}
	return rd, nil
}

// Header of the recording.
func (r *Reader) Header() Header { return r.header }

// Next returns the next event, or io.EOF after the last.
func (r *Reader) Next() (Event, error) {
	for r.err == nil {
		event, err := r.read()
		switch {
		case err != nil:
			r.err = err
		case event.Code == codeExactInput || event.Code == codeExactOutput:
			r.err = r.exact(event)
		default:
			if done := r.ahead; done != nil {
				r.ahead = &event
				return *done, nil
			}
			r.ahead = &event
		}
	}
	if r.ahead != nil && r.err == io.EOF {
		event := *r.ahead
		r.ahead = nil
		return event, nil
	}
	return Event{}, r.err
}

// exact gives the event before its true bytes.
func (r *Reader) exact(e Event) error {
	if r.ahead == nil || r.ahead.Code+"b" != e.Code {
		return errors.New("the recording has exact bytes that belong to no event")
	}
	b, err := base64.StdEncoding.Strict().DecodeString(string(e.Data))
	if err != nil {
		return fmt.Errorf("the recording's exact bytes: %w", err)
	}
	r.ahead.Data = b
	return nil
}

func (r *Reader) read() (Event, error) {
	line, err := r.line()
	if err != nil {
		return Event{}, err
	}
	return parseEvent(line)
}

func parseEvent(line []byte) (Event, error) {
	var (
		at         float64
		code, data string
	)
	parts := []any{&at, &code, &data}
	if err := json.Unmarshal(line, &parts); err != nil {
		return Event{}, fmt.Errorf("not an event of a recording: %w", err)
	}
	if len(parts) != 3 {
		return Event{}, fmt.Errorf("an event of a recording has %d parts, not 3", len(parts))
	}
	if at < 0 || at > 1e9 {
		return Event{}, fmt.Errorf("an event at %g seconds", at)
	}
	return Event{At: time.Duration(math.Round(at*1e6)) * time.Microsecond, Code: code, Data: []byte(data)}, nil
}

// line returns a line without its end; a last line may lack one.
func (r *Reader) line() ([]byte, error) {
	line, err := r.lines.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case err == io.EOF && len(line) > 0:
		return line, nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("a line of the recording is longer than %d bytes", maxLine)
	}
	return nil, err
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
