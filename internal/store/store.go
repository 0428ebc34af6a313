// Package store keeps the ledger, the current documents folded from it, sealed
// values, wrapped keys and jobs, all in one transaction of one database.
//
// Invariants: entries are only appended; a document is the newest change of its
// (kind, id) and nothing else; what is visible outside a batch is durable.
// internal/control is the only caller of Write. Reading is open to query,
// evidence and the verifier of `strongroom ledger:verify`.
package store

import (
	"context"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
)

// View is the state at one moment. A batch's view sees what the batch appended.
type View interface {
	// Get gives the document, or nil if there is none now.
	Get(kind document.Kind, id string) (document.Doc, error)
	// Find lists the documents that carry the key, by id.
	Find(kind document.Kind, key, value string) ([]document.Doc, error)
	// Rev gives the revision of the newest change of (kind, id), 0 if there
	// never was one, and the seq of its entry. It counts deletions too.
	Rev(kind document.Kind, id string) (rev, seq int64, err error)
	// Size is the number of entries that the view has seen.
	Size() int64
}

// Draft is an entry to be appended, with what lies beside it.
type Draft struct {
	Scope  string // space or team id; "" = the installation
	Body   ledger.Body
	Docs   []document.Doc // the typed values of Body.Changes, in order; nil = deleted
	Sealed []secret.Sealed
	Keys   []secret.WrappedKey
	// DestroyKeys are scopes whose data key is overwritten in this transaction.
	DestroyKeys []string
	Jobs        []Job
}

// Job is an effect that must happen at least once after its entry is durable.
type Job struct {
	ID   int64
	Seq  int64 // of the entry that asked for it
	Kind string
	Ref  string // what it is about; never a secret
}

// Batch is the writer's transaction.
type Batch interface {
	View
	// Append adds an entry with the given time and returns its seq. Any error
	// dooms the batch. What the draft refers to must not be changed before Write
	// has returned.
	Append(now time.Time, d Draft) (seq int64, err error)
	// LastTime is the time of the newest entry, zero if there is none.
	LastTime() time.Time
}

// Query selects entries. Zero fields do not restrict.
type Query struct {
	Scopes   []string // "" among them = the installation's own
	App      string
	Actor    string // account id
	Actions  []string
	Target   string // id
	Outcome  ledger.Outcome
	From, To time.Time // From ≤ time < To
	FromSeq  int64     // first seq
	ToSeq    int64     // one past the last seq; 0 = the end
	Limit    int
	Bytes    int  // Entries: no more once that much of bodies is read; 0 = all of them
	Newest   bool // newest first
}

// Head is the state of the log.
type Head struct {
	Size int64
	Time time.Time // of the newest entry
}

// Store is a database. Safe for concurrent use; one writer at a time.
type Store interface {
	secret.Shelf

	// Write runs fn in the writer's transaction and returns once it is durable.
	// On any error nothing of the batch remains. No caller's context reaches
	// the database: a cancelled one would roll back other callers' entries.
	Write(fn func(Batch) error) error

	// Read runs fn on a consistent view of now.
	Read(ctx context.Context, fn func(View) error) error
	// At runs fn on the state after the first size entries. Find is slow there.
	// What was erased of it is an *Erased; Find gives the rest along with it.
	At(ctx context.Context, size int64, fn func(View) error) error
	// SizeAt is the number of entries with a time before t.
	SizeAt(ctx context.Context, t time.Time) (int64, error)

	// Head gives size and time of the log.
	Head(ctx context.Context) (Head, error)
	// Entry gives one entry.
	Entry(ctx context.Context, seq int64) (Record, error)
	// Entries gives a page of entries, by seq. Long reads go in pages: none
	// holds a transaction between two calls.
	Entries(ctx context.Context, q Query) ([]Record, error)
	// List gives what a listing shows of the same entries, without reading their
	// bodies.
	List(ctx context.Context, q Query) ([]Line, error)
	// History lists the seqs of all changes of (kind, id), oldest first.
	History(ctx context.Context, kind document.Kind, id string) ([]int64, error)
	// Changed lists, for a kind, each id's newest change among the first size
	// entries, by id: the state's skeleton for reports.
	Changed(ctx context.Context, kind document.Kind, size int64) ([]Change, error)
	// Hashes reads stored tree hashes.
	Hashes(ctx context.Context) tlog.HashReader

	// Jobs lists the jobs that are not done, oldest first, but those of kinds that
	// others do.
	Jobs(ctx context.Context, limit int, but ...string) ([]Job, error)
	// JobsOf lists those of a kind, oldest first; about one thing, if ref is given.
	JobsOf(ctx context.Context, kind, ref string, limit int) ([]Job, error)
	// JobDone forgets jobs. They are not state: a job done twice is harmless.
	JobDone(ids ...int64) error

	// Verify recomputes everything from the entries and compares. The error is
	// a *Damage where the data is at fault.
	Verify(ctx context.Context, progress func(done, total int64)) error

	Close() error
}

// Record is an entry as it is stored. Header.Body stays when the body is erased.
type Record struct {
	Header ledger.Header
	Salt   [ledger.SaltSize]byte
	Body   []byte // nil if it was erased when its retention ended
}

// Line is what a listing shows of an entry.
type Line struct {
	Seq     int64
	Time    time.Time
	Scope   string // "" = the installation
	Action  string
	Outcome ledger.Outcome
	Actor   string // account id
	App     string
	Target  string // id
}

// Change is the newest change of one document.
type Change struct {
	ID  string
	Rev int64
	Seq int64
}

// Damage says what in the stored data is not what it must be.
type Damage struct {
	Seq  int64 // the entry at fault, -1 if none can be named
	What string
}

func (d *Damage) Error() string {
	if d.Seq < 0 {
		return "the ledger is damaged: " + d.What
	}
	return "the ledger is damaged at entry " + itoa(d.Seq) + ": " + d.What
}

// Get gives a typed document, or fault.NotFound.
func Get[T document.Doc](v View, id string) (T, error) {
	var zero T
	d, err := v.Get(zero.Kind(), id)
	if err != nil {
		return zero, err
	}
	t, ok := d.(T)
	if !ok {
		return zero, fault.New(fault.NotFound, "Couldn't find that %s.", zero.Kind())
	}
	return t, nil
}

// Find lists typed documents by a key.
func Find[T document.Doc](v View, key, value string) ([]T, error) {
	var zero T
	docs, err := v.Find(zero.Kind(), key, value)
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(docs))
	for _, d := range docs {
		out = append(out, d.(T))
	}
	return out, nil
}

// One gives the one document with the key, or fault.NotFound.
func One[T document.Doc](v View, key, value string) (T, error) {
	docs, err := Find[T](v, key, value)
	var zero T
	if err != nil {
		return zero, err
	}
	if len(docs) == 0 {
		return zero, fault.New(fault.NotFound, "Couldn't find that %s.", zero.Kind())
	}
	return docs[0], nil
}
