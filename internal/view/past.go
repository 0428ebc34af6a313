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
}

// Able is somebody who could do something with a thing.
type Able struct {
	ID          string   `json:"id"`
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	Roles       []string `json:"roles"`
	Permissions []string `json:"permissions"`
	Holds       []Hold   `json:"holds"`
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
