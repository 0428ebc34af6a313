package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/bits"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/fault"
)

// CheckCanonical reports whether b is exactly what Canonicalize writes for some
// value. It reads b once and allocates nothing.
func CheckCanonical(b []byte) error {
	c := canonicalChecker{b: b}
	return c.check()
}

// canonicalChecker is a recursive descent over canonical JSON. Its methods take
// the position they begin at and return the one they end at. With keep it
// notes where each value lies.
type canonicalChecker struct {
	b     []byte
	keep  bool
	nodes []node
}

func (c *canonicalChecker) check() error {
	i, err := c.value(0, 0)
	if err == nil && i != len(c.b) {
		err = failAt(i, "data after the value")
	}
	return err
}

func failAt(i int, what string) error {
	return fault.New(fault.Invalid, "not canonical JSON at byte %d: %s", i, what)
}

// at returns the byte at i, or 0 (which is no JSON) at the end.
func (c *canonicalChecker) at(i int) byte {
	if i < len(c.b) {
		return c.b[i]
	}
	return 0
}

func (c *canonicalChecker) value(i, depth int) (int, error) {
	if !c.keep {
		return c.anyValue(i, depth)
	}
	at := len(c.nodes)
	c.nodes = append(c.nodes, node{from: uint32(i)})
	end, err := c.anyValue(i, depth)
	n := &c.nodes[at]
	n.to, n.next = uint32(end), uint32(len(c.nodes))
	return end, err
}

func (c *canonicalChecker) anyValue(i, depth int) (int, error) {
	switch c.at(i) {
	case '"':
		return c.string(i + 1)
	case '{':
		return c.object(i+1, depth)
	case '[':
		return c.array(i+1, depth)
	case 't':
		return c.literal(i, "true")
	case 'f':
		return c.literal(i, "false")
	case 'n':
		return c.literal(i, "null")
	default:
		return c.number(i)
	}
}

func (c *canonicalChecker) literal(i int, s string) (int, error) {
	if len(c.b)-i < len(s) || string(c.b[i:i+len(s)]) != s {
		return i, failAt(i, "unknown literal")
	}
	return i + len(s), nil
}

func (c *canonicalChecker) number(i int) (int, error) {
	start := i
	for i < len(c.b) && (c.b[i] == '-' || '0' <= c.b[i] && c.b[i] <= '9') {
		i++
	}
	if !canonicalNumber(c.b[start:i]) {
		return i, failAt(start, "not an integer of magnitude up to 2^53-1 in its shortest form")
	}
	return i, nil
}

// array begins after the bracket.
func (c *canonicalChecker) array(i, depth int) (int, error) {
	if depth == MaxDepth {
		return i, errDepth()
	}
	if c.at(i) == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = c.value(i, depth+1); err != nil {
			return i, err
		}
		switch c.at(i) {
		case ',':
		case ']':
			return i + 1, nil
		default:
			return i, failAt(i, "neither , nor ] after an element")
		}
		i++
	}
}

// object begins after the brace.
func (c *canonicalChecker) object(i, depth int) (int, error) {
	if depth == MaxDepth {
		return i, errDepth()
	}
	if c.at(i) == '}' {
		return i + 1, nil
	}
	var last []byte
	for first := true; ; first = false {
		name, end, err := c.name(i)
		if err != nil {
			return end, err
		}
		if !first && !before(last, name) {
			if bytes.Equal(last, name) {
				return i, failAt(i, "duplicate member name")
			}
			return i, failAt(i, "member names out of order")
		}
		last = name
		if c.at(end) != ':' {
			return end, failAt(end, "no : after a member name")
		}
		from, at := i+1, len(c.nodes)
		if i, err = c.value(end+1, depth+1); err != nil {
			return i, err
		}
		if c.keep {
			n := &c.nodes[at]
			n.nameFrom, n.nameTo = uint32(from), uint32(end-1)
			n.escaped = len(name) != end-1-from
		}
		switch c.at(i) {
		case ',':
		case '}':
			return i + 1, nil
		default:
			return i, failAt(i, "neither , nor } after a member")
		}
		i++
	}
}

// before orders member names. Sorting by bytes is sorting by UTF-16 code units
// here, as names are ASCII.
func before(a, b []byte) bool {
	if len(a) > 0 && len(b) > 0 && a[0] != b[0] {
		return a[0] < b[0] // nearly always
	}
	return bytes.Compare(a, b) < 0
}

// name reads a member name with its quotes.
func (c *canonicalChecker) name(i int) (name []byte, end int, err error) {
	if c.at(i) != '"' {
		return nil, i, failAt(i, "no member name")
	}
	start := i + 1
	for i = start; i < len(c.b); i++ {
		switch b := c.b[i]; {
		case b == '"':
			return c.b[start:i], i + 1, nil
		case b == '\\':
			return c.escapedName(start)
		case b < 0x20 || b > 0x7e:
			return nil, i, failAt(i, "member name is not printable ASCII")
		}
	}
	return nil, i, failAt(i, "string without an end")
}

func (c *canonicalChecker) escapedName(start int) (name []byte, end int, err error) {
	if end, err = c.string(start); err != nil {
		return nil, end, err
	}
	name = unescape(c.b[start : end-1])
	if !printable(string(name)) {
		return nil, start, failAt(start, "member name is not printable ASCII")
	}
	return name, end, nil
}

// string steps over a string; it begins after the quote.
func (c *canonicalChecker) string(i int) (int, error) {
	for {
		i += plainPrefix(c.b[i:], true)
		switch b := c.at(i); {
		case b == '"':
			return i + 1, nil
		case b == '\\':
			n := escapeLen(c.b[i:])
			if n == 0 {
				return i, failAt(i, "escape that the canonical form does not have")
			}
			i += n
		case b >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(c.b[i:])
			if r == utf8.RuneError && n == 1 {
				return i, failAt(i, "invalid UTF-8")
			}
			i += n
		case i >= len(c.b):
			return i, failAt(i, "string without an end")
		default:
			return i, failAt(i, "control character in a string")
		}
	}
}

// escapeLen returns the length of the escape that b begins with, 0 if it is
// none that RFC 8785 would have written.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		// \u00xx, only for control characters that have no shorter escape.
		var buf [6]byte
		if len(b) >= 6 {
			if r := hex4(b[2:]); r < 0x20 && bytes.Equal(appendEscaped(buf[:0], byte(r)), b[:6]) {
				return 6
			}
		}
	}
	return 0
}

// plainPrefix returns the length of the longest prefix of s without control
// characters, quotes, backslashes and, if ascii, bytes beyond ASCII. It looks
// at eight bytes at a time.
func plainPrefix(s []byte, ascii bool) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		q, b := x^'"'*ones, x^'\\'*ones
		// The lowest mark in each term is exact; only higher ones may be false.
		hit := (x-0x20*ones)&^x | (q-ones)&^q | (b-ones)&^b
		if ascii {
			hit |= x
		}
		if hit &= highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
	}
	for ; i < len(s); i++ {
		if b := s[i]; b < 0x20 || b == '"' || b == '\\' || ascii && b >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// CheckJSON reads one JSON value of any form from r to its end and refuses it
// if it is not UTF-8, a member name occurs twice in an object, or nesting exceeds
// MaxDepth.
func CheckJSON(r io.Reader) error {
	return CheckJSONNames(r, func(string) error { return nil })
}

// CheckJSONNames is CheckJSON with one more condition on every member name.
func CheckJSONNames(r io.Reader, allow func(name string) error) error {
	dec := json.NewDecoder(&utf8Reader{in: r})
	dec.UseNumber()
	if err := checkValue(dec, 0, allow); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "data after the JSON value")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int, allow func(string) error) error {
	tok, err := token(dec)
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	if depth == MaxDepth {
		return errDepth()
	}
	names := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			tok, err := token(dec)
			if err != nil {
				return err
			}
			name, _ := tok.(string)
			if names[name] {
				return fault.New(fault.Invalid, "duplicate member name %.40q", name)
			}
			names[name] = true
			if err := allow(name); err != nil {
				return err
			}
		}
		if err := checkValue(dec, depth+1, allow); err != nil {
			return err
		}
	}
	_, err = token(dec) // the closing delimiter
	return err
}

func token(dec *json.Decoder) (json.Token, error) {
	tok, err := dec.Token()
	var syntax *json.SyntaxError
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &syntax) {
		return nil, fault.Wrap(fault.Invalid, err, "malformed JSON")
	}
	return tok, err
}

// utf8Reader refuses bytes that are not UTF-8, which encoding/json would replace.
type utf8Reader struct {
	in   io.Reader
	tail []byte // the beginning of a character, whose rest is still to come
}

func (r *utf8Reader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	b := append(r.tail, p[:n]...)
	whole := len(b)
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				whole = i
			}
			break
		}
	}
	if !utf8.Valid(b[:whole]) || whole < len(b) && errors.Is(err, io.EOF) {
		return 0, fault.New(fault.Invalid, "malformed JSON: not UTF-8")
	}
	r.tail = append(r.tail[:0], b[whole:]...)
	return n, err
}
