package api

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/strongroom/strongroom/internal/command/bodies"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/query"
	"github.com/strongroom/strongroom/internal/store"
	"github.com/strongroom/strongroom/internal/view"
)

// getCheckpoint gives the signed checkpoint over everything that is durable
// now. It says nothing but a size and a hash, so everybody who is logged in may
// have it: the more people keep one, the better.
func getCheckpoint(c *call) (Answer, error) {
	if c.cfg.Checkpoints == nil {
		return Answer{}, missing("The checkpoint")
	}
	_, signed, err := c.cfg.Checkpoints.Sign(c.ctx)
	return Answer{Stream: io.NopCloser(bytes.NewReader(signed)), ContentType: plainText}, err
}

// confirmClock lets the ledger go on with a clock that it did not believe. The
// confirmation is the first entry then, in the operator's name.
func confirmClock(c *call) (Answer, error) {
	if err := c.read(func(q *query.Reader) error {
		return q.Operator(control.Aim{Target: ledger.Target{Kind: "installation", Name: "the ledger's clock"}})
	}); err != nil {
		return Answer{}, err
	}
	c.cfg.Kernel.ConfirmClock(c.by)
	return nothing(http.StatusAccepted), nil
}

// listEntries pages through the entries of one scope by seq; the Range header
// has the property seq. Filters are query parameters.
func listEntries(c *call) (Answer, error) {
	w, err := parseWindow(c.r.Header.Get("Range"))
	if err != nil {
		return Answer{}, err
	}
	if w.property != "" && w.property != "seq" {
		return Answer{}, unsatisfiable("This list can be cut by: seq.")
	}
	w.property = "seq"
	q, err := entryQuery(c.r.URL.Query(), w)
	if err != nil {
		return Answer{}, err
	}
	scope, err := show(c, func(r *query.Reader) (string, error) { return r.Scope(c.r.URL.Query().Get("scope")) })
	if err != nil {
		return Answer{}, err
	}
	q.Scopes = []string{scope}
	list, err := c.cfg.Store.Entries(c.ctx, q)
	if err != nil {
		return Answer{}, err
	}
	return entryPage(list, w), nil
}

func entryPage(list []store.Record, w window) Answer {
	more := len(list) > w.max
	out := []view.Entry{}
	for _, e := range list[:min(len(list), w.max)] {
		out = append(out, view.OfEntry(e.Header, e.Body))
	}
	a := Answer{Body: out, Header: http.Header{"Accept-Ranges": {"seq"}}}
	if more {
		a.Status = http.StatusPartialContent
		a.Header.Set("Next-Range", w.next(strconv.FormatInt(out[len(out)-1].Seq, 10)))
	}
	return a
}

// entryQuery turns filters and window into a query for one entry more than the
// page holds, to know whether there are more.
func entryQuery(values url.Values, w window) (store.Query, error) {
	q := store.Query{
		App: values.Get("app"), Actor: values.Get("actor"), Target: values.Get("target"),
		Outcome: ledger.Outcome(values.Get("outcome")), Limit: w.max + 1, Newest: w.desc,
	}
	if s := values.Get("action"); s != "" {
		q.Actions = strings.Split(s, ",")
	}
	var err error
	if q.From, err = moment(values.Get("from")); err != nil {
		return q, err
	}
	if q.To, err = moment(values.Get("to")); err != nil {
		return q, err
	}
	first, last, err := w.seqs()
	if err != nil {
		return q, err
	}
	q.FromSeq, q.ToSeq = first, last
	return q, nil
}

// seqs turns the window's bounds, which follow its order, into first seq and
// one past the last, 0 = the end.
func (w *window) seqs() (first, past int64, err error) {
	from, err := w.seq(w.from)
	if err != nil {
		return 0, 0, err
	}
	to, err := w.seq(w.to)
	if err != nil {
		return 0, 0, err
	}
	step := int64(0)
	if w.exclusive {
		step = 1
	}
	if !w.desc {
		if from >= 0 {
			first = from + step
		}
		if to >= 0 {
			past = to + 1
		}
		return first, past, nil
	}
	if from >= 0 {
		// Entry 0 excluded in descending order leaves nothing; a bound of 1
		// past with a first of 1 selects nothing, where 0 would mean the end.
		if past = from + 1 - step; past == 0 {
			return 1, 1, nil
		}
	}
	return max(to, 0), past, nil
}

// seq reads a bound, -1 if it is open.
func (w *window) seq(s string) (int64, error) {
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, unsatisfiable("seq is a number.")
	}
	return n, nil
}

func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fault.New(fault.Invalid, "from and to are times such as 2026-01-31T00:00:00Z.")
	}
	return t, nil
}

// entry is the path's, if the caller may read its scope.
func (c *call) entry() (store.Record, error) {
	seq, err := strconv.ParseInt(c.path("seq"), 10, 64)
	if err != nil || seq < 0 {
		return store.Record{}, fault.New(fault.NotFound, "Couldn't find that entry.")
	}
	e, err := c.cfg.Store.Entry(c.ctx, seq)
	if fault.Of(err) == fault.NotFound {
		return e, fault.New(fault.NotFound, "Couldn't find that entry.")
	}
	if err != nil {
		return e, err
	}
	return e, c.read(func(q *query.Reader) error {
		scope := ""
		if e.Header.Scope != nil {
			scope = *e.Header.Scope
		}
		_, err := q.Scope(scope)
		return err
	})
}

func getEntry(c *call) (Answer, error) {
	e, err := c.entry()
	if err != nil {
		return Answer{}, err
	}
	return ok(view.OfEntry(e.Header, e.Body), nil)
}

// eraseBodies deletes bodies whose retention has ended, and answers with the entry
// that says so.
func eraseBodies(c *call) (Answer, error) {
	var in struct {
		Seqs    []int64 `json:"seqs"`
		Confirm string  `json:"confirm"`
	}
	if err := c.body(&in); err != nil {
		return Answer{}, err
	}
	cmd := &bodies.Erase{Seqs: in.Seqs, Confirm: in.Confirm}
	seq, err := c.cfg.Kernel.Execute(c.ctx, cmd, c.by)
	if err != nil {
		return Answer{}, err
	}
	return ok(view.Erasure{Seq: seq, Erased: cmd.Erased}, nil)
}

// proof is what ties an entry to a tree.
type proof struct {
	Seq    int64    `json:"seq"`
	Size   int64    `json:"size"`
	Header string   `json:"header"` // the leaf's bytes
	Salt   *string  `json:"salt"`   // base64; with it and the body the header can be recomputed; null once both were erased
	Hashes []string `json:"hashes"`
	Root   string   `json:"root"`
}

// getProof proves that an entry is in the tree of ?size= entries, by default of
// all there are.
func getProof(c *call) (Answer, error) {
	e, err := c.entry()
	if err != nil {
		return Answer{}, err
	}
	size, err := c.size("size")
	if err != nil {
		return Answer{}, err
	}
	if e.Header.Seq >= size {
		return Answer{}, fault.New(fault.Invalid, "Entry %d is not among the first %d.", e.Header.Seq, size)
	}
	hashes := c.cfg.Store.Hashes(c.ctx)
	list, err := ledger.ProveInclusion(size, e.Header.Seq, hashes)
	if err != nil {
		return Answer{}, err
	}
	root, err := ledger.Root(size, hashes)
	if err != nil {
		return Answer{}, err
	}
	p := proof{Seq: e.Header.Seq, Size: size, Header: string(e.Header.Append(nil)), Hashes: hashStrings(list), Root: hashString(root)}
	if e.Body != nil {
		p.Salt = present(base64.StdEncoding.EncodeToString(e.Salt[:]))
	}
	return ok(p, nil)
}

// size reads a tree size from the query, by default that of the whole log.
func (c *call) size(name string) (int64, error) {
	head, err := c.cfg.Store.Head(c.ctx)
	if err != nil {
		return 0, err
	}
	s := c.r.URL.Query().Get(name)
	if s == "" {
		return head.Size, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > head.Size {
		return 0, fault.New(fault.Invalid, "%s is between 0 and %d.", name, head.Size)
	}
	return n, nil
}

// consistency proves that one tree extends another.
type consistency struct {
	From   int64    `json:"from"`
	To     int64    `json:"to"`
	Hashes []string `json:"hashes"`
}

// getConsistency proves that the tree of ?to= entries extends that of ?from=:
// that nothing was changed or taken out since.
func getConsistency(c *call) (Answer, error) {
	from, err := c.size("from")
	if err != nil {
		return Answer{}, err
	}
	to, err := c.size("to")
	if err != nil {
		return Answer{}, err
	}
	if from > to {
		return Answer{}, fault.New(fault.Invalid, "from must not be greater than to.")
	}
	list, err := ledger.ProveConsistency(to, from, c.cfg.Store.Hashes(c.ctx))
	if err != nil {
		return Answer{}, err
	}
	return ok(consistency{from, to, hashStrings(list)}, nil)
}

func hashStrings(list []tlog.Hash) []string {
	out := make([]string, 0, len(list))
	for _, h := range list {
		out = append(out, hashString(h))
	}
	return out
}

func hashString(h tlog.Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }
