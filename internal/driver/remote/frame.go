package remote

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// A session travels as frames over its connection: one byte of kind, four of
// length, the payload.
const (
	frameData   = 'd' // input or output bytes
	frameEnd    = 'e' // no more of them from this side
	frameResize = 'r' // JSON size
	frameExit   = 'x' // JSON outcome
	frameClose  = 'c' // the caller has closed the session
)

const maxFrame = 64 << 10

var errFrame = errors.New("a frame is longer than it may be")

type size struct {
	Rows int `json:"rows"`
	Cols int `json:"cols"`
}

// frameWriter writes frames whole, from several goroutines.
type frameWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frameWriter) write(kind byte, payload []byte) error {
	for {
		part := payload[:min(len(payload), maxFrame)]
		if err := f.writeOne(kind, part); err != nil {
			return err
		}
		payload = payload[len(part):]
		if len(payload) == 0 {
			return nil
		}
	}
}

func (f *frameWriter) writeOne(kind byte, payload []byte) error {
	b := make([]byte, 5, 5+len(payload))
	b[0] = kind
	binary.BigEndian.PutUint32(b[1:], uint32(len(payload)))
	b = append(b, payload...)
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.w.Write(b)
	return err
}

func (f *frameWriter) writeJSON(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.write(kind, b)
}

// readFrame reads one frame into buf, which holds maxFrame bytes.
func readFrame(r io.Reader, buf []byte) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, errFrame
	}
	payload = buf[:n]
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	return head[0], payload, nil
}
