package sample

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

// lasting are the kinds of documents that much else belongs to. A story does not
// follow them, since all that ever happened would be part of it: it tells how
// they stood.
var lasting = map[string]bool{
	"installation": true, "account": true, "team": true, "policy": true, "space": true, "app": true,
	"config": true, "formation": true, "buildpacks": true, "image": true, "beat": true,
}

const (
	steps    = 3   // how far a story follows what documents name
	maxStory = 200 // entries of a story
)

// Why an entry is part of a story.
const (
	Drawn    = "drawn"    // it is behind the row
	Same     = "same"     // it changed or was aimed at a document of the story
	Naming   = "naming"   // it changed a document that names the item
	Cause    = "cause"    // it brought the item about, or was brought about by it
	Standing = "standing" // it left something that the item names as it then stood
)

// story is what is known of an item's story, while the pack goes by.
type story struct {
	item   *Item
	own    map[string]bool // ids of the item's documents
	names  map[string]int  // ids that a document of the story names, and after how many steps
	stands map[string]bool // ids that the drawn entry names
	causes []int64         // seqs: of what caused the item, of what caused that
	why    map[int64]string
	left   map[document]int64 // lasting documents: the last entry that changed them, up to the drawn one
	more   int                // entries that the story has besides those that are told
}

type document struct{ kind, id string }

// glimpse is what a story is made of: an entry's target, documents and cause.
type glimpse struct {
	seq    int64
	target document
	cause  int64 // -1 = none
	docs   []changed
}

// changed is a document that an entry changed, and the ids that it names.
type changed struct {
	document
	names []string
}

func glance(e *pack.Entry) (glimpse, error) {
	g := glimpse{seq: e.Header.Seq, cause: -1}
	docs, err := e.Documents()
	if err != nil {
		return g, err
	}
	for _, d := range docs {
		g.docs = append(g.docs, changed{document{d.Kind, d.ID}, ids(d.Content)})
	}
	if g.target.kind, err = e.Cell("/body/target/kind"); err != nil {
		return g, err
	}
	if g.target.id, err = e.Cell("/body/target/id"); err != nil {
		return g, err
	}
	cause, err := e.Cell("/body/cause")
	if n, bad := strconv.ParseInt(cause, 10, 64); bad == nil {
		g.cause = n
	}
	return g, err
}

// stories finds, for each item, which entries of the pack belong to it, in so
// many passes as it takes to follow what documents name.
func stories(ctx context.Context, p *pack.Pack, items []*Item) ([]*story, error) {
	var all []*story
	behind := map[int64][]*story{}
	for _, i := range items {
		s := &story{item: i, own: map[string]bool{}, names: map[string]int{}, why: map[int64]string{}, left: map[document]int64{}}
		all, behind[i.Seq] = append(all, s), append(behind[i.Seq], s)
	}
	pass := func(take func(e *pack.Entry, g glimpse)) error {
		return p.Entries(ctx, func(e *pack.Entry) error {
			g, err := glance(e)
			if err == nil {
				take(e, g)
			}
			return err
		})
	}
	err := pass(func(e *pack.Entry, g glimpse) {
		for _, s := range behind[g.seq] {
			s.begin(e, g)
		}
	})
	for step := 1; step <= steps && err == nil; step++ {
		err = pass(func(_ *pack.Entry, g glimpse) {
			for _, s := range all {
				s.follow(g, step)
			}
		})
	}
	if err != nil {
		return nil, err
	}
	err = pass(func(_ *pack.Entry, g glimpse) {
		for _, s := range all {
			s.take(g)
		}
	})
	for _, s := range all {
		s.end()
	}
	return all, err
}

// begin takes the entry behind the row.
func (s *story) begin(e *pack.Entry, g glimpse) {
	s.why[g.seq] = Drawn
	switch {
	case s.item.Document != "":
		s.own[s.item.Document] = true
	case g.target.id != "" && !lasting[g.target.kind]:
		s.own[g.target.id] = true
	default:
		for _, d := range g.docs {
			if !lasting[d.kind] {
				s.own[d.id] = true
			}
		}
	}
	for id := range s.own {
		s.names[id] = 0
	}
	if session, err := e.Cell("/body/actor/session"); err == nil && session != "" && !s.own[session] {
		s.names[session] = 1
	}
	s.stands = map[string]bool{}
	if e.Header.Scope != nil {
		s.stands[*e.Header.Scope] = true
	}
	for _, id := range ids(e.Body) {
		s.stands[id] = true
	}
	if g.cause >= 0 {
		s.causes = append(s.causes, g.cause)
	}
}

// follow notes what documents of the story name, one step further, and what
// caused the last known cause.
func (s *story) follow(g glimpse, step int) {
	if n := len(s.causes); n == step && s.causes[n-1] == g.seq && g.cause >= 0 {
		s.causes = append(s.causes, g.cause)
	}
	for _, d := range g.docs {
		if at, ok := s.names[d.id]; !ok || at != step-1 || lasting[d.kind] {
			continue
		}
		for _, id := range d.names {
			if _, known := s.names[id]; !known {
				s.names[id] = step
			}
		}
	}
}

// take decides whether an entry belongs to the story.
func (s *story) take(g glimpse) {
	why := ""
	switch {
	case g.seq == s.item.Seq:
		why = Drawn
	case s.about(g):
		why = Same
	case slices.ContainsFunc(g.docs, s.naming):
		why = Naming
	case g.cause == s.item.Seq, slices.Contains(s.causes, g.seq):
		why = Cause
	}
	if why != "" {
		s.why[g.seq] = why
	}
	for _, d := range g.docs {
		if g.seq <= s.item.Seq && lasting[d.kind] && s.stands[d.id] {
			s.left[d.document] = g.seq
		}
	}
}

// about tells whether an entry changed, or was aimed at, a document of the story.
func (s *story) about(g glimpse) bool {
	follows := func(d document) bool {
		_, ok := s.names[d.id]
		return ok && (!lasting[d.kind] || s.item.Document == d.id)
	}
	return follows(g.target) || slices.ContainsFunc(g.docs, func(d changed) bool { return follows(d.document) })
}

// naming tells whether a document names one of the item's.
func (s *story) naming(d changed) bool {
	return !lasting[d.kind] && slices.ContainsFunc(d.names, func(id string) bool { return s.own[id] })
}

// end adds how what lasts stood, and keeps the entries nearest to the drawn one
// if there are too many.
func (s *story) end() {
	for _, seq := range s.left {
		if s.why[seq] == "" {
			s.why[seq] = Standing
		}
	}
	if s.more = len(s.why) - maxStory; s.more <= 0 {
		s.more = 0
		return
	}
	seqs := s.seqs()
	far := func(seq int64) int64 { return max(seq-s.item.Seq, s.item.Seq-seq) }
	slices.SortStableFunc(seqs, func(a, b int64) int { return cmp.Compare(far(a), far(b)) })
	for _, seq := range seqs[maxStory:] {
		delete(s.why, seq)
	}
}

// seqs are the story's entries, by seq.
func (s *story) seqs() []int64 {
	out := make([]int64, 0, len(s.why))
	for seq := range s.why {
		out = append(out, seq)
	}
	slices.Sort(out)
	return out
}

// uuidLength is that of 8-4-4-4-12 digits.
const uuidLength = 36

// ids lists the strings in canonical JSON that are UUIDs.
func ids(b []byte) (out []string) {
	for i := 0; i+uuidLength+1 < len(b); i++ {
		begins := b[i] == '"' && (i == 0 || b[i-1] != '\\')
		if !begins || b[i+uuidLength+1] != '"' || !ledger.IsUUID(string(b[i+1:i+1+uuidLength])) {
			continue
		}
		end := i + uuidLength + 2
		if end == len(b) || b[end] != ':' { // a member's name is none
			out = append(out, string(b[i+1:i+1+uuidLength]))
		}
		i = end - 1
	}
	return out
}
