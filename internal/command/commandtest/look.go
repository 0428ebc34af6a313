package commandtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Line is an entry as tests look at it.
type Line struct {
	Seq   int64
	Scope string // "" = the installation
	*ledger.Body
}

func (l Line) String() string {
	return fmt.Sprintf("%s %s by %q in %q", l.Action, l.Outcome, l.Actor.Email, l.Scope)
}

// Detail is a fact of the entry, "" if it has none of that name.
func (l Line) Detail(name string) string {
	for _, d := range l.Details {
		if d.Name == name {
			return d.Value
		}
	}
	return ""
}

// Size is the number of entries.
func (w *World) Size() int64 {
	w.T.Helper()
	h, err := w.Store.Head(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return h.Size
}

// Since lists the entries from a seq on.
func (w *World) Since(seq int64) (out []Line) {
	w.T.Helper()
	for {
		list, err := w.Store.Entries(w.T.Context(), store.Query{FromSeq: seq, Limit: 1000})
		if err != nil {
			w.T.Fatal(err)
		}
		for _, r := range list {
			body, err := ledger.ParseBody(r.Body)
			if err != nil {
				w.T.Fatalf("entry %d: %v", r.Header.Seq, err)
			}
			l := Line{Seq: r.Header.Seq, Body: body}
			if r.Header.Scope != nil {
				l.Scope = *r.Header.Scope
			}
			out = append(out, l)
		}
		if len(list) < 1000 {
			return out
		}
		seq = list[len(list)-1].Header.Seq + 1
	}
}

// Actions are the entries' actions, in order; an outcome that is not ok is said.
func Actions(lines []Line) (out []string) {
	for _, l := range lines {
		if l.Outcome == ledger.OK {
			out = append(out, l.Action)
			continue
		}
		out = append(out, l.Action+" "+string(l.Outcome))
	}
	return out
}

// Record executes a command and gives the entries it appended.
func (w *World) Record(cmd control.Command, by control.By) []Line {
	w.T.Helper()
	before := w.Size()
	w.Do(cmd, by)
	return w.Since(before)
}

// Refused executes a command that has to be refused with that kind. Where that
// is a denial, its entry has to lie in the scope; other refusals leave none.
func (w *World) Refused(kind fault.Kind, scope string, cmd control.Command, by control.By) error {
	w.T.Helper()
	w.Pass(2 * time.Minute) // the same denial within a minute is only counted
	before := w.Size()
	_, err := w.Kernel.Execute(w.T.Context(), cmd, by)
	if fault.Of(err) != kind {
		w.T.Fatalf("%s: %v, want %s", cmd.Action(), err, kind)
	}
	lines := w.Since(before)
	if scope == None {
		if len(lines) != 0 {
			w.T.Errorf("%s: recorded as %v", cmd.Action(), lines)
		}
		return err
	}
	if len(lines) != 1 || lines[0].Outcome != ledger.Denied || lines[0].Scope != scope || lines[0].Action != cmd.Action() ||
		lines[0].Error != fault.Message(err) || len(lines[0].Changes) != 0 || lines[0].Actor.ID != by.Actor.ID {
		w.T.Errorf("%s: recorded as %v, want one denial in %q", cmd.Action(), lines, scope)
	}
	return err
}

// Pass lets time go by on a fixed clock.
func (w *World) Pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.now.IsZero() {
		w.now = w.now.Add(d)
	}
}

// Tells names the entries and the files that hold a text, which may be a secret.
func (w *World) Tells(text string) (where []string) {
	w.T.Helper()
	for _, l := range w.Since(0) {
		raw, err := l.Canonical()
		if err != nil {
			w.T.Fatal(err)
		}
		if bytes.Contains(raw, []byte(text)) {
			where = append(where, fmt.Sprintf("entry %d, %s", l.Seq, l.Action))
		}
	}
	if err := filepath.WalkDir(w.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			where = append(where, filepath.Base(path))
		}
		return err
	}); err != nil {
		w.T.Fatal(err)
	}
	return where
}

// None is for refusals that leave no entry.
const None = "none"

// Get gives a document, and ends the test if there is none.
func Get[T document.Doc](w *World, id string) (d T) {
	w.T.Helper()
	if err := w.Store.Read(w.T.Context(), func(v store.View) (err error) {
		d, err = store.Get[T](v, id)
		return err
	}); err != nil {
		w.T.Fatalf("%s %s: %v", d.Kind(), id, err)
	}
	return d
}

// Find lists documents by a key.
func Find[T document.Doc](w *World, key, value string) (list []T) {
	w.T.Helper()
	if err := w.Store.Read(w.T.Context(), func(v store.View) (err error) {
		list, err = store.Find[T](v, key, value)
		return err
	}); err != nil {
		w.T.Fatal(err)
	}
	return list
}

// Gone tells whether there is no such document now.
func (w *World) Gone(kind document.Kind, id string) bool {
	w.T.Helper()
	var d document.Doc
	if err := w.Store.Read(w.T.Context(), func(v store.View) (err error) {
		d, err = v.Get(kind, id)
		return err
	}); err != nil {
		w.T.Fatal(err)
	}
	return d == nil
}

// Reason gives an actor another reason than commandtest's own, or none.
func Reason(by control.By, reason string) control.By {
	by.Reason = reason
	return by
}

// Value is a secret.
func Value(s string) *secret.Value {
	v := secret.NewValue([]byte(s))
	return &v
}

// View is the state as commands see it.
type View = store.View

// Read looks at the state.
func Read(w *World, fn func(View) error) {
	w.T.Helper()
	if err := w.Store.Read(w.T.Context(), fn); err != nil {
		w.T.Fatal(err)
	}
}

// First is the seq of the first entry that a query finds.
func (w *World) First(q store.Query) int64 {
	w.T.Helper()
	q.Limit = 1
	list, err := w.Store.Entries(w.T.Context(), q)
	if err != nil || len(list) == 0 {
		w.T.Fatalf("%+v: %v", q, err)
	}
	return list[0].Header.Seq
}
