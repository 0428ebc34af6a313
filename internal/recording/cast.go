package recording

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Codes of asciicast events, and our own two. An exact event follows an input
// or output event whose bytes were not UTF-8 and holds them in base64.
const (
	codeInput       = "i"
	codeOutput      = "o"
	codeResize      = "r"
	codeMarker      = "m"
	codeExactInput  = "ib"
	codeExactOutput = "ob"
)

// Header is the first line of an asciicast v2.
type Header struct {
	Version   int               `json:"version"`
	Width     int               `json:"width"`
	Height    int               `json:"height"`
	Timestamp int64             `json:"timestamp"`
	Title     string            `json:"title,omitempty"` // the session's id
	Command   string            `json:"command,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
}

func encodeHeader(m Meta) []byte {
	h := Header{
		Version: 2, Width: m.Cols, Height: m.Rows,
		Timestamp: m.Started.Unix(), Title: m.ID, Command: m.Command,
	}
	if h.Width <= 0 || h.Height <= 0 {
		h.Width, h.Height = 80, 24
	}
	if m.Term != "" {
		h.Env = map[string]string{"TERM": m.Term}
	}
	return encodeJSON(h)
}

// encode returns the line, or two, of an event.
func encode(at time.Duration, code string, b []byte) []byte {
	line := encodeLine(at, code, string(b))
	if utf8.Valid(b) {
		return line
	}
	return append(line, encodeLine(at, code+"b", base64.StdEncoding.EncodeToString(b))...)
}

func encodeLine(at time.Duration, code, data string) []byte {
	micros := at.Microseconds()
	line := fmt.Appendf(nil, "[%d.%06d,%q,", micros/1e6, micros%1e6, code)
	line = append(line, bytes.TrimSuffix(encodeJSON(data), []byte("\n"))...)
	return append(line, "]\n"...)
}

// encodeJSON returns one line. Strings that are not UTF-8 get U+FFFD.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("recording: encode %T: %v", v, err)) // strings and Headers marshal
	}
	return b.Bytes()
}

// endPrefix begins the label of the marker that ends every recording.
const endPrefix = "end "

func endLabel(end End) []byte {
	return append([]byte(endPrefix), bytes.TrimSuffix(encodeJSON(end), []byte("\n"))...)
}

func parseEndLabel(label []byte) (End, bool) {
	var end End
	text, ok := bytes.CutPrefix(label, []byte(endPrefix))
	if !ok || json.Unmarshal(text, &end) != nil {
		return End{}, false
	}
	return end, true
}
