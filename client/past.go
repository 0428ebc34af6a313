package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Past is what there was at a moment.
type Past struct {
	At    time.Time `json:"at"`
	Size  int64     `json:"size"` // entries before it
	Kinds []struct {
		Kind  string `json:"kind"`
		Count int    `json:"count"`
		More  bool   `json:"more"` // at least so many
		Lost  int    `json:"lost"` // of which it is not known whether they still were
	} `json:"kinds"`
}

// PastErasure is why something is not known: the body of an entry was erased. Of
// that entry it has what is left.
type PastErasure struct {
	Seq    int64     `json:"seq"` // since which entry
	Time   time.Time `json:"time"`
	Action string    `json:"action"`
	Actor  string    `json:"actor"` // id
	Rule   string    `json:"rule"`
	By     int64     `json:"by"` // the entry that erased it
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// PastDocument is a document as it was, and the entry that made it so.
type PastDocument struct {
	Kind  string          `json:"kind"`
	ID    string          `json:"id"`
	Name  *string         `json:"name"`
	Scope *string         `json:"scope"` // null = the installation
	Rev   int64           `json:"rev"`
	Seq   int64           `json:"seq"`
	Doc   json.RawMessage `json:"doc"`
	// Erased says why the document is null: whether it still was is not known.
	Erased *PastErasure `json:"erased"`
}

// Difference is what became of a document between two moments.
type Difference struct {
	Kind    string  `json:"kind"`
	ID      string  `json:"id"`
	Name    *string `json:"name"`
	Scope   *string `json:"scope"`
	Change  string  `json:"change"`
	Times   int64   `json:"times"` // how often it was written
	Members []struct {
		Name string          `json:"name"`
		From json.RawMessage `json:"from"`
		To   json.RawMessage `json:"to"`
	} `json:"members"`
	Last Origin `json:"last"` // the entry that wrote it last
	// Why it is not known what it was at the first and at the second moment.
	FromErased *PastErasure `json:"from_erased"`
	ToErased   *PastErasure `json:"to_erased"`
}

// Origin is an entry that made something what it is.
type Origin struct {
	Seq    int64     `json:"seq"`
	Time   time.Time `json:"time"`
	Action string    `json:"action"`
	By     string    `json:"by"`
	Reason *string   `json:"reason"`
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

// Hold is by what somebody could do it: a role, or access to a single app.
type Hold struct {
	As string `json:"as"`
	On struct {
		Kind string  `json:"kind"`
		ID   *string `json:"id"`
		Name *string `json:"name"`
	} `json:"on"`
	Permissions []string `json:"permissions"`
	Entry       Origin   `json:"entry"` // that gave it
	GivenBy     string   `json:"given_by"`
	Approver    *string  `json:"approver"` // the second person
}

func travel(path string, params map[string]string) string {
	v := url.Values{}
	for name, value := range params {
		if value != "" {
			v.Set(name, value)
		}
	}
	return path + "?" + v.Encode()
}

// Past tells what there was before a time (RFC 3339), by kind; scope is a space or
// a team, "" = all that the caller reads the evidence of.
func (c *Client) Past(ctx context.Context, at, scope string) (Past, error) {
	var p Past
	return p, c.Do(ctx, http.MethodGet, travel("/strongroom/state", map[string]string{"at": at, "scope": scope}), nil, &p)
}

// PastDocuments lists the documents of a kind that there were.
func (c *Client) PastDocuments(ctx context.Context, at, scope, kind string) ([]PastDocument, error) {
	return List[PastDocument](ctx, c, travel(Path("strongroom", "state", kind), map[string]string{"at": at, "scope": scope}))
}

// PastDocument tells what one document was, by its id or its name.
func (c *Client) PastDocument(ctx context.Context, at, scope, kind, id string) (PastDocument, error) {
	var d PastDocument
	return d, c.Do(ctx, http.MethodGet, travel(Path("strongroom", "state", kind, id), map[string]string{"at": at, "scope": scope}), nil, &d)
}

// Differences lists what became of documents between two times; kind "" = of all.
func (c *Client) Differences(ctx context.Context, from, to, scope, kind string) ([]Difference, error) {
	return List[Difference](ctx, c, travel("/strongroom/diff", map[string]string{"from": from, "to": to, "scope": scope, "kind": kind}))
}

// WhoCould lists who could do something with an app, a space or a team; permission
// "" = anything.
func (c *Client) WhoCould(ctx context.Context, on, at, permission string) ([]Able, error) {
	return List[Able](ctx, c, travel("/strongroom/who-could", map[string]string{"on": on, "at": at, "do": permission}))
}
