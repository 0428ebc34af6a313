package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/document"
)

// Bounds of what the writer keeps in memory of the committed state.
const (
	maxDocuments = 8_192
	maxFinds     = 8_192
)

type docKey struct{ kind, id string }

type findKey struct{ kind, key, value string }

// current is what the writer remembers of the committed state: documents, and
// which ids a secondary key leads to. It is the only one to change them, so
// what it remembers is so. Reading and decoding them for each change costs an
// append 40 % more. Used under writeMu; forgotten when a batch fails.
type current struct {
	docs  *generations[docKey, *version]
	finds *generations[findKey, []string]
}

func newCurrent() *current {
	return &current{
		docs:  newGenerations[docKey, *version](maxDocuments),
		finds: newGenerations[findKey, []string](maxFinds),
	}
}

// version is a document as it is since the entry seq. It is not changed once it
// is made, but for what is worked out of it.
type version struct {
	rev, seq int64 // 0, 0: there never was one
	born     int64 // see birth
	ladder   ladder
	raw      []byte       // nil: deleted
	doc      document.Doc // raw decoded; never handed out, only copies
	keys     []document.Key
	keyed    bool // keys are known
	stored   bool // the row exists

	entry *entry // whose change it is, until its row is written
	place int    // of the change in the entry
}

// decoded gives the document that is not to be handed out.
func (v *version) decoded(kind document.Kind) (document.Doc, error) {
	if v.doc != nil || v.raw == nil {
		return v.doc, nil
	}
	doc, err := document.Decode(kind, v.raw)
	if err != nil {
		return nil, err
	}
	v.doc = doc
	return doc, nil
}

// keysOf gives the keys that the document is found by.
func (v *version) keysOf(kind document.Kind) ([]document.Key, error) {
	if v.keyed {
		return v.keys, nil
	}
	doc, err := v.decoded(kind)
	if err != nil {
		return nil, err
	}
	if doc != nil {
		v.keys = doc.Keys()
	}
	v.keyed = true
	return v.keys, nil
}

// version finds the newest version: the batch's own, a remembered one, or the
// stored one.
func (b *batch) version(k docKey) (*version, error) {
	if v, ok := b.changed[k]; ok {
		return v, nil
	}
	if v, ok := b.s.current.docs.get(k); ok {
		return v, nil
	}
	v := &version{stored: true}
	var rungs []byte
	err := b.tx.one(`SELECT d.rev, d.seq, d.born, d.ladder, `+selectDocument+` FROM documents d WHERE d.kind = ? AND d.id = ?`,
		[]any{k.kind, k.id}, &v.rev, &v.seq, &v.born, &rungs, &v.raw)
	if err == nil {
		v.ladder, err = readLadder(rungs, v.seq)
	}
	if errors.Is(err, sql.ErrNoRows) {
		v, err = &version{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", k.kind, err)
	}
	b.s.current.docs.put(k, v)
	return v, nil
}

// Get implements store.View. What it gives is the caller's to change.
func (b *batch) Get(kind document.Kind, id string) (document.Doc, error) {
	v, err := b.version(docKey{string(kind), id})
	if err != nil {
		return nil, err
	}
	doc, err := v.decoded(kind)
	if doc == nil || err != nil {
		return nil, err
	}
	return document.Clone(doc), nil
}

// Rev implements store.View.
func (b *batch) Rev(kind document.Kind, id string) (rev, seq int64, err error) {
	v, err := b.version(docKey{string(kind), id})
	if err != nil {
		return 0, 0, err
	}
	return v.rev, v.seq, nil
}

// Find implements store.View.
func (b *batch) Find(kind document.Kind, key, value string) ([]document.Doc, error) {
	ids, err := b.find(findKey{string(kind), key, value})
	if err != nil {
		return nil, err
	}
	out := make([]document.Doc, 0, len(ids))
	for _, id := range ids {
		d, err := b.Get(kind, id)
		if err != nil {
			return nil, err
		}
		if d != nil {
			out = append(out, d)
		}
	}
	return out, nil
}

func (b *batch) find(k findKey) ([]string, error) {
	if ids, ok := b.s.current.finds.get(k); ok {
		return ids, nil
	}
	ids := []string{}
	err := b.tx.each(`SELECT id FROM keys WHERE kind = ? AND name = ? AND value = ?`, []any{k.kind, k.key, k.value},
		func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", k.kind, err)
	}
	slices.Sort(ids) // here, and not in the query: see view.Find
	b.s.current.finds.put(k, ids)
	return ids, nil
}

// applyChange makes a change the newest version. Its row is written when the
// batch ends, once, however often the document changes; its keys are moved at
// once, so that Find is right within the batch.
func (b *batch) applyChange(e *entry, place int, doc document.Doc) error {
	c := e.body.Changes[place]
	k := docKey{c.Kind, c.ID}
	old, err := b.version(k)
	if err != nil {
		return err
	}
	if c.Rev != old.rev+1 && old.rev != 0 || old.rev == 0 && c.Rev < 1 {
		return fmt.Errorf("%s %s: revision %d does not follow %d", c.Kind, c.ID, c.Rev, old.rev)
	}
	if old.rev != 0 && old.seq == e.Seq {
		return fmt.Errorf("%s %s: an entry changes it twice", c.Kind, c.ID)
	}
	v := &version{
		rev: c.Rev, seq: e.Seq, born: old.born, ladder: slices.Clone(old.ladder).climb(c.Rev, e.Seq),
		keyed: true, stored: old.stored, entry: e, place: place,
	}
	if old.rev == 0 {
		v.born = birth(e.Seq, place)
	}
	e.docs = appendRevision(e.docs, e.Seq, revision{v.born, v.rev, old.ladder.below(v.rev)})
	if doc != nil {
		v.raw, v.keys = c.Doc, doc.Keys()
	}
	was, err := old.keysOf(document.Kind(c.Kind))
	if err != nil {
		return err
	}
	if err := b.moveKeys(k, was, v.keys); err != nil {
		return err
	}
	if _, ok := b.changed[k]; !ok {
		b.order = append(b.order, k)
	}
	b.changed[k] = v
	return nil
}

// moveKeys makes a document found by other keys than before.
func (b *batch) moveKeys(k docKey, was, are []document.Key) error {
	for _, key := range was {
		if slices.Contains(are, key) {
			continue
		}
		b.s.current.finds.drop(findKey{k.kind, key.Name, key.Value})
		if err := b.exec("drop key", `DELETE FROM keys WHERE kind = ? AND name = ? AND value = ? AND id = ?`,
			k.kind, key.Name, key.Value, k.id); err != nil {
			return err
		}
	}
	for _, key := range are {
		if slices.Contains(was, key) {
			continue
		}
		b.s.current.finds.drop(findKey{k.kind, key.Name, key.Value})
		if err := b.exec("put key", `INSERT INTO keys (kind, name, value, id) VALUES (?,?,?,?)`,
			k.kind, key.Name, key.Value, k.id); err != nil {
			return err
		}
	}
	return nil
}

// putDocuments writes the rows of what changed.
func (b *batch) putDocuments() error {
	for _, k := range b.order {
		v := b.changed[k]
		doc := v.entry.changes[v.place]
		query := `INSERT INTO documents (rev, seq, at, size, born, ladder, kind, id) VALUES (?,?,?,?,?,?,?,?)`
		if v.stored {
			query = `UPDATE documents SET rev = ?, seq = ?, at = ?, size = ?, born = ?, ladder = ? WHERE kind = ? AND id = ?`
		}
		if err := b.exec("put document", query, v.rev, v.seq, doc.at, doc.size, v.born, appendLadder(nil, v.seq, v.ladder), k.kind, k.id); err != nil {
			return err
		}
		v.stored, v.entry = true, nil
	}
	return nil
}
