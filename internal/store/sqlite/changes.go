package sqlite

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/strongroom/strongroom/internal/ledger"
)

// bodyChange is one document's change as a body holds it. Its bytes are the body's.
type bodyChange struct {
	kind, id []byte
	rev      int64
	doc      []byte // nil: deleted
	at, size int    // where doc lies in the body; 0, 0: deleted
}

var errBody = errors.New("not a body")

// changesIn reads the changes of a canonical body without decoding the rest.
func changesIn(body []byte) ([]bodyChange, error) {
	if !bytes.Contains(body, []byte(`"changes":`)) {
		return nil, nil
	}
	members, err := ledger.CanonicalMembers(nil, body)
	if err != nil {
		return nil, err
	}
	return changesOf(body, members)
}

func changesOf(body []byte, members []ledger.Member) ([]bodyChange, error) {
	list := member(members, "changes")
	if list == nil {
		return nil, nil
	}
	elements, err := ledger.CanonicalElements(nil, list)
	if err != nil {
		return nil, err
	}
	out := make([]bodyChange, len(elements))
	var parts []ledger.Member
	for i, e := range elements {
		if parts, err = ledger.CanonicalMembers(parts[:0], e); err != nil {
			return nil, err
		}
		if err := out[i].read(parts); err != nil {
			return nil, err
		}
		if doc := out[i].doc; doc != nil {
			// Both slices reach to the end of the same memory.
			out[i].at, out[i].size = cap(body)-cap(doc), len(doc)
		}
	}
	return out, nil
}

func (c *bodyChange) read(parts []ledger.Member) error {
	var err error
	if c.kind, err = text(member(parts, "kind")); err != nil {
		return err
	}
	if c.id, err = text(member(parts, "id")); err != nil {
		return err
	}
	if c.rev, err = strconv.ParseInt(string(member(parts, "rev")), 10, 64); err != nil {
		return errBody
	}
	if c.doc = member(parts, "doc"); string(c.doc) == "null" {
		c.doc = nil
	}
	return nil
}

// member gives the value of a name, nil if there is none.
func member(members []ledger.Member, name string) []byte {
	for _, m := range members {
		if string(m.Name) == name {
			return m.Value
		}
	}
	return nil
}

// text gives the characters of a JSON string.
func text(value []byte) ([]byte, error) {
	if len(value) >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, errBody
	}
	return []byte(s), nil
}
