package sqlite

import (
	"bytes"
	"errors"

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
	var j ledger.JSON
	if err := j.ReadObject(body); err != nil {
		return nil, err
	}
	return changesOf(j.Value())
}

// changesOf reads the changes of a body that was taken apart.
func changesOf(body ledger.Value) ([]bodyChange, error) {
	list := body.Member("changes")
	if !list.Exists() {
		return nil, nil
	}
	if !list.IsArray() {
		return nil, errBody
	}
	var out []bodyChange
	for v := range list.Parts() {
		c, err := changeOf(v)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func changeOf(v ledger.Value) (c bodyChange, err error) {
	var ok1, ok2, ok3 bool
	c.kind, ok1 = v.Member("kind").Characters()
	c.id, ok2 = v.Member("id").Characters()
	c.rev, ok3 = v.Member("rev").Int()
	if !ok1 || !ok2 || !ok3 {
		return c, errBody
	}
	if doc := v.Member("doc"); doc.Exists() && !doc.IsNull() {
		c.doc, c.at = doc.Text(), doc.At()
		c.size = len(c.doc)
	}
	return c, nil
}
