package client

import (
	"context"
	"io"
	"net/http"
	"time"
)

// Account is a person's account.
type Account struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

// Me is the account that the client acts for.
func (c *Client) Me(ctx context.Context) (Account, error) {
	var a Account
	return a, c.Do(ctx, http.MethodGet, "/account", nil, &a)
}

// NewAccount is what CreateAccount needs.
type NewAccount struct {
	Email    string `json:"email"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password,omitempty"`
	Operator bool   `json:"operator,omitempty"`
}

// CreateAccount makes an account; operators may.
func (c *Client) CreateAccount(ctx context.Context, a NewAccount) (Account, error) {
	var out Account
	return out, c.Do(ctx, http.MethodPost, "/strongroom/accounts", a, &out)
}

// SuspendAccount ends what an account may do.
func (c *Client) SuspendAccount(ctx context.Context, email string) error {
	return c.Do(ctx, http.MethodPost, Path("strongroom", "accounts", email, "actions", "suspend"), nil, nil)
}

// Team owns spaces and apps.
type Team struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
}

// CreateTeam makes a team; operators may.
func (c *Client) CreateTeam(ctx context.Context, name string) (Team, error) {
	var t Team
	return t, c.Do(ctx, http.MethodPost, "/teams", map[string]string{"name": name}, &t)
}

// Request waits for a second person.
type Request struct {
	ID     string `json:"id"`
	What   string `json:"what"`
	By     User   `json:"by"`
	For    *User  `json:"account"`
	Role   string `json:"role"`
	Reason string `json:"reason"`
	State  string `json:"state"`
}

// User names an account.
type User struct {
	ID    string `json:"id"`
	Email string `json:"email"`
}

// Waiting is the answer of what may need a second person: Request is set if it
// waits for one.
type Waiting struct {
	Request *Request `json:"request"`
}

// GrantRole gives a person a role. exception grants a weighty one without a
// second person, where nobody could be one; it needs the client's Reason.
func (c *Client) GrantRole(ctx context.Context, team, email, role string, exception bool) (Waiting, error) {
	var w Waiting
	in := map[string]bool{"exception": exception}
	return w, c.Do(ctx, http.MethodPut, Path("teams", team, "members", email, "roles", role), in, &w)
}

// RevokeRole takes a role away.
func (c *Client) RevokeRole(ctx context.Context, team, email, role string) error {
	return c.Do(ctx, http.MethodDelete, Path("teams", team, "members", email, "roles", role), nil, nil)
}

// Requests lists what waits for a second person, and what was decided.
func (c *Client) Requests(ctx context.Context, team string) ([]Request, error) {
	return List[Request](ctx, c, Path("teams", team, "requests"))
}

// Decide grants or refuses a request.
func (c *Client) Decide(ctx context.Context, team, id string, grant bool) (Request, error) {
	action := "refuse"
	if grant {
		action = "grant"
	}
	var r Request
	return r, c.Do(ctx, http.MethodPost, Path("teams", team, "requests", id, "actions", action), nil, &r)
}

// Policy is what a team requires. Nil fields are left as they are.
type Policy struct {
	Approvals     *int  `json:"approvals,omitempty"`
	ApproveConfig *bool `json:"approve_config,omitempty"`
	Emergency     *bool `json:"emergency,omitempty"`
	Exception     bool  `json:"exception,omitempty"`
}

// Policy gives what a team requires.
func (c *Client) Policy(ctx context.Context, team string) (Policy, error) {
	var p Policy
	return p, c.Do(ctx, http.MethodGet, Path("teams", team, "policy"), nil, &p)
}

// SetPolicy changes it. Making it weaker waits for a second person.
func (c *Client) SetPolicy(ctx context.Context, team string, p Policy) (Waiting, error) {
	var w Waiting
	return w, c.Do(ctx, http.MethodPatch, Path("teams", team, "policy"), p, &w)
}

// MarkAddonEPHI says whether an add-on holds electronic protected health information.
func (c *Client) MarkAddonEPHI(ctx context.Context, addon, mark string) error {
	return c.Do(ctx, http.MethodPatch, Path("strongroom", "addons", addon), map[string]string{"ephi": mark}, nil)
}

// MarkEPHI says whether an app holds electronic protected health information.
func (c *Client) MarkEPHI(ctx context.Context, app, mark string) error {
	return c.Do(ctx, http.MethodPatch, Path("apps", app), map[string]string{"ephi": mark}, nil)
}

// Release of an app.
type Release struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Status  string `json:"status"`
	Current bool   `json:"current"`
	// Strongroom is what Heroku's release does not know.
	Strongroom struct {
		Emergency bool `json:"emergency"` // it went live without a second person
	} `json:"strongroom"`
}

// Approve lets a release of somebody else's through, or reviews one that went
// live in an emergency.
func (c *Client) Approve(ctx context.Context, app, release, note string) (Release, error) {
	var r Release
	return r, c.Do(ctx, http.MethodPost, Path("apps", app, "releases", release, "actions", "approve"), map[string]string{"note": note}, &r)
}

// Emergency lets a release that waits go live without a second person, where
// policy allows it; it needs the client's Reason.
func (c *Client) Emergency(ctx context.Context, app, release string) (Release, error) {
	var r Release
	return r, c.Do(ctx, http.MethodPost, Path("apps", app, "releases", release, "actions", "approve"), map[string]bool{"emergency": true}, &r)
}

// Session is somebody's access to a process or a database.
type Session struct {
	ID        string     `json:"id"`
	App       *Named     `json:"app"`
	Dyno      string     `json:"dyno"`
	Type      string     `json:"type"`
	User      User       `json:"user"`
	State     string     `json:"state"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	ExitCode  *int       `json:"exit_code"`
	Recording *string    `json:"recording"`
	Bytes     int64      `json:"bytes"`
}

// Named is something with a name.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Sessions lists those of a space.
func (c *Client) Sessions(ctx context.Context, space string) ([]Session, error) {
	return List[Session](ctx, c, Path("spaces", space, "sessions"))
}

// Recording streams a session's asciicast. The read is on record.
func (c *Client) Recording(ctx context.Context, space, session string) (io.ReadCloser, error) {
	return c.Stream(ctx, http.MethodGet, Path("spaces", space, "sessions", session, "recording"), nil)
}

// Export is what an evidence pack shall be about.
type Export struct {
	Space      string `json:"space"`
	From       string `json:"from"`         // RFC 3339
	To         string `json:"to,omitempty"` // default now
	Recordings bool   `json:"recordings,omitempty"`
	Destroyed  bool   `json:"destroyed,omitempty"` // the space is one that was destroyed
	// Since is a signed checkpoint, as Checkpoint streams it: the pack then
	// proves that the log only grew since.
	Since string `json:"since,omitempty"`
	// Items are ids of requirements of frameworks: the pack then holds only
	// their folders, and the reports that these rest on.
	Items  []string `json:"items,omitempty"`
	Notice string   `json:"notice,omitempty"` // the time whose state reports show; default the period's end
}

// Export streams an evidence pack.
func (c *Client) Export(ctx context.Context, x Export) (io.ReadCloser, error) {
	return c.Stream(ctx, http.MethodPost, "/strongroom/evidence", x)
}

// Installation is what is known of the whole.
type Installation struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	LogKey    string `json:"log_key"`
	BuildKey  string `json:"build_key"` // PEM
	LogNumber int    `json:"log_number"`
	Version   string `json:"version"`
	Entries   int64  `json:"entries"`
}

// Installation tells what the server says of itself.
func (c *Client) Installation(ctx context.Context) (Installation, error) {
	var i Installation
	return i, c.Do(ctx, http.MethodGet, "/strongroom", nil, &i)
}

// Checkpoint streams the signed checkpoint over everything that is durable now.
func (c *Client) Checkpoint(ctx context.Context) (io.ReadCloser, error) {
	return c.Stream(ctx, http.MethodGet, "/strongroom/ledger/checkpoint", nil)
}

// Attempt is the last result of trying what must not work.
type Attempt struct {
	Name    string    `json:"name"`
	From    string    `json:"from"`
	Target  string    `json:"target"`
	Refused bool      `json:"refused"`
	Result  string    `json:"result"`
	Count   int64     `json:"count"`
	Last    time.Time `json:"updated_at"`
}

// Attack has the platform try to break into a space now.
func (c *Client) Attack(ctx context.Context, space string) ([]Attempt, error) {
	var out []Attempt
	return out, c.Do(ctx, http.MethodPost, Path("spaces", space, "attempts"), nil, &out)
}

// ConfirmClock lets the ledger go on with a clock that it did not believe.
func (c *Client) ConfirmClock(ctx context.Context) error {
	return c.Do(ctx, http.MethodPost, "/strongroom/ledger/actions/confirm-clock", nil, nil)
}

// Erasure is an entry that erased bodies, with what remains of each.
type Erasure struct {
	Seq    int64 `json:"seq"`
	Erased []struct {
		Seq     int64  `json:"seq"`
		Action  string `json:"action"`
		Actor   string `json:"actor"` // id
		Outcome string `json:"outcome"`
		Rule    string `json:"rule"`
	} `json:"erased"`
}

// EraseBodies deletes the bodies of entries of one scope whose retention has
// ended; confirm is the scope's name.
func (c *Client) EraseBodies(ctx context.Context, seqs []int64, confirm string) (Erasure, error) {
	var e Erasure
	in := struct {
		Seqs    []int64 `json:"seqs"`
		Confirm string  `json:"confirm"`
	}{seqs, confirm}
	return e, c.Do(ctx, http.MethodPost, "/strongroom/ledger/actions/erase", in, &e)
}
