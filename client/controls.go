package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Control is how a control stands, in short.
type Control struct {
	ID       string     `json:"id"`
	Title    string     `json:"title"`
	Severity string     `json:"severity"`
	Status   string     `json:"status"` // pass, fail, unknown, not-applicable, reported, unproven
	Since    *time.Time `json:"since"`
	Findings int        `json:"findings"`
	Maps     []Mapping  `json:"maps"`
	Period   *Share     `json:"period,omitempty"`
}

// Mapping says how far a control meets a requirement.
type Mapping struct {
	Framework string `json:"framework"`
	To        string `json:"to"`
	Extent    string `json:"extent"`
}

// Share is how far a control held over a period.
type Share struct {
	From          time.Time `json:"from"`
	To            time.Time `json:"to"`
	Effectiveness *float64  `json:"effectiveness"`
	Gaps          int       `json:"gaps"`
}

// ControlDetail is a control with everything that is known of it now.
type ControlDetail struct {
	Control
	Statement   string            `json:"statement"`
	Why         string            `json:"why"`
	Responsible map[string]string `json:"responsible"`
	Settings    []string          `json:"settings"`
	Every       string            `json:"every"`
	Failure     string            `json:"failure"`
	Remediation string            `json:"remediation"`
	Depends     []string          `json:"depends"`
	Checks      []Round           `json:"checks"`
	Planned     []string          `json:"planned"`
	Reports     []string          `json:"reports"`
	Records     []string          `json:"records"`
	Missing     *string           `json:"missing"`
	Catalogue   string            `json:"catalogue"`
}

// Round is what a check says now.
type Round struct {
	ID      string     `json:"id"`
	Title   string     `json:"title"`
	Version int        `json:"version"`
	Every   int64      `json:"every"` // seconds
	Status  string     `json:"status"`
	RanAt   *time.Time `json:"ran_at"`
	Late    bool       `json:"late"`
	Says    []Says     `json:"says"`
}

// Says is what a check says of one subject.
type Says struct {
	Scope   string    `json:"scope"`
	Subject string    `json:"subject"`
	Name    string    `json:"name"`
	Status  string    `json:"status"`
	Since   time.Time `json:"since"`
	Facts   []string  `json:"facts"`
	Seqs    []int64   `json:"seqs"`
}

// History is how a control stood over a period.
type History struct {
	Control       string     `json:"control"`
	Title         string     `json:"title"`
	From          time.Time  `json:"from"`
	To            time.Time  `json:"to"`
	Effectiveness *float64   `json:"effectiveness"`
	Intervals     []Interval `json:"intervals"`
	Gaps          []Gap      `json:"gaps"`
}

// Interval is a time of one status.
type Interval struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Status string    `json:"status"`
	Seq    *int64    `json:"seq"`
	Facts  []string  `json:"facts"`
}

// Gap is a time in which something did not pass.
type Gap struct {
	Check    string    `json:"check"`
	Scope    string    `json:"scope"`
	Subject  string    `json:"subject"`
	Name     string    `json:"name"`
	Status   string    `json:"status"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Open     bool      `json:"open"`
	Facts    []string  `json:"facts"`
	Seqs     []int64   `json:"seqs"`
	Seq      *int64    `json:"seq"`
	EndSeq   *int64    `json:"end_seq"`
	Finding  *string   `json:"finding"`
	Owner    *string   `json:"owner"`
	MendedBy *string   `json:"mended_by"`
}

// Controls asks for a list of controls. Empty fields do not restrict.
type Controls struct {
	Framework string
	Scope     string // a space or a team
	From, To  string // RFC 3339; with From the answers have a Share
	Destroyed bool   // the scope is a space that was destroyed; it needs From
}

func (x Controls) query() string {
	v := url.Values{}
	for name, value := range map[string]string{"framework": x.Framework, "scope": x.Scope, "from": x.From, "to": x.To} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if x.Destroyed {
		v.Set("destroyed", "true")
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}

// Controls lists how the controls stand.
func (c *Client) Controls(ctx context.Context, x Controls) ([]Control, error) {
	return List[Control](ctx, c, "/strongroom/controls"+x.query())
}

// Control tells everything of a control.
func (c *Client) Control(ctx context.Context, id string, x Controls) (ControlDetail, error) {
	var d ControlDetail
	return d, c.Do(ctx, http.MethodGet, Path("strongroom", "controls", id)+x.query(), nil, &d)
}

// ControlHistory tells how a control stood over a period, by default the last 90
// days.
func (c *Client) ControlHistory(ctx context.Context, id string, x Controls) (History, error) {
	var h History
	return h, c.Do(ctx, http.MethodGet, Path("strongroom", "controls", id, "history")+x.query(), nil, &h)
}

// Finding is something that failed, until it passes again.
type Finding struct {
	ID       string      `json:"id"`
	Check    string      `json:"check"`
	Controls []string    `json:"controls"`
	Severity string      `json:"severity"`
	State    string      `json:"state"`
	Overdue  bool        `json:"overdue"`
	Scope    string      `json:"scope"`
	Subject  string      `json:"subject"`
	Name     string      `json:"name"`
	Facts    []string    `json:"facts"`
	Seqs     []int64     `json:"seqs"`
	OpenedAt time.Time   `json:"opened_at"`
	DueAt    time.Time   `json:"due_at"`
	ClosedAt *time.Time  `json:"closed_at"`
	Owner    *string     `json:"owner"`
	Accepted *Acceptance `json:"accepted"`
	MendedBy *string     `json:"mended_by"`
}

// Acceptance is a decision to live with a finding for a time.
type Acceptance struct {
	Email  string    `json:"email"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
}

// Findings lists what failed and does not pass yet; all lists also what does.
func (c *Client) Findings(ctx context.Context, all bool) ([]Finding, error) {
	path := "/strongroom/findings"
	if all {
		path += "?state=all"
	}
	return List[Finding](ctx, c, path)
}

// AcceptFinding decides to live with a finding until a time.
func (c *Client) AcceptFinding(ctx context.Context, id, reason string, until time.Time) (Finding, error) {
	var f Finding
	in := map[string]string{"reason": reason, "until": until.UTC().Format(time.RFC3339)}
	return f, c.Do(ctx, http.MethodPost, Path("strongroom", "findings", id, "actions", "accept"), in, &f)
}

// AssignFinding gives a finding an owner.
func (c *Client) AssignFinding(ctx context.Context, id, email string) (Finding, error) {
	var f Finding
	return f, c.Do(ctx, http.MethodPost, Path("strongroom", "findings", id, "actions", "assign"), map[string]string{"email": email}, &f)
}
