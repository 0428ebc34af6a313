// Package document holds the typed documents whose newest versions are the
// platform's state: App, Release, Space, Account and so on. It does no I/O.
//
// A document is stored as the JSON of its struct inside ledger entries and
// never rewritten, so its form lives for six years (45 CFR 164.316(b)(2)(i)):
// fields are only added, a changed meaning gets a new schema number and a pure
// upcast from the old one. Names of members are printable ASCII, numbers are
// integers, maps with user-chosen names are lists of {name, value}.
//
// internal/store keeps and indexes documents; internal/command decides on them.
package document

import (
	"encoding/json"
	"fmt"
	"time"
)

// Kind names a type of document, in the ledger and in the store.
type Kind string

// Key is a secondary key: Find(kind, Name, Value) lists the documents that
// carry it.
type Key struct{ Name, Value string }

// Doc is a typed document. Implementations are pointers to the structs of this
// package; Kind works on a nil pointer.
type Doc interface {
	Kind() Kind
	// Ident is the document's id: a UUID, or the id of what it belongs to
	// where there is exactly one of it.
	Ident() string
	// Keys are the secondary keys it is found by.
	Keys() []Key
	// Within is the scope (space or team id) whose ledger entries carry the
	// document, or "" for the installation's own.
	Within() string
}

// Base is what every document has.
type Base struct {
	Schema    int       `json:"schema"`
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Ident returns the document's id.
func (b *Base) Ident() string { return b.ID }

// Head returns the part that every document has.
func (b *Base) Head() *Base { return b }

// Encode gives a document's JSON. The ledger makes it canonical.
func Encode(d Doc) (json.RawMessage, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", d.Kind(), d.Ident(), err)
	}
	return b, nil
}

// NewerError says that a document was written by a later version of the
// program. Serving it would drop fields, so the program refuses to start.
type NewerError struct {
	Kind   Kind
	ID     string
	Schema int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s %s has schema %d, which this version of strongroom does not know; start the version that wrote it or a later one", e.Kind, e.ID, e.Schema)
}

// Decode gives the typed document for its stored JSON, upcast to the newest
// schema. An unknown kind or a higher schema is an error.
func Decode(kind Kind, raw json.RawMessage) (Doc, error) {
	t, ok := types[kind]
	if !ok {
		return nil, fmt.Errorf("decode document: unknown kind %q", kind)
	}
	var head struct {
		Schema int    `json:"schema"`
		ID     string `json:"id"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, fmt.Errorf("decode %s: %w", kind, err)
	}
	if head.Schema > t.schema {
		return nil, &NewerError{kind, head.ID, head.Schema}
	}
	d := t.zero()
	if err := json.Unmarshal(raw, d); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", kind, head.ID, err)
	}
	return d, nil
}

// Kinds lists all kinds in no particular order.
func Kinds() []Kind {
	out := make([]Kind, 0, len(types))
	for k := range types {
		out = append(out, k)
	}
	return out
}

// kindType tells how to decode a kind. When a schema grows past 1, its upcasts
// go here, each a pure function from the raw JSON of n to that of n+1.
type kindType struct {
	schema int
	zero   func() Doc
}

var types = map[Kind]kindType{
	KindInstallation:  {1, func() Doc { return new(Installation) }},
	KindAccount:       {1, func() Doc { return new(Account) }},
	KindToken:         {1, func() Doc { return new(Token) }},
	KindKey:           {1, func() Doc { return new(SSHKey) }},
	KindTeam:          {1, func() Doc { return new(Team) }},
	KindMember:        {1, func() Doc { return new(Member) }},
	KindPolicy:        {1, func() Doc { return new(Policy) }},
	KindException:     {1, func() Doc { return new(Exception) }},
	KindRequest:       {1, func() Doc { return new(Request) }},
	KindSpace:         {1, func() Doc { return new(Space) }},
	KindRefusal:       {1, func() Doc { return new(Refusal) }},
	KindApp:           {1, func() Doc { return new(App) }},
	KindCollaborator:  {1, func() Doc { return new(Collaborator) }},
	KindConfig:        {1, func() Doc { return new(Config) }},
	KindBuild:         {1, func() Doc { return new(Build) }},
	KindSlug:          {1, func() Doc { return new(Slug) }},
	KindRelease:       {1, func() Doc { return new(Release) }},
	KindFormation:     {1, func() Doc { return new(Formation) }},
	KindDyno:          {1, func() Doc { return new(Dyno) }},
	KindDomain:        {1, func() Doc { return new(Domain) }},
	KindEndpoint:      {1, func() Doc { return new(Endpoint) }},
	KindAddon:         {1, func() Doc { return new(Addon) }},
	KindAttachment:    {1, func() Doc { return new(Attachment) }},
	KindSession:       {1, func() Doc { return new(Session) }},
	KindImage:         {1, func() Doc { return new(Image) }},
	KindAttempt:       {1, func() Doc { return new(Attempt) }},
	KindStranger:      {1, func() Doc { return new(Stranger) }},
	KindAlert:         {1, func() Doc { return new(Alert) }},
	KindPack:          {1, func() Doc { return new(Pack) }},
	KindStatus:        {1, func() Doc { return new(Status) }},
	KindBeat:          {1, func() Doc { return new(Beat) }},
	KindFinding:       {1, func() Doc { return new(Finding) }},
	KindBuildpackList: {1, func() Doc { return new(BuildpackList) }},
}
