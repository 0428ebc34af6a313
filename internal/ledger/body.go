package ledger

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// MaxBody bounds a body's bytes, so that a line of the evidence pack (seq,
// salt, body) stays within 4 MiB.
const MaxBody = 4<<20 - 64

// Outcome says what became of an attempt.
type Outcome string

// The outcomes.
const (
	OK     Outcome = "ok"
	Denied Outcome = "denied" // refused by a rule
	Failed Outcome = "failed" // allowed, and did not succeed
)

// ActorKind says what kind of thing acted.
type ActorKind string

// The kinds of actor.
const (
	AccountActor   ActorKind = "account"
	ServiceActor   ActorKind = "service"
	SystemActor    ActorKind = "system"
	AnonymousActor ActorKind = "anonymous"
)

// Via says through which door an attempt came.
type Via string

// The doors.
const (
	ViaAPI        Via = "api"
	ViaCLI        Via = "cli"
	ViaConsole    Via = "console"
	ViaGit        Via = "git"
	ViaSSH        Via = "ssh"
	ViaRendezvous Via = "rendezvous"
	ViaReconciler Via = "reconciler"
	ViaProbe      Via = "probe"
	ViaScheduler  Via = "scheduler"
)

// Body is the private part of an entry. The first group of members is always
// written, the second where it applies.
type Body struct {
	Action    string  `json:"action"` // noun.verb, from the catalogue of commands
	Outcome   Outcome `json:"outcome"`
	Actor     Actor   `json:"actor"`
	Via       Via     `json:"via"`
	RequestID string  `json:"request_id"`
	Target    Target  `json:"target"`

	App        string   `json:"app,omitempty"`        // UUID of the app concerned
	Reason     string   `json:"reason,omitempty"`     // justification or ticket given
	Cause      *int64   `json:"cause,omitempty"`      // seq of the entry that made this one happen
	Changes    []Change `json:"changes,omitempty"`    // whole documents after the change
	Error      string   `json:"error,omitempty"`      // what the actor was told
	Count      int64    `json:"count,omitempty"`      // this entry stands for so many identical denials
	Blobs      []Blob   `json:"blobs,omitempty"`      // bulk evidence kept in the blob store
	Erased     []Erased `json:"erased,omitempty"`     // only in body.erase
	Details    []Detail `json:"details,omitempty"`    // facts particular to the action
	Checkpoint string   `json:"checkpoint,omitempty"` // a signed checkpoint: log.witnessed, the start of a new log
}

// Actor is who acted, as known at that moment. All members are always written.
type Actor struct {
	Kind      ActorKind `json:"kind"`
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	IP        string    `json:"ip"`
	UserAgent string    `json:"user_agent"`
	Session   string    `json:"session"`
	MFA       bool      `json:"mfa"`
	Roles     []string  `json:"roles"`
}

// Target is what was acted upon.
type Target struct {
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Change is one document as it is after the entry. Rev grows by exactly one
// per (Kind, ID), also across deletion.
type Change struct {
	Kind string          `json:"kind"`
	ID   string          `json:"id"`
	Rev  int64           `json:"rev"`
	Doc  json.RawMessage `json:"doc"` // nil or null: deleted
}

// Deleted reports whether the change removes the document.
func (c *Change) Deleted() bool { return len(c.Doc) == 0 || string(c.Doc) == "null" }

// Blob names bulk evidence by the digest of its plaintext.
type Blob struct {
	SHA256    string `json:"sha256"` // sha256:<hex>
	Size      int64  `json:"size"`
	MediaType string `json:"media_type"`
	Role      string `json:"role"`
}

// Erased is what remains of an erased body.
type Erased struct {
	Seq     int64   `json:"seq"`
	Action  string  `json:"action"`
	Actor   string  `json:"actor"` // the actor's id
	Outcome Outcome `json:"outcome"`
	Rule    string  `json:"rule"` // the retention rule that ended
}

// SixYears is the rule by which bodies are erased: six years from when they were
// written, and from when what they hold was last in force (45 CFR 164.316(b)(2)(i)).
const SixYears = "six-years"

const keptYears = 6

// KeptUntil is when that retention ends.
func KeptUntil(inForce time.Time) time.Time { return inForce.AddDate(keptYears, 0, 0) }

// KeptSince is the time since which every body must be there.
func KeptSince(now time.Time) time.Time { return now.AddDate(-keptYears, 0, 0) }

// Detail is one fact of an action. Names are the code's, values may be a user's.
type Detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Canonical returns the body's bytes as they are hashed and kept.
func (b *Body) Canonical() ([]byte, error) {
	c := *b
	if c.Actor.Roles == nil {
		c.Actor.Roles = []string{}
	}
	c.Changes = slices.Clone(c.Changes)
	for i := range c.Changes {
		if c.Changes[i].Deleted() {
			c.Changes[i].Doc = nil // encoding/json refuses one that is empty and not nil
		}
	}
	out, err := Canonicalize(&c)
	if err != nil {
		return nil, err
	}
	if len(out) > MaxBody {
		return nil, errBodySize()
	}
	return out, nil
}

func errBodySize() error {
	return fault.New(fault.TooLarge, "the ledger entry would be larger than 4 MiB")
}
