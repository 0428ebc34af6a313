package control

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/internal/authz"
	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store"
)

// Command is one thing that somebody wants to happen. Implementations are
// pointers in internal/command; Decide leaves the result in their fields.
//
// Optional interfaces: Preparer (before the writer), Effecter (after
// durability).
type Command interface {
	// Action is the ledger's name for it, noun.verb.
	Action() string
	// Aim finds what it is aimed at and which permission that needs. An error
	// here (malformed, does not exist) is answered and not recorded.
	Aim(v store.View) (Aim, error)
	// Decide is a pure function of the view, the actor and now. It fills in
	// the decision or refuses. fault.Forbidden and fault.Unauthenticated are
	// recorded as denials.
	Decide(v store.View, by By, now time.Time, d *Decision) error
}

// Preparer is a command with work before the writer: hash, seal, store blobs.
type Preparer interface {
	Prepare(ctx context.Context, t Tools) error
}

// Effecter is a command with an effect for its caller after durability, such as
// opening a sealed value. It must be harmless to lose or to repeat; effects that
// must happen are jobs.
type Effecter interface {
	Effect(ctx context.Context, t Tools, seq int64) error
}

// Tools are what Prepare and Effect may use.
type Tools struct {
	Store   store.Store
	Keyring *secret.Keyring
	Now     func() time.Time
}

// Aim is what a command is aimed at.
type Aim struct {
	Scope  string // space or team whose ledger entries it concerns; "" = the installation
	App    string
	Target ledger.Target
	Need   authz.Permission
	On     authz.Resource
	// See is the permission that shows the target's existence: who lacks it is
	// told that it was not found. Empty: everybody may know.
	See authz.Permission
	// Hidden is what they are told was not found, so that it sounds as if it
	// were so; "" = the target's kind.
	Hidden string
	// New says that Scope does not exist yet; a refusal belongs to DenyScope.
	New       bool
	DenyScope string
}

// By is who does something, and how.
type By struct {
	Actor     ledger.Actor
	Via       ledger.Via
	RequestID string
	Reason    string
	Cause     *int64 // seq of the entry that made this one happen
	// Expect are revisions that the caller saw; another one is a conflict.
	Expect []Expect
}

// Expect is a document's expected revision.
type Expect struct {
	Kind document.Kind
	ID   string
	Rev  int64
}

// System is the platform itself acting.
func System(name string, via ledger.Via) By {
	return By{Actor: ledger.Actor{Kind: ledger.SystemActor, ID: "", Email: name}, Via: via}
}

// Subject tells authz who asks.
func (b By) Subject() authz.Subject {
	return authz.Subject{Account: b.account(), System: b.Actor.Kind == ledger.SystemActor}
}

func (b By) account() string {
	if b.Actor.Kind == ledger.AccountActor || b.Actor.Kind == ledger.ServiceActor {
		return b.Actor.ID
	}
	return ""
}

// Decision is what a command wants appended: one part for its own scope, and
// further parts where it concerns several.
type Decision struct {
	Part
	Also []*Other
	// Outcome is ledger.OK unless the command records a failure.
	Outcome ledger.Outcome
	// Error is what the actor is told of a failure.
	Error string
	// LoggedIn is the account that somebody anonymous proved to be. The entry is
	// that account's then. Only a log-in may name one.
	LoggedIn *document.Account
}

// Other is a part for another scope, with an action of its own.
type Other struct {
	Part
	Action string
	Scope  string
	App    string
	Target ledger.Target
}

// Part is what one entry holds besides who and when.
type Part struct {
	docs        []put
	Blobs       []ledger.Blob
	Details     []ledger.Detail
	Sealed      []secret.Sealed
	Keys        []secret.WrappedKey
	DestroyKeys []string
	Jobs        []store.Job
	Erased      []ledger.Erased
	Checkpoint  string
}

type put struct {
	kind document.Kind
	id   string
	doc  document.Doc // nil = delete
}

// Put records a document as it is from now on. Its times are the kernel's.
func (p *Part) Put(doc document.Doc) { p.change(put{doc.Kind(), doc.Ident(), doc}) }

// Delete records the end of a document.
func (p *Part) Delete(kind document.Kind, id string) { p.change(put{kind, id, nil}) }

// change keeps one change of each document: an entry holds what it is
// afterwards, so the last word counts.
func (p *Part) change(c put) {
	for i := range p.docs {
		if p.docs[i].kind == c.kind && p.docs[i].id == c.id {
			p.docs[i] = c
			return
		}
	}
	p.docs = append(p.docs, c)
}

// Note adds a fact to the entry. Values must not hold secrets or PHI.
func (p *Part) Note(name, value string) {
	p.Details = append(p.Details, ledger.Detail{Name: name, Value: value})
}

// Job asks for an effect after the entry is durable.
func (p *Part) Job(kind, ref string) { p.Jobs = append(p.Jobs, store.Job{Kind: kind, Ref: ref}) }
