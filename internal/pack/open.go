package pack

import (
	"context"
	"fmt"

	"github.com/strongroom/strongroom/internal/ledger"
)

// Pack is a pack that passed every check, open for reading. Its file must not
// change meanwhile.
type Pack struct {
	v      *verifier
	Result *Result
}

// Open verifies a pack and opens it. A pack that is refused is not opened: the
// error is then a *Refusal, and otherwise one of those of Verify.
func Open(ctx context.Context, source Archive, opts Options) (*Pack, error) {
	v, err := verify(ctx, source, opts)
	if err != nil {
		return nil, err
	}
	return &Pack{v, v.result}, nil
}

// Reports are the definitions of the provable reports.
func (p *Pack) Reports() []Report {
	var out []Report
	for _, check := range p.v.walk.reports.list {
		out = append(out, check.rows.report)
	}
	return out
}

// Holds tells whether the pack holds a blob.
func (p *Pack) Holds(digest string) bool { return p.v.walk.blobs.files[digest] != nil }

// Entries calls take with each entry that has its body, by seq. Neither the
// entry nor what it refers to may be kept.
func (p *Pack) Entries(ctx context.Context, take func(*Entry) error) error {
	var e Entry
	zip := p.v.zip
	src := newSource(p.v.ranges, zip.open(zip.members[headersPath]), zip.open(zip.members[bodiesPath]))
	return ledger.Stream(ctx, src.fill, func(l *ledger.Line) error {
		if l.HeaderErr != nil || l.BodyErr != nil {
			return fmt.Errorf("entry %d is not what it was when it was checked: the pack's file has changed", l.Seq)
		}
		if l.Framed == nil {
			return nil
		}
		e.Take(l)
		return take(&e)
	})
}

// Document is what an entry left of a document. It shares memory with the entry.
type Document struct {
	Kind, ID string
	Rev      int64
	Content  []byte // canonical JSON; nil: deleted
}

// Documents are the documents that the entry changed.
func (e *Entry) Documents() ([]Document, error) {
	changes, err := e.changes()
	if err != nil {
		return nil, err
	}
	out := make([]Document, len(changes))
	for i, c := range changes {
		out[i] = Document{c.key.kind, c.key.id, c.rev, c.doc.Text()}
		if c.deleted() {
			out[i].Content = nil
		}
	}
	return out, nil
}

// Cell is what a report would show of the entry: the value that a JSON pointer
// into header or body leads to.
func (e *Entry) Cell(pointer string) (string, error) {
	tokens, err := parsePointer(pointer)
	if err != nil {
		return "", err
	}
	value, err := valueAt(e, ledger.Value{}, tokens)
	return string(cellText(value)), err
}
