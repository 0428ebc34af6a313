package pack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// Entry is an entry as a pack shows it, with its body.
type Entry struct {
	Header     ledger.Header
	HeaderLine []byte // the header's bytes
	Body       []byte // canonical

	members []ledger.Member // of Body

	// Filled in when first asked for.
	headerMembers []ledger.Member
	changeList    []change
}

// NewEntry makes an Entry from the header's and the body's bytes.
func NewEntry(header, body []byte) (*Entry, error) {
	h, err := ledger.ParseHeader(header)
	if err != nil {
		return nil, err
	}
	members, err := ledger.CanonicalMembers(nil, body)
	if err != nil {
		return nil, err
	}
	return &Entry{Header: h, HeaderLine: header, Body: body, members: members}, nil
}

// member returns the value of a member of the body, nil if it has none such.
func (e *Entry) member(name string) []byte { return memberOf(e.members, name) }

func memberOf(members []ledger.Member, name string) []byte {
	for _, m := range members {
		if string(m.Name) == name {
			return m.Value
		}
	}
	return nil
}

// change is a member of a body's changes. It shares memory with the body.
type change struct {
	key docKey
	rev int64
	doc []byte // canonical JSON; "null" if deleted
}

func (c *change) deleted() bool { return string(c.doc) == "null" }

// docKey names a document.
type docKey struct{ kind, id string }

// headerMember returns the value of a member of the header.
func (e *Entry) headerMember(name string) ([]byte, error) {
	if e.headerMembers == nil {
		var err error
		if e.headerMembers, err = ledger.CanonicalMembers(make([]ledger.Member, 0, 5), e.HeaderLine); err != nil {
			return nil, err
		}
	}
	return memberOf(e.headerMembers, name), nil
}

// changes reads the body's changes.
func (e *Entry) changes() ([]change, error) {
	if e.changeList != nil {
		return e.changeList, nil
	}
	var out []change
	err := eachObject(e.member("changes"), "changes", func(m []ledger.Member) error {
		c := change{doc: memberOf(m, "doc")}
		var ok1, ok2, ok3 bool
		c.key.kind, ok1 = textOf(memberOf(m, "kind"))
		c.key.id, ok2 = textOf(memberOf(m, "id"))
		c.rev, ok3 = intOf(memberOf(m, "rev"))
		if !ok1 || !ok2 || !ok3 || c.rev < 1 || c.doc == nil {
			return fault.New(fault.Invalid, "a change lacks kind, id, rev or doc")
		}
		out = append(out, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	e.changeList = out
	return out, nil
}

// eachObject calls fn with the members of every object in the array value,
// which may be nil: the body has no such member.
func eachObject(value []byte, name string, fn func([]ledger.Member) error) error {
	if value == nil {
		return nil
	}
	elements, err := ledger.CanonicalElements(make([][]byte, 0, 4), value)
	if err != nil {
		return fault.New(fault.Invalid, "%s is not an array", name)
	}
	members := make([]ledger.Member, 0, 8)
	for _, element := range elements {
		if members, err = ledger.CanonicalMembers(members[:0], element); err != nil {
			return fault.New(fault.Invalid, "%s holds what is not an object", name)
		}
		if err := fn(members); err != nil {
			return err
		}
	}
	return nil
}

// textOf decodes a canonical JSON string.
func textOf(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}

// intOf decodes a canonical JSON integer.
func intOf(value []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	return n, err == nil
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
