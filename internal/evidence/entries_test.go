package evidence_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/evidence"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// altered is a store in which somebody changed an entry behind the platform's back.
type altered struct {
	store.Store
	change func(*store.Record)
}

func (s altered) Entries(ctx context.Context, q store.Query) ([]store.Record, error) {
	list, err := s.Store.Entries(ctx, q)
	for i := range list {
		if strings.Contains(string(list[i].Body), `"kind":"space"`) {
			s.change(&list[i])
		}
	}
	return list, err
}

// TestDamage: what is not as it was written does not get into a pack.
func TestDamage(t *testing.T) {
	l := newLab(t)
	l.Set(at(2 * time.Hour))
	body := func(from, to string, hashed bool) func(*store.Record) {
		return func(r *store.Record) {
			r.Body = []byte(strings.Replace(string(r.Body), from, to, 1))
			if hashed {
				r.Header.Body = ledger.BodyHash(r.Salt, r.Body)
			}
		}
	}
	for name, tt := range map[string]struct {
		change func(*store.Record)
		what   string
	}{
		"body":           {body(`"outcome":"ok"`, `"outcome":"no"`, false), "its body or salt was altered"},
		"salt":           {func(r *store.Record) { r.Salt[0] ^= 1 }, "its body or salt was altered"},
		"not canonical":  {body(`"outcome":`, `"outcome": `, true), "its body cannot be read"},
		"unknown member": {body(`"outcome":`, `"other":1,"outcome":`, true), "its body cannot be read"},
		"no actor":       {body(`"actor":`, `"actor2":`, true), "its body cannot be read"},
	} {
		x := l.exporterOf(altered{l.Store, tt.change})
		q := evidence.Request{Space: "ward", From: at(-time.Hour), To: at(time.Hour)}
		err := x.Export(t.Context(), l.As("auditor"), q, func(string) io.Writer { return io.Discard })
		var damage *store.Damage
		if !errors.As(err, &damage) || damage.What != tt.what {
			t.Errorf("%s: %v", name, err)
		}
	}
}
