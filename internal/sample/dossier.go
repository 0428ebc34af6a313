package sample

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/pack"
)

// Dossier is an item with its story.
type Dossier struct {
	*Item
	Entries []Told `json:"entries"` // by seq
	More    int    `json:"more"`    // entries of the story that are not told: those farthest away
}

// Told is an entry of a story.
type Told struct {
	Seq     int64    `json:"seq"`
	Time    string   `json:"time"`
	Why     string   `json:"why"`
	Actor   string   `json:"actor"`
	Roles   []string `json:"roles"`
	Action  string   `json:"action"`
	Outcome string   `json:"outcome"`
	Words   string   `json:"words"`
	Changes []Change `json:"changes"`
	Blobs   []Blob   `json:"blobs"`
}

// Change is what became of a document.
type Change struct {
	Kind  string `json:"kind"`
	ID    string `json:"id"`
	Rev   int64  `json:"rev"`
	How   string `json:"how"` // made, changed, deleted; or "as it is": the revision before is not in the pack
	Parts []Part `json:"parts"`
	More  int    `json:"more"` // parts that are not told
}

// Part is a value in a document that is not what it was.
type Part struct {
	Path   string `json:"path"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Blob is bulk evidence that an entry names.
type Blob struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	Role   string `json:"role"`
	Held   bool   `json:"held"` // the pack has it
}

// Bounds of what a page shows of one document.
const (
	maxParts = 200
	maxValue = 1000 // bytes
)

// Dossiers tells the stories of a sample's items.
func Dossiers(ctx context.Context, p *pack.Pack, items []*Item) ([]*Dossier, error) {
	all, err := stories(ctx, p, items)
	if err != nil {
		return nil, err
	}
	t := teller{pack: p, bodies: map[int64]*entry{}, before: map[revision][]byte{}}
	for _, s := range all {
		for seq := range s.why {
			t.bodies[seq] = nil
		}
	}
	if err := t.read(ctx); err != nil {
		return nil, err
	}
	var out []*Dossier
	for _, s := range all {
		d := &Dossier{Item: s.item, More: s.more}
		for _, seq := range s.seqs() {
			d.Entries = append(d.Entries, t.tell(seq, s.why[seq]))
		}
		out = append(out, d)
	}
	return out, nil
}

// teller has the entries of the stories at hand.
type teller struct {
	pack   *pack.Pack
	bodies map[int64]*entry
	before map[revision][]byte // what the stories' entries changed, as it was
}

type entry struct {
	ledger.Header
	*ledger.Body
}

type revision struct {
	document
	rev int64
}

// read reads the entries of the stories, and then what came before them.
func (t *teller) read(ctx context.Context) error {
	if err := t.pack.Entries(ctx, func(e *pack.Entry) error {
		if _, wanted := t.bodies[e.Header.Seq]; !wanted {
			return nil
		}
		body, err := ledger.ParseBody(e.Body)
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.Header.Seq, err)
		}
		t.bodies[e.Header.Seq] = &entry{e.Header, body}
		for _, c := range body.Changes {
			t.before[revision{document{c.Kind, c.ID}, c.Rev - 1}] = nil
		}
		return nil
	}); err != nil {
		return err
	}
	return t.pack.Entries(ctx, func(e *pack.Entry) error {
		docs, err := e.Documents()
		for _, d := range docs {
			key := revision{document{d.Kind, d.ID}, d.Rev}
			if _, wanted := t.before[key]; wanted {
				t.before[key] = append([]byte{}, d.Content...) // empty: deleted
			}
		}
		return err
	})
}

func (t *teller) tell(seq int64, why string) Told {
	e := t.bodies[seq]
	out := Told{
		Seq: seq, Time: ledger.FormatTime(e.Time), Why: why, Actor: actor(e.Body), Roles: e.Actor.Roles, Action: e.Action,
		Outcome: string(e.Outcome), Words: words(e.Body), Changes: []Change{}, Blobs: []Blob{},
	}
	for _, c := range e.Changes {
		out.Changes = append(out.Changes, t.change(c))
	}
	for _, b := range e.Blobs {
		out.Blobs = append(out.Blobs, Blob{b.SHA256, b.Size, b.Role, t.pack.Holds(b.SHA256)})
	}
	return out
}

// actor is how the actor is called.
func actor(b *ledger.Body) string { return cmp.Or(b.Actor.Email, b.Actor.ID, "nobody logged in") }

// words is the entry as a sentence or two.
func words(b *ledger.Body) string {
	var s strings.Builder
	s.WriteString(actor(b))
	if b.Actor.Kind != ledger.AccountActor {
		fmt.Fprintf(&s, " (%s)", b.Actor.Kind)
	} else if len(b.Actor.Roles) > 0 {
		fmt.Fprintf(&s, " (%s)", strings.Join(b.Actor.Roles, ", "))
	}
	s.WriteString(map[ledger.Outcome]string{ledger.OK: " did ", ledger.Denied: " was refused ", ledger.Failed: " did not succeed in "}[b.Outcome])
	s.WriteString(b.Action)
	if b.Target.Kind != "" {
		fmt.Fprintf(&s, " of the %s %s", b.Target.Kind, cmp.Or(b.Target.Name, b.Target.ID))
	}
	fmt.Fprintf(&s, ", via %s.", b.Via)
	if b.Reason != "" {
		fmt.Fprintf(&s, " The reason given: %s.", b.Reason)
	}
	if b.Error != "" {
		fmt.Fprintf(&s, " They were told: %s", b.Error)
	}
	if b.Cause != nil {
		fmt.Fprintf(&s, " Brought about by entry %d.", *b.Cause)
	}
	if b.Count > 1 {
		fmt.Fprintf(&s, " This stands for %d equal refusals.", b.Count)
	}
	for _, d := range b.Details {
		if d.Value == "" {
			continue
		}
		fmt.Fprintf(&s, " %s: %s.", d.Name, d.Value)
	}
	return s.String()
}

// change tells which values of a document are not what they were.
func (t *teller) change(c ledger.Change) Change {
	was := t.before[revision{document{c.Kind, c.ID}, c.Rev - 1}]
	out := Change{Kind: c.Kind, ID: c.ID, Rev: c.Rev, How: "changed", Parts: []Part{}}
	before, after := leaves(was), leaves(c.Doc)
	switch {
	case c.Deleted():
		out.How = "deleted"
	case c.Rev == 1 || was != nil && len(was) == 0:
		out.How = "made"
	case was == nil:
		out.How = "as it is"
	}
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if before[path] == after[path] {
			continue
		}
		if len(out.Parts) == maxParts {
			out.More++
			continue
		}
		out.Parts = append(out.Parts, Part{path, short(before[path]), short(after[path])})
	}
	return out
}

// leaves are the values in a document that hold no others, by path. They are
// written as JSON, texts as they are.
func leaves(doc []byte) map[string]string {
	out := map[string]string{}
	var value any
	if len(doc) == 0 || json.Unmarshal(doc, &value) != nil {
		return out
	}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for name, inner := range v {
				walk(path+"/"+name, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s/%d", path, i), inner)
			}
		case string:
			out[path] = v
		case nil:
		default:
			b, _ := json.Marshal(v) //nolint:errcheck // a number or a truth value
			out[path] = string(b)
		}
	}
	walk("", value)
	return out
}

// short is a text of bounded length.
func short(s string) string {
	if len(s) <= maxValue {
		return s
	}
	cut := maxValue
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes in all)", s[:cut], len(s))
}
