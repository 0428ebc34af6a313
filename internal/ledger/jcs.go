package ledger

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/fault"
)

// Limits of canonical JSON, narrower than RFC 8785's so that every
// implementation agrees about every value.
const (
	MaxInt   = 1<<53 - 1 // greatest magnitude of a number
	MaxDepth = 64        // greatest nesting of arrays and objects
)

// Canonicalize encodes v by RFC 8785. It refuses numbers that are not integers
// of magnitude up to MaxInt, member names that are not printable ASCII or occur
// twice, and nesting beyond MaxDepth. Invalid UTF-8 becomes U+FFFD.
func Canonicalize(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "value cannot be written as JSON")
	}
	src := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	w := canonicalWriter{src: src, out: make([]byte, 0, len(src))}
	if err := w.value(0); err != nil {
		return nil, err
	}
	return w.out, nil
}

// canonicalWriter rewrites src, which encoding/json wrote and which therefore
// is valid and compact, into canonical form.
type canonicalWriter struct {
	src []byte
	pos int
	out []byte
}

func (w *canonicalWriter) value(depth int) error {
	c := w.src[w.pos]
	if (c == '{' || c == '[') && depth == MaxDepth {
		return errDepth()
	}
	switch c {
	case '{':
		return w.object(depth)
	case '[':
		return w.array(depth)
	case '"':
		w.out = appendString(w.out, w.string())
		return nil
	case 't', 'f', 'n':
		n := 4
		if c == 'f' {
			n = 5
		}
		w.out = append(w.out, w.src[w.pos:w.pos+n]...)
		w.pos += n
		return nil
	default:
		return w.number()
	}
}

func (w *canonicalWriter) array(depth int) error {
	w.out = append(w.out, '[')
	w.pos++
	for w.src[w.pos] != ']' {
		if w.src[w.pos] == ',' {
			w.out = append(w.out, ',')
			w.pos++
		}
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	w.pos++
	w.out = append(w.out, ']')
	return nil
}

// object writes the members in the order given and puts them in order
// afterwards if they were not.
func (w *canonicalWriter) object(depth int) error {
	type member struct {
		name     string
		from, to int // in out
	}
	var members []member
	w.out = append(w.out, '{')
	w.pos++
	start, sorted := len(w.out), true
	for w.src[w.pos] != '}' {
		if w.src[w.pos] == ',' {
			w.out = append(w.out, ',')
			w.pos++
		}
		m := member{name: string(w.string()), from: len(w.out)}
		if !printable(m.name) {
			return fault.New(fault.Invalid, "member name %.40q is not printable ASCII", m.name)
		}
		w.out = append(appendString(w.out, []byte(m.name)), ':')
		w.pos++ // the colon
		if err := w.value(depth + 1); err != nil {
			return err
		}
		m.to = len(w.out)
		sorted = sorted && (len(members) == 0 || members[len(members)-1].name < m.name)
		members = append(members, m)
	}
	w.pos++
	if !sorted {
		slices.SortFunc(members, func(a, b member) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
		written := bytes.Clone(w.out[start:])
		w.out = w.out[:start]
		for i, m := range members {
			if i > 0 && members[i-1].name == m.name {
				return fault.New(fault.Invalid, "member name %.40q occurs twice", m.name)
			}
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.out = append(w.out, written[m.from-start:m.to-start]...)
		}
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *canonicalWriter) number() error {
	start := w.pos
	for w.pos < len(w.src) && bytes.IndexByte([]byte("+-.0123456789Ee"), w.src[w.pos]) >= 0 {
		w.pos++
	}
	n := w.src[start:w.pos]
	if !canonicalNumber(n) {
		return fault.New(fault.Invalid, "number %.40s is not an integer of magnitude up to 2^53-1", n)
	}
	w.out = append(w.out, n...)
	return nil
}

// string returns the decoded string at pos and steps over it. The result is
// valid UTF-8 and may share memory with src.
func (w *canonicalWriter) string() []byte {
	start := w.pos + 1
	end, plain := start, true
	for w.src[end] != '"' {
		if w.src[end] == '\\' {
			plain = false
			end++
		}
		end++
	}
	w.pos = end + 1
	s := w.src[start:end]
	if !plain {
		s = unescape(s)
	}
	if !utf8.Valid(s) {
		// One U+FFFD for each bad byte, as encoding/json does for Go strings.
		s = []byte(string([]rune(string(s))))
	}
	return s
}

// unescape decodes the valid escapes of s. A surrogate without its other half
// becomes U+FFFD.
func unescape(s []byte) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(s[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				r2 := rune(-1)
				if i+6 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
					r2 = hex4(s[i+3:])
				}
				if r = utf16.DecodeRune(r, r2); r != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, s[i])
		}
	}
	return out
}

func hex4(b []byte) rune {
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

const lowerHex = "0123456789abcdef"

// appendString writes s, valid UTF-8, as RFC 8785 does: it escapes only what
// must be escaped.
func appendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	for len(s) > 0 {
		n := plainPrefix(s, false)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			break
		}
		dst = appendEscaped(dst, s[n])
		s = s[n+1:]
	}
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
	}
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// canonicalNumber reports whether b is an integer of magnitude up to MaxInt in
// its shortest form. Minus zero is none: RFC 8785 writes it as 0.
func canonicalNumber(b []byte) bool {
	digits, negative := bytes.CutPrefix(b, []byte("-"))
	n, ok := parseSeq(digits)
	return ok && (n != 0 || !negative)
}

func errDepth() error {
	return fault.New(fault.Invalid, "JSON is nested deeper than %d levels", MaxDepth)
}
