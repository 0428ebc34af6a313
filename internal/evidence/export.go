// Package evidence makes evidence packs: reports as queries over the ledger,
// with the entries and the proofs that nothing in scope was left out.
//
// Invariants: the export is on record before it reads; everything is read in
// pages pinned to the export's own entry, so that a long export holds up
// nobody; provable reports are computed by the verifier's own code (pack.Rows).
// internal/api hands packs out.
package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/blob"
	command "github.com/strongroom/strongroom/internal/command/evidence"
	"github.com/strongroom/strongroom/internal/compliance"
	"github.com/strongroom/strongroom/internal/control"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
	"github.com/strongroom/strongroom/internal/store"
)

// Config of an Exporter.
type Config struct {
	Store        store.Store
	Kernel       *control.Kernel
	Checkpoints  *control.Checkpoints
	Blobs        *blob.Store
	Signer       note.Signer
	Installation *document.Installation
	Programme    *compliance.Programme
	Outside      Outside // nil: nobody
	Program      string  // "strongroom <version>"
	Now          func() time.Time
	// Tell puts on record how far the checks ran, so that a pack that reaches up to
	// now can show how the controls stand; nil: they do not run.
	Tell func(context.Context) error
	Temp string // directory where headers and reports wait until the pack has room for them; "" = the system's
}

// Outside are people who see the log's checkpoints elsewhere. What they do not
// answer in seconds is not in the pack.
type Outside interface {
	// Cosign gives the checkpoint with the cosignatures of witnesses, of after a
	// moment if they can.
	Cosign(ctx context.Context, c ledger.Checkpoint, signed []byte, after time.Time) []byte
	// Stamp gives a time stamp of the checkpoint, of after a moment if it can;
	// nil: none.
	Stamp(ctx context.Context, c ledger.Checkpoint, after time.Time) []byte
}

// Exporter makes packs.
type Exporter struct {
	cfg  Config
	busy chan struct{} // holds an element for each pack in the making
}

// atOnce bounds how many packs are made at the same time, and so the memory and
// disk that they take. Each keeps several cores busy, where there are several.
const atOnce = 4

// New returns an Exporter.
func New(cfg Config) *Exporter { return &Exporter{cfg, make(chan struct{}, atOnce)} }

// Request says what a pack shall be about.
type Request struct {
	Space      string    // name or id
	Ended      bool      // it is one that was destroyed
	From, To   time.Time // To zero: now
	Recordings bool      // include session recordings and command lines, which may hold PHI
	// Items are ids of requirements: only their folders are in the pack, and the
	// reports that these rest on. Nil: all.
	Items []string
	// Notice is the time whose state the reports show, as an auditor's notice
	// asks for. Zero: the period's end.
	Notice time.Time
	// Since is a signed checkpoint that the auditor has from before: the pack
	// then proves that the log only grew since. Empty: none.
	Since []byte
}

// Export records the export, calls begin with a file name, and writes the pack
// to the writer that begin returns.
func (x *Exporter) Export(ctx context.Context, by control.By, q Request, begin func(name string) io.Writer) error {
	select {
	case x.busy <- struct{}{}:
		defer func() { <-x.busy }()
	default:
		return fault.New(fault.TooMany, "%d evidence packs are being written already. Ask again when one of them is done; nothing was recorded.", atOnce)
	}
	if q.To.IsZero() {
		x.tell(ctx, q.From)
		q.To = x.cfg.Now()
	}
	cmd := &command.Export{Space: q.Space, From: q.From.UTC(), To: q.To.UTC(), Recordings: q.Recordings, Items: q.Items, Notice: q.Notice.UTC()}
	var err error
	if q.Ended {
		if cmd.Ended, err = x.ended(ctx, q.Space); err != nil {
			return err
		}
	}
	items, err := newItems(x.cfg.Programme, q)
	if err != nil {
		return err
	}
	since, err := x.older(q.Since)
	if err != nil {
		return err
	}
	if _, err := x.cfg.Kernel.Execute(ctx, cmd, by); err != nil {
		return err
	}
	checkpoint, signed, err := x.cfg.Checkpoints.Sign(ctx)
	if err != nil {
		return err
	}
	var stamp []byte
	if x.cfg.Outside != nil {
		stamp = x.cfg.Outside.Stamp(ctx, checkpoint, cmd.Pack.To)
		signed = x.cfg.Outside.Cosign(ctx, checkpoint, signed, cmd.Pack.To)
	}
	p := &export{Exporter: x, ctx: ctx, request: q, pack: cmd.Pack, signed: signed, checkpoint: checkpoint, stamp: stamp, since: since, items: items}
	if err := p.plan(); err != nil {
		return err
	}
	name := fmt.Sprintf("evidence-%s-%s-%s.zip", p.space.Name, q.From.UTC().Format("20060102"), q.To.UTC().Format("20060102"))
	g, err := p.newGathered()
	defer g.discard()
	if err != nil {
		return err
	}
	digest, err := p.write(begin(name), g)
	if err != nil {
		return err
	}
	_, err = x.cfg.Kernel.Execute(ctx, &command.Issue{ID: cmd.Pack.ID, Manifest: digest, Ended: cmd.Ended}, by)
	return err
}

// patience is how long an export waits for checks that run at the moment.
const patience = 5 * time.Second

// tell has it put on record how far the checks ran. If they have no time for it,
// the pack says that its record of them ends earlier.
func (x *Exporter) tell(ctx context.Context, from time.Time) {
	if x.cfg.Tell == nil || !from.Before(x.cfg.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = x.cfg.Tell(ctx)
}

// older reads the checkpoint that a pack shall extend, if one was given. It has
// to be this log's own.
func (x *Exporter) older(signed []byte) (*ledger.Checkpoint, error) {
	if len(signed) == 0 {
		return nil, nil
	}
	key, err := note.NewVerifier(x.cfg.Installation.LogKey)
	if err != nil {
		return nil, fmt.Errorf("the log's verifier key: %w", err)
	}
	c, _, err := ledger.OpenCheckpoint(signed, key)
	if err != nil {
		return nil, err
	}
	if newest, _ := x.cfg.Checkpoints.Newest(); c.Origin != newest.Origin || c.Size > newest.Size {
		return nil, fault.New(fault.Invalid, "That checkpoint, over %d entries of %s, is not one that this log released.", c.Size, c.Origin)
	}
	return &c, nil
}

// export is one pack in the making.
type export struct {
	*Exporter
	ctx        context.Context
	request    Request
	pack       *document.Pack
	space      *document.Space
	signed     []byte
	stamp      []byte // of the checkpoint's time, nil: none
	checkpoint ledger.Checkpoint
	since      *ledger.Checkpoint // that the pack shall extend, or nil
	period     pack.Period
	scopes     []string // "" = the installation's own
	first      int64    // first seq of the period
	last       int64    // one past the last seq of the period
	items      *items
	at         pack.Time // whose state is shown
	state      int64     // one past the last seq of that state
	opening    []int64   // seqs that hold the opening state, before the period
	ranges     []ledger.Range
	erased     map[int64]bool // entries of the ranges whose bodies are known to be erased
	erasures   []int64        // entries after the period that say so
}

// plan finds what the pack must hold.
func (p *export) plan() error {
	var err error
	p.period = pack.Period{From: pack.Time{Time: p.pack.From}, To: pack.Time{Time: p.pack.To}}
	if p.first, err = p.cfg.Store.SizeAt(p.ctx, p.pack.From); err != nil {
		return err
	}
	if p.last, err = p.cfg.Store.SizeAt(p.ctx, p.pack.To); err != nil {
		return err
	}
	p.at, p.state = p.period.To, p.last
	if n := p.request.Notice; !n.IsZero() {
		p.at = pack.Time{Time: n.UTC()}
		if p.state, err = p.cfg.Store.SizeAt(p.ctx, n.Add(1)); err != nil { // what came at that time is part of it
			return err
		}
		p.state = min(p.state, p.last)
	}
	if err := p.findScopes(); err != nil {
		return err
	}
	if err := p.findOpening(); err != nil {
		return err
	}
	if err := p.findErasures(); err != nil {
		return err
	}
	p.ranges = ranges(p.opening, max(p.first-1, 0), p.last+1, p.erasures)
	return nil
}

// findScopes lists the space, every team that owned it, and the installation.
func (p *export) findScopes() error {
	history, err := p.cfg.Store.History(p.ctx, document.KindSpace, p.pack.Scope)
	if err != nil {
		return err
	}
	p.scopes = []string{"", p.pack.Scope}
	for _, seq := range history {
		if err := p.cfg.Store.At(p.ctx, seq+1, func(v store.View) error {
			s, err := store.Get[*document.Space](v, p.pack.Scope)
			if gone := (*store.Erased)(nil); errors.As(err, &gone) || fault.Of(err) == fault.NotFound {
				return nil // not known any more, or its end
			}
			if err != nil {
				return err
			}
			p.space = s
			if !slices.Contains(p.scopes, s.Team) {
				p.scopes = append(p.scopes, s.Team)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// findOpening lists the entries before the period that last wrote each
// document in scope, also those that deleted one: without them a document that
// comes to be again in the period would seem to skip revisions. So would one whose
// entry is left out because its body was erased since.
func (p *export) findOpening() error {
	seen := map[int64]bool{}
	for _, kind := range document.Kinds() {
		list, err := p.cfg.Store.Changed(p.ctx, kind, p.first)
		if err != nil {
			return err
		}
		for _, c := range list {
			if seen[c.Seq] {
				continue
			}
			r, err := p.cfg.Store.Entry(p.ctx, c.Seq)
			if err != nil {
				return err
			}
			if p.inScope(r.Header.Scope) {
				seen[c.Seq] = true
				p.opening = append(p.opening, c.Seq)
			}
		}
	}
	slices.Sort(p.opening)
	return nil
}

// findErasures lists which bodies of the opening state and of the period were
// erased, and the entries after the period that say so: only what a later one
// replaced is erased, so that no earlier entry can.
func (p *export) findErasures() error {
	p.erased = map[int64]bool{}
	for q := (store.Query{Scopes: p.scopes, Actions: []string{"body.erase"}, Outcome: ledger.OK, FromSeq: p.first, ToSeq: p.checkpoint.Size, Limit: pageSize, Bytes: pageBytes}); ; {
		list, err := p.cfg.Store.Entries(p.ctx, q)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			if err := p.findErased(&list[i]); err != nil {
				return err
			}
		}
		q.FromSeq = list[len(list)-1].Header.Seq + 1
	}
}

func (p *export) findErased(r *store.Record) error {
	body, err := ledger.ParseBody(r.Body)
	if err != nil {
		return fmt.Errorf("entry %d: %w", r.Header.Seq, err)
	}
	named := false
	for _, e := range body.Erased {
		_, opening := slices.BinarySearch(p.opening, e.Seq)
		if opening || e.Seq >= p.first && e.Seq < p.last {
			p.erased[e.Seq], named = true, true
		}
	}
	if named && r.Header.Seq >= p.last {
		p.erasures = append(p.erasures, r.Header.Seq)
	}
	return nil
}

func (p *export) inScope(scope *string) bool {
	s := ""
	if scope != nil {
		s = *scope
	}
	return slices.Contains(p.scopes, s)
}

// ranges joins single entries before a with the range [a, b) and single entries
// after it.
func ranges(before []int64, a, b int64, after []int64) []ledger.Range {
	var out []ledger.Range
	add := func(lo, hi int64) {
		if n := len(out); n > 0 && lo <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, hi)
			return
		}
		out = append(out, ledger.Range{From: lo, To: hi})
	}
	for _, s := range before {
		if s < a {
			add(s, s+1)
		}
	}
	add(a, b)
	for _, s := range after {
		if s >= b {
			add(s, s+1)
		}
	}
	return out
}
