package pack

import (
	"encoding/base64"
	"strconv"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Entry is an entry as a pack shows it, with its body.
type Entry struct {
	Header     ledger.Header
	HeaderLine []byte // the header's bytes
	Body       []byte // canonical

	body   ledger.Value // Body, taken apart
	action []byte       // nil: it has none that is a string

	// Filled in when first asked for.
	header  lazy[ledger.JSON]
	changed lazy[[]change]
}

// lazy is what is made when it is first asked for, in memory that is used again.
type lazy[T any] struct {
	made bool
	of   T
}

// NewEntry makes an Entry from the header's and the body's bytes.
func NewEntry(header, body []byte) (*Entry, error) {
	h, err := ledger.ParseHeader(header)
	if err != nil {
		return nil, err
	}
	var j ledger.JSON
	if err := j.ReadObject(body); err != nil {
		return nil, err
	}
	e := &Entry{Header: h, HeaderLine: header, Body: body}
	e.setBody(j.Value())
	return e, nil
}

// Take makes it the entry of a line that was checked and has a body. It is valid
// as long as the line; its own memory is used again.
func (e *Entry) Take(l *ledger.Line) {
	e.Header, e.HeaderLine, e.Body = l.Parsed, l.Header, l.Body()
	e.setBody(l.JSON.Value())
	e.header.made, e.changed.made = false, false
}

func (e *Entry) setBody(v ledger.Value) {
	e.body = v
	e.action, _ = v.Member("action").Characters()
}

// Content is the body as this version knows it. It shares no memory with the entry.
func (e *Entry) Content() (*ledger.Body, error) { return ledger.BodyOf(e.body) }

// change is a member of a body's changes. It shares memory with the body.
type change struct {
	key docKey
	rev int64
	doc ledger.Value // null if deleted
}

func (c *change) deleted() bool { return c.doc.IsNull() }

// docKey names a document.
type docKey struct{ kind, id string }

// headerValue is the header taken apart.
func (e *Entry) headerValue() (ledger.Value, error) {
	if !e.header.made {
		if err := e.header.of.ReadObject(e.HeaderLine); err != nil {
			return ledger.Value{}, err
		}
		e.header.made = true
	}
	return e.header.of.Value(), nil
}

// changes reads the body's changes.
func (e *Entry) changes() ([]change, error) {
	if e.changed.made {
		return e.changed.of, nil
	}
	e.changed.of = e.changed.of[:0]
	err := eachObject(e.body, "changes", func(v ledger.Value) error {
		c := change{doc: v.Member("doc")}
		var ok1, ok2, ok3 bool
		c.key.kind, ok1 = text(v.Member("kind"))
		c.key.id, ok2 = text(v.Member("id"))
		c.rev, ok3 = v.Member("rev").Int()
		if !ok1 || !ok2 || !ok3 || c.rev < 1 || !c.doc.Exists() {
			return fault.New(fault.Invalid, "a change lacks kind, id, rev or doc")
		}
		e.changed.of = append(e.changed.of, c)
		return nil
	})
	e.changed.made = err == nil
	return e.changed.of, err
}

// changesKind tells whether a document of the kind is among the changes. Most
// entries are about others.
func (e *Entry) changesKind(kind string) bool {
	for c := range e.body.Member("changes").Parts() {
		if s, _ := c.Member("kind").Characters(); string(s) == kind {
			return true
		}
	}
	return false
}

// eachObject calls fn with every object in an array that is a member of the
// body, if the body has it.
func eachObject(body ledger.Value, name string, fn func(ledger.Value) error) error {
	list := body.Member(name)
	if !list.Exists() {
		return nil
	}
	if !list.IsArray() {
		return fault.New(fault.Invalid, "%s is not an array", name)
	}
	for v := range list.Parts() {
		if !v.IsObject() {
			return fault.New(fault.Invalid, "%s holds what is not an object", name)
		}
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}

// text is a string's characters.
func text(v ledger.Value) (string, bool) {
	s, ok := v.Characters()
	return string(s), ok
}

// AppendBodyLine appends a line of ledger/bodies.
func AppendBodyLine(dst []byte, seq int64, salt [ledger.SaltSize]byte, body []byte) []byte {
	dst = strconv.AppendInt(dst, seq, 10)
	dst = append(dst, ' ')
	dst = base64.StdEncoding.AppendEncode(dst, salt[:])
	dst = append(dst, ' ')
	dst = append(dst, body...)
	return append(dst, '\n')
}
