package compliance

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// Period is what of the past is asked about.
type Period struct {
	From, To time.Time
	// Size is of how many entries the answer is made; 0 = of all there are. The
	// answer of the same entries is always the same.
	Size int64
	Sees Sight
}

// Recall is what the entries tell of a period: what each check said of each
// subject, and when it ran.
type Recall struct {
	Period
	programme *Programme
	points    map[string]map[subject][]Point // by check
	spans     map[string][]Span              // by check
	ids       map[string]about               // of statuses that entries only name
	owners    map[string][]tenure            // by finding
}

// tenure is from when a finding is somebody's.
type tenure struct {
	at    time.Time
	owner string
}

// subject of a check.
type subject struct{ scope, id string }

type about struct {
	check string
	subject
}

// Recall reads a period. It reads the state at its beginning and the entries in
// it, of the checks alone, and keeps what they say and no bodies.
func (p *Programme) Recall(ctx context.Context, st store.Store, of Period) (*Recall, error) {
	r := &Recall{Period: of, programme: p, points: map[string]map[subject][]Point{}, spans: map[string][]Span{}, ids: map[string]about{}, owners: map[string][]tenure{}}
	if err := r.bound(ctx, st); err != nil {
		return nil, err
	}
	begin, err := st.SizeAt(ctx, r.From)
	if err != nil {
		return nil, err
	}
	begin = min(begin, r.Size)
	var lost []store.Lost
	if err := st.At(ctx, begin, func(v store.View) error {
		return r.opening(store.Surviving(v, func(l store.Lost) { lost = append(lost, l) }))
	}); err != nil {
		return nil, err
	}
	for _, l := range lost {
		if err := r.lost(ctx, st, l); err != nil {
			return nil, err
		}
	}
	return r, r.entries(ctx, st, begin)
}

// lost notes of a status that was erased that nobody knows what it said when the
// period began. Of what it said it, a later version tells.
func (r *Recall) lost(ctx context.Context, st store.Store, l store.Lost) error {
	if l.Kind != document.KindStatus {
		return nil // without the finding there is a gap all the same, without the beat it is unknown
	}
	s, err := store.LastKnown[*document.Status](ctx, st, l.ID)
	if err != nil || s == nil {
		return err
	}
	at := Point{At: r.From, Seq: l.Seq, Status: document.StatusUnknown, Facts: []string{noLongerKept}}
	if _, some := r.Sees[s.Scope]; some && r.programme.Check(s.Check) != nil {
		r.ids[s.ID] = about{s.Check, subject{s.Scope, s.Subject}}
		r.note(s.Check, subject{s.Scope, s.Subject}, at)
	}
	return nil
}

// noLongerKept is the fact of what was erased.
const noLongerKept = "The body of this entry is no longer kept."

// bound holds the period against what there is: it begins with the first entry
// at the earliest, and must not be empty.
func (r *Recall) bound(ctx context.Context, st store.Store) error {
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	if r.Size == 0 {
		r.Size = head.Size
	}
	first, err := st.Entry(ctx, 0)
	if err != nil {
		return err
	}
	if r.From.Before(first.Header.Time) {
		r.From = first.Header.Time
	}
	if !r.From.Before(r.To) {
		return fault.New(fault.Invalid, "The period is empty: it must end after it begins, and after %s, when the ledger begins.", first.Header.Time.Format(time.RFC3339))
	}
	return nil
}

// opening reads what the checks had said when the period began.
func (r *Recall) opening(v store.View) error {
	statuses, err := store.Find[*document.Status](v, "all", "")
	if err != nil {
		return err
	}
	findings, err := store.Find[*document.Finding](v, "all", "")
	if err != nil {
		return err
	}
	open := map[string]*document.Finding{}
	for _, f := range findings {
		if f.State != document.FindingClosed {
			open[document.StatusKey(f.Check, f.Scope, f.Subject)] = f
		}
	}
	for _, s := range statuses {
		at := Point{At: s.Since}
		if _, at.Seq, err = v.Rev(s.Kind(), s.ID); err != nil {
			return err
		}
		if f := open[document.StatusKey(s.Check, s.Scope, s.Subject)]; f != nil {
			at.Finding = f.ID
			r.owns(f, s.Since)
		}
		r.said(s, at)
	}
	beat, err := beatOf(v)
	r.ran(beat)
	return err
}

// entries reads what was recorded in the period, and the beats after it that
// tell of its end.
func (r *Recall) entries(ctx context.Context, st store.Store, begin int64) error {
	q := store.Query{Actions: []string{"check.report", "check.beat", "finding.assign"}, FromSeq: begin, ToSeq: r.Size, To: r.To.Add(r.after()), Limit: 1000}
	for begin < r.Size {
		page, err := st.Entries(ctx, q)
		if err != nil {
			return err
		}
		for _, rec := range page {
			if err := r.entry(rec); err != nil {
				return err
			}
		}
		if len(page) < q.Limit {
			break
		}
		q.FromSeq = page[len(page)-1].Header.Seq + 1
	}
	for _, list := range r.spans {
		slices.SortFunc(list, func(a, b Span) int { return a.From.Compare(b.From) })
	}
	return nil
}

// after is how long after the period a beat can be recorded that tells of it.
func (r *Recall) after() (d time.Duration) {
	for _, c := range r.programme.Checks {
		d = max(d, 2*c.tolerance())
	}
	return d
}

func (r *Recall) entry(rec store.Record) error {
	if rec.Body == nil {
		r.erased(rec.Header)
		return nil
	}
	if scanBeat(rec.Body, r.span) {
		return nil
	}
	var body ledger.Body
	if err := json.Unmarshal(rec.Body, &body); err != nil {
		return &store.Damage{Seq: rec.Header.Seq, What: "its body cannot be read"}
	}
	at := Point{At: rec.Header.Time, Seq: rec.Header.Seq}
	var status *document.Status
	for _, c := range body.Changes {
		if c.Doc == nil || string(c.Doc) == "null" {
			r.gone(c.ID, at)
			continue
		}
		d, err := document.Decode(document.Kind(c.Kind), c.Doc)
		if err != nil {
			return &store.Damage{Seq: rec.Header.Seq, What: "one of its documents cannot be read"}
		}
		switch d := d.(type) {
		case *document.Beat:
			r.ran(d)
		case *document.Status:
			status = d
		case *document.Finding:
			at.Finding, at.MendedBy = d.ID, d.MendedBy
			r.owns(d, at.At)
		}
	}
	if status != nil && at.At.Before(r.To) {
		r.said(status, at)
	}
	return nil
}

// said notes what a check said of a subject.
func (r *Recall) said(s *document.Status, at Point) {
	all, some := r.Sees[s.Scope]
	if !some || r.programme.Check(s.Check) == nil {
		return
	}
	at.Status = s.Status
	if all {
		at.Name, at.Facts, at.Seqs = s.Name, s.Facts, s.Seqs
	} else {
		at.MendedBy = ""
	}
	of := subject{s.Scope, s.Subject}
	r.ids[s.ID] = about{s.Check, of}
	r.note(s.Check, of, at)
}

// owns notes whose a finding is from a moment on.
func (r *Recall) owns(f *document.Finding, at time.Time) {
	if r.Sees[f.Scope] {
		r.owners[f.ID] = append(r.owners[f.ID], tenure{at, f.Owner})
	}
}

// owner is whose a finding was at a moment.
func (r *Recall) owner(finding string, at time.Time) (owner string) {
	for _, t := range r.owners[finding] {
		if !t.at.After(at) {
			owner = t.owner
		}
	}
	return owner
}

func (r *Recall) note(check string, of subject, at Point) {
	if r.points[check] == nil {
		r.points[check] = map[subject][]Point{}
	}
	r.points[check][of] = append(r.points[check][of], at)
}

// gone notes that a subject ended: nothing is to be said of it any more.
func (r *Recall) gone(status string, at Point) {
	if a, ok := r.ids[status]; ok && at.At.Before(r.To) {
		at.Status, at.Facts = document.StatusNotApplicable, []string{"It is gone."}
		r.note(a.check, a.subject, at)
	}
}

// erased notes of an entry whose body is no longer kept that nobody knows what
// it said, of anything in its scope, until the next one says something.
func (r *Recall) erased(h ledger.Header) {
	scope := ""
	if h.Scope != nil {
		scope = *h.Scope
	}
	for check, subjects := range r.points {
		for of := range subjects {
			if of.scope == scope {
				r.note(check, of, Point{At: h.Time, Seq: h.Seq, Status: document.StatusUnknown, Facts: []string{noLongerKept}})
			}
		}
	}
}

func (r *Recall) ran(b *document.Beat) {
	for _, x := range b.Runs {
		r.span(x.Check, Span{x.From, x.To})
	}
}

// span notes when a check ran. Where it goes on from the time before, as nearly
// always, that becomes longer: there are fewer to look at.
func (r *Recall) span(check string, s Span) {
	list := r.spans[check]
	if n := len(list); n > 0 && !s.From.Before(list[n-1].From) && !s.From.After(list[n-1].To) {
		list[n-1].To = later(list[n-1].To, s.To)
		return
	}
	r.spans[check] = append(list, s)
}

// end is up to when the record of some checks reaches, where their next beats
// are not overdue; else the period's end, and what is missing is unknown.
func (r *Recall) end(checks []string) time.Time {
	to := r.To
	for _, id := range checks {
		var last time.Time
		for _, s := range r.spans[id] {
			last = later(last, s.To)
		}
		if r.To.Sub(last) <= r.programme.Check(id).tolerance() {
			to = earlier(to, later(last, r.From))
		}
	}
	return to
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// subjects lists those of a check in one order, whatever a map's.
func (r *Recall) subjects(check string) []subject {
	var out []subject
	for s := range r.points[check] {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b subject) int { return cmp.Or(cmp.Compare(a.scope, b.scope), cmp.Compare(a.id, b.id)) })
	return out
}
