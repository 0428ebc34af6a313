package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// Bounds of what is parsed.
const (
	maxBody  = 1 << 20
	maxDepth = 16
	maxItems = 10_000 // values in one document
)

// parseJSON reads one JSON document strictly: no duplicate members, no bytes
// after it, no invalid UTF-8, bounded depth and number of values. Objects
// become map[string]any, numbers json.Number.
func parseJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("it is not UTF-8")
	}
	p := &jsonParser{dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the document")
	}
	return v, nil
}

type jsonParser struct {
	dec   *json.Decoder
	items int
}

func (p *jsonParser) value(depth int) (any, error) {
	if p.items++; p.items > maxItems {
		return nil, errors.New("it holds too many values")
	}
	if depth > maxDepth {
		return nil, errors.New("it is nested too deeply")
	}
	t, err := p.dec.Token()
	if err != nil {
		return nil, errors.New("it is not valid JSON")
	}
	switch t {
	case json.Delim('{'):
		return p.object(depth)
	case json.Delim('['):
		return p.array(depth)
	}
	return t, nil
}

func (p *jsonParser) object(depth int) (any, error) {
	out := map[string]any{}
	for p.dec.More() {
		t, err := p.dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("it is not valid JSON")
		}
		if _, twice := out[name]; twice {
			return nil, errors.New("a member occurs twice")
		}
		if out[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return out, p.end()
}

func (p *jsonParser) array(depth int) (any, error) {
	out := []any{}
	for p.dec.More() {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, p.end()
}

func (p *jsonParser) end() error {
	if _, err := p.dec.Token(); err != nil {
		return errors.New("it is not valid JSON")
	}
	return nil
}
