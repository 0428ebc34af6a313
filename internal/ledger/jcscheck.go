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

// Member is a member of a canonical object.
type Member struct {
	Name  []byte // decoded
	Value []byte // canonical JSON
}

// CanonicalMembers checks b as CheckCanonical does, requires an object, and
// appends its members to dst in the same pass. They share memory with b.
func CanonicalMembers(dst []Member, b []byte) ([]Member, error) {
	if len(b) == 0 || b[0] != '{' {
		return dst, fault.New(fault.Invalid, "not a JSON object")
	}
	c := canonicalChecker{b: b, collect: true, members: dst}
	err := c.check()
	return c.members, err
}

// CanonicalElements checks b as CheckCanonical does, requires an array, and
// appends its elements to dst. They share memory with b.
func CanonicalElements(dst [][]byte, b []byte) ([][]byte, error) {
	if len(b) == 0 || b[0] != '[' {
		return dst, fault.New(fault.Invalid, "not a JSON array")
	}
	c := canonicalChecker{b: b, collect: true, elements: dst}
	err := c.check()
	return c.elements, err
}

// canonicalChecker is a recursive descent over canonical JSON. With collect it
// keeps the parts of the outermost value.
type canonicalChecker struct {
	b        []byte
	i        int
	collect  bool
	members  []Member
	elements [][]byte
}

func (c *canonicalChecker) check() error {
	if err := c.value(0); err != nil {
		return err
	}
	if c.i != len(c.b) {
		return c.fail("data after the value")
	}
	return nil
}

func (c *canonicalChecker) fail(what string) error {
	return fault.New(fault.Invalid, "not canonical JSON at byte %d: %s", c.i, what)
}

// at returns the byte at the position, or 0 (which is no JSON) at the end.
func (c *canonicalChecker) at() byte {
	if c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0
}

func (c *canonicalChecker) value(depth int) error {
	if depth > MaxDepth {
		return errDepth()
	}
	switch c.at() {
	case '"':
		_, err := c.string()
		return err
	case '{':
		return c.object(depth)
	case '[':
		return c.array(depth)
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	case 'n':
		return c.literal("null")
	default:
		return c.number()
	}
}

func (c *canonicalChecker) literal(s string) error {
	if len(c.b)-c.i < len(s) || string(c.b[c.i:c.i+len(s)]) != s {
		return c.fail("unknown literal")
	}
	c.i += len(s)
	return nil
}

func (c *canonicalChecker) number() error {
	start := c.i
	for c.i < len(c.b) && (c.b[c.i] == '-' || '0' <= c.b[c.i] && c.b[c.i] <= '9') {
		c.i++
	}
	if !canonicalNumber(c.b[start:c.i]) {
		return c.fail("not an integer of magnitude up to 2^53-1 in its shortest form")
	}
	return nil
}

func (c *canonicalChecker) array(depth int) error {
	c.i++
	if c.at() == ']' {
		c.i++
		return nil
	}
	for {
		start := c.i
		if err := c.value(depth + 1); err != nil {
			return err
		}
		if depth == 0 && c.collect {
			c.elements = append(c.elements, c.b[start:c.i])
		}
		switch c.at() {
		case ',':
			c.i++
		case ']':
			c.i++
			return nil
		default:
			return c.fail("neither , nor ] after an element")
		}
	}
}

func (c *canonicalChecker) object(depth int) error {
	c.i++
	if c.at() == '}' {
		c.i++
		return nil
	}
	var last []byte
	for first := true; ; first = false {
		name, err := c.name()
		if err != nil {
			return err
		}
		if !first && bytes.Compare(last, name) >= 0 {
			if bytes.Equal(last, name) {
				return c.fail("duplicate member name")
			}
			return c.fail("member names out of order")
		}
		last = name
		if c.at() != ':' {
			return c.fail("no : after a member name")
		}
		c.i++
		start := c.i
		if err := c.value(depth + 1); err != nil {
			return err
		}
		if depth == 0 && c.collect {
			c.members = append(c.members, Member{Name: name, Value: c.b[start:c.i]})
		}
		switch c.at() {
		case ',':
			c.i++
		case '}':
			c.i++
			return nil
		default:
			return c.fail("neither , nor } after a member")
		}
	}
}

// name reads a member name. Sorting by bytes is sorting by UTF-16 code units
// here, as names are ASCII.
func (c *canonicalChecker) name() ([]byte, error) {
	if c.at() != '"' {
		return nil, c.fail("no member name")
	}
	start := c.i + 1
	escaped, err := c.string()
	if err != nil {
		return nil, err
	}
	name := c.b[start : c.i-1]
	if escaped {
		name = unescape(name)
	}
	for _, b := range name {
		if b < 0x20 || b > 0x7e {
			return nil, c.fail("member name is not printable ASCII")
		}
	}
	return name, nil
}

// string steps over a string and reports whether it has escapes.
func (c *canonicalChecker) string() (escaped bool, err error) {
	c.i++
	for {
		c.i += plainPrefix(c.b[c.i:], true)
		switch b := c.at(); {
		case b == '"':
			c.i++
			return escaped, nil
		case b == '\\':
			escaped = true
			if err := c.escape(); err != nil {
				return escaped, err
			}
		case b >= utf8.RuneSelf:
			r, n := utf8.DecodeRune(c.b[c.i:])
			if r == utf8.RuneError && n == 1 {
				return escaped, c.fail("invalid UTF-8")
			}
			c.i += n
		case c.i >= len(c.b):
			return escaped, c.fail("string without an end")
		default:
			return escaped, c.fail("control character in a string")
		}
	}
}

// escape steps over an escape that RFC 8785 would have written.
func (c *canonicalChecker) escape() error {
	rest := c.b[c.i:]
	if len(rest) < 2 {
		return c.fail("escape without an end")
	}
	switch rest[1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		c.i += 2
		return nil
	case 'u':
		// \u00xx, only for control characters that have no shorter escape.
		var buf [6]byte
		if len(rest) >= 6 {
			if r := hex4(rest[2:]); r < 0x20 && bytes.Equal(appendEscaped(buf[:0], byte(r)), rest[:6]) {
				c.i += 6
				return nil
			}
		}
	}
	return c.fail("escape that the canonical form does not have")
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
// if a member name occurs twice in an object, or nesting exceeds MaxDepth.
func CheckJSON(r io.Reader) error {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fault.New(fault.Invalid, "data after the JSON value")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int) error {
	if depth > MaxDepth {
		return errDepth()
	}
	tok, err := token(dec)
	if err != nil {
		return err
	}
	delim, ok := tok.(json.Delim)
	if !ok {
		return nil
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
		}
		if err := checkValue(dec, depth+1); err != nil {
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
