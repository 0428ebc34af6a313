package attempt

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/store"
)

// tamperedLedger: a copy of the ledger in which anything was altered does not
// pass the verification that auditors use, even if it was signed anew with the
// log's own key. The checkpoint is the one that was there before.
func tamperedLedger(c Config) *compliance.Check {
	return &compliance.Check{
		ID: "attempt.tampered-ledger", Title: "An altered copy of the ledger is refused", Version: 1, Every: daily,
		Try: func(ctx context.Context) ([]compliance.Result, error) {
			l, err := c.copyNewest(ctx)
			if err != nil {
				return nil, err
			}
			if l == nil {
				return nil, provesNothing("the ledger has too few entries.")
			}
			t := &trial{}
			return t.one(c.tamper(ctx, l, t))
		},
	}
}

// tamper verifies the copy as it is, and then with each alteration.
func (c Config) tamper(ctx context.Context, l *ledgerCopy, t *trial) error {
	first, last := l.rows[l.first].Header.Seq, l.rows[len(l.rows)-2].Header.Seq
	refusal, err := c.verify(ctx, l, l.rows)
	if err != nil {
		return err
	}
	if refusal != nil {
		t.got = append(t.got, "The ledger itself does not verify, entries "+span(first, last)+": "+refusal.Error()+".")
		return nil
	}
	t.note("A copy of entries %s passes the verification that auditors use.", span(first, last))
	victim := l.first + (len(l.rows)-1-l.first)/2
	seq := l.rows[victim].Header.Seq
	for _, a := range []struct {
		name  string
		alter func([]store.Record) []store.Record
	}{
		{"one byte of entry %d was changed", func(rows []store.Record) []store.Record {
			rows[victim].Body = changed(rows[victim].Body)
			return rows
		}},
		{"one byte of entry %d was changed and its header made to match", func(rows []store.Record) []store.Record {
			r := &rows[victim]
			r.Body = changed(r.Body)
			r.Header.Body = ledger.BodyHash(r.Salt, r.Body)
			return rows
		}},
		{"entry %d was left out", func(rows []store.Record) []store.Record { return slices.Delete(rows, victim, victim+1) }},
		{"entry %d was exchanged with the one before it", func(rows []store.Record) []store.Record {
			rows[victim-1], rows[victim] = rows[victim], rows[victim-1]
			return rows
		}},
	} {
		refusal, err := c.verify(ctx, l, a.alter(slices.Clone(l.rows)))
		if err != nil {
			return err
		}
		said := "verified"
		if refusal != nil {
			said = refusal.Error()
		}
		t.tried(refusal != nil, "A copy in which "+a.name+", signed anew with the log's key: %s.", seq, said)
	}
	return nil
}

// verify gives the verifier's refusal, nil if it verifies.
func (c Config) verify(ctx context.Context, l *ledgerCopy, rows []store.Record) (*pack.Refusal, error) {
	content, err := l.write(rows, c.Ledger.Signer)
	if err != nil {
		return nil, err
	}
	_, err = c.Ledger.Verify(ctx, bytes.NewReader(content), int64(len(content)), pack.Options{Key: l.key})
	var refusal *pack.Refusal
	if errors.As(err, &refusal) {
		return refusal, nil
	}
	return nil, err
}

// changed is a body with another letter in its action: JSON as before.
func changed(body []byte) []byte {
	out := bytes.Clone(body)
	name := []byte(`"action":"`)
	if i := bytes.Index(out, name); i >= 0 && out[i+len(name)] != 'x' {
		out[i+len(name)] = 'x'
	} else if i >= 0 {
		out[i+len(name)] = 'y'
	}
	return out
}
