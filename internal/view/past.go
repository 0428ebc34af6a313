package view

import (
	"encoding/json"

	"github.com/strongroom/strongroom/internal/document"
)

// Past is what there was at a moment.
type Past struct {
	At    string      `json:"at"`
	Size  int64       `json:"size"` // entries before it
	Kinds []PastKinds `json:"kinds"`
}

// PastKinds is how much there was of a kind.
type PastKinds struct {
	Kind  document.Kind `json:"kind"`
	Count int           `json:"count"`
	More  bool          `json:"more"` // at least so many: counting stopped
	Lost  int           `json:"lost"` // of which it is not known whether they still were
}

// PastErasure is why something is not known: the body of an entry was erased. Of
// that entry it has what is left.
type PastErasure struct {
	Seq    int64  `json:"seq"` // since which entry
	Time   string `json:"time"`
	Action string `json:"action"`
	Actor  string `json:"actor"` // id
	Rule   string `json:"rule"`
	By     int64  `json:"by"` // the entry that erased it
	At     string `json:"at"`
	Reason string `json:"reason"`
}

// PastDocument is a document as it was, and the entry that made it so.
type PastDocument struct {
	Kind  document.Kind `json:"kind"`
	ID    string        `json:"id"`
	Name  *string       `json:"name"`
	Scope *string       `json:"scope"` // null = the installation
	Rev   int64         `json:"rev"`
	Seq   int64         `json:"seq"`
	Doc   document.Doc  `json:"doc"`
	// Erased says why the document is null: whether it still was is not known.
	Erased *PastErasure `json:"erased"`
}

// Difference is what became of a document between two moments.
type Difference struct {
	Kind    document.Kind      `json:"kind"`
	ID      string             `json:"id"`
	Name    *string            `json:"name"`
	Scope   *string            `json:"scope"`
	Change  string             `json:"change"`
	Times   int64              `json:"times"` // how often it was written
	Members []DifferenceMember `json:"members"`
	Last    Origin             `json:"last"` // the entry that wrote it last
	// Why it is not known what it was at the first and at the second moment.
	FromErased *PastErasure `json:"from_erased"`
	ToErased   *PastErasure `json:"to_erased"`
}

// DifferenceMember is what became of a document's member.
type DifferenceMember struct {
	Name string          `json:"name"`
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// Origin is an entry that made something what it is.
type Origin struct {
	Seq    int64   `json:"seq"`
	Time   string  `json:"time"` // as it is hashed
	Action string  `json:"action"`
	By     string  `json:"by"`
	Reason *string `json:"reason"`
	// Erased is set where an earlier entry may have made it so, whose body was
	// erased, or where it was this one's.
	Erased *PastErasure `json:"erased"`
}

// Able is somebody who could do something with a thing; or, with Lost, a document
// that is not known and might say so of somebody.
type Able struct {
	ID          string        `json:"id"`
	Email       string        `json:"email"`
	Name        string        `json:"name"`
	Roles       []string      `json:"roles"`
	Permissions []string      `json:"permissions"`
	Holds       []Hold        `json:"holds"`
	Lost        *PastDocument `json:"lost"`
}

// Hold is by what somebody could do it.
type Hold struct {
	As          string   `json:"as"`
	On          HoldOn   `json:"on"`
	Permissions []string `json:"permissions"`
	Entry       Origin   `json:"entry"` // that gave it
	GivenBy     string   `json:"given_by"`
	Approver    *string  `json:"approver"` // the second person
}

// HoldOn is what a role or an access is on.
type HoldOn struct {
	Kind document.Kind `json:"kind"`
	ID   *string       `json:"id"`
	Name *string       `json:"name"`
}
