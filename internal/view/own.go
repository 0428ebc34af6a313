package view

import (
	"encoding/json"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
)

// The resources that Heroku does not have.

// Installation is the whole: its id names the ledger.
type Installation struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	LogNumber int    `json:"log_number"`
	LogKey    string `json:"log_key"`
	BuildKey  string `json:"build_key"` // PEM
	Version   string `json:"version"`
	CreatedAt Time   `json:"created_at"`
	Entries   int64  `json:"entries"`
}

// OfInstallation shows the installation with the size of its ledger.
func OfInstallation(i *document.Installation, version string, size int64) Installation {
	return Installation{i.ID, i.Name, i.LogNumber, i.LogKey, i.BuildKey, version, Time(i.CreatedAt), size}
}

// MemberRoles are all roles that an account holds in a team, and who gave them.
type MemberRoles struct {
	User   User     `json:"user"`
	Roles  []string `json:"roles"`
	Grants []Grant  `json:"grants"`
}

// Grant tells who gave a role.
type Grant struct {
	Role     string `json:"role"`
	By       User   `json:"granted_by"`
	Approver *Only  `json:"approver"`
	At       Time   `json:"granted_at"`
}

// OfMemberRoles shows a membership in full.
func OfMemberRoles(m *document.Member) MemberRoles {
	out := MemberRoles{User: User{m.Account, m.Email}, Roles: append([]string{}, m.Roles...), Grants: []Grant{}}
	for _, g := range m.GrantedBy {
		grant := Grant{Role: g.Role, By: userOf(g.By, g.ByEmail), At: Time(g.At)}
		if g.Approver != "" {
			grant.Approver = &Only{g.Approver}
		}
		out.Grants = append(out.Grants, grant)
	}
	return out
}

// Policy is what a team requires.
type Policy struct {
	Approvals     int  `json:"approvals"`
	ApproveConfig bool `json:"approve_config"`
	Emergency     bool `json:"emergency"`
	UpdatedAt     Time `json:"updated_at"`
}

// OfPolicy shows a policy.
func OfPolicy(p *document.Policy) Policy {
	return Policy{p.Approvals, p.ApproveConfig, p.Emergency, Time(p.UpdatedAt)}
}

// Request waits for a second person.
type Request struct {
	ID        string  `json:"id"`
	What      string  `json:"what"`
	By        User    `json:"by"`
	Account   *User   `json:"account"`
	Role      *string `json:"role"`
	Policy    *Policy `json:"policy"`
	Reason    string  `json:"reason"`
	State     string  `json:"state"`
	DecidedBy *Only   `json:"decided_by"`
	CreatedAt Time    `json:"created_at"`
	UpdatedAt Time    `json:"updated_at"`
}

// OfRequest shows a request.
func OfRequest(r *document.Request) Request {
	out := Request{
		ID: r.ID, What: r.What, By: userOf(r.By, r.ByEmail), Role: text(r.Role), Reason: r.Reason, State: r.State,
		CreatedAt: Time(r.CreatedAt), UpdatedAt: Time(r.UpdatedAt),
	}
	if r.Account != "" {
		out.Account = &User{r.Account, r.Email}
	}
	if r.Policy != nil {
		p := OfPolicy(r.Policy)
		p.UpdatedAt = Time(r.CreatedAt)
		out.Policy = &p
	}
	if r.DecidedBy != "" {
		out.DecidedBy = &Only{r.DecidedBy}
	}
	return out
}

// Pending is the answer to what was not done because a second person must
// agree first.
type Pending struct {
	Request Request `json:"request"`
}

// Exception is something that should have had a second person and had none.
type Exception struct {
	ID        string `json:"id"`
	What      string `json:"what"`
	Subject   string `json:"subject"`
	By        User   `json:"by"`
	Reason    string `json:"reason"`
	CreatedAt Time   `json:"created_at"`
}

// OfException shows an exception.
func OfException(e *document.Exception) Exception {
	return Exception{e.ID, e.What, e.Subject, userOf(e.By, e.ByEmail), e.Reason, Time(e.CreatedAt)}
}

// Session is somebody's recorded access to a process or a database.
type Session struct {
	ID        string  `json:"id"`
	App       *Ref    `json:"app"`
	Space     Only    `json:"space"`
	Dyno      string  `json:"dyno"`
	Type      string  `json:"type"`
	User      User    `json:"user"`
	State     string  `json:"state"`
	StartedAt Time    `json:"started_at"`
	EndedAt   *Time   `json:"ended_at"`
	ExitCode  *int    `json:"exit_code"`
	Recording *string `json:"recording"`
	Bytes     int64   `json:"bytes"`
}

// OfSession shows a session; app is nil where it is gone.
func OfSession(s *document.Session, app *document.App) Session {
	out := Session{
		ID: s.ID, Space: Only{s.Space}, Dyno: s.Dyno, Type: s.Type, User: userOf(s.By, s.ByEmail), State: s.State,
		StartedAt: Time(s.CreatedAt), EndedAt: maybe(s.EndedAt), ExitCode: s.ExitCode, Recording: text(s.Recording), Bytes: s.Bytes,
	}
	if app != nil {
		out.App = &Ref{app.ID, app.Name}
	}
	return out
}

// Pack is an evidence pack that was handed out.
type Pack struct {
	ID        string   `json:"id"`
	Scope     Only     `json:"scope"`
	Spaces    []string `json:"spaces"`
	From      Time     `json:"from"`
	To        Time     `json:"to"`
	By        User     `json:"by"`
	Manifest  *string  `json:"manifest"`
	CreatedAt Time     `json:"created_at"`
}

// OfPack shows a pack.
func OfPack(p *document.Pack) Pack {
	return Pack{
		p.ID,
		Only{p.Scope},
		append([]string{}, p.Spaces...), Time(p.From), Time(p.To),
		userOf(p.By, p.ByEmail),
		text(p.Manifest), Time(p.CreatedAt),
	}
}

// Attempt is the last result of trying what must not work.
type Attempt struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	From      string `json:"from"`
	Target    string `json:"target"`
	Refused   bool   `json:"refused"`
	Result    string `json:"result"`
	Count     int64  `json:"count"`
	UpdatedAt Time   `json:"updated_at"`
}

// OfAttempt shows an attempt.
func OfAttempt(a *document.Attempt) Attempt {
	return Attempt{a.ID, a.Name, a.From, a.Target, a.Refused, a.Result, a.Count, Time(a.UpdatedAt)}
}

// Entry is one entry of the ledger.
type Entry struct {
	Seq   int64           `json:"seq"`
	Time  string          `json:"time"` // as it is hashed
	Scope *string         `json:"scope"`
	Body  json.RawMessage `json:"body"` // null once it was erased
}

// OfEntry shows an entry; body is nil once it was erased.
func OfEntry(h ledger.Header, body []byte) Entry {
	return Entry{Seq: h.Seq, Time: ledger.FormatTime(h.Time), Scope: h.Scope, Body: body}
}

// Erasure is an entry that erased bodies, with what remains of each.
type Erasure struct {
	Seq    int64           `json:"seq"`
	Erased []ledger.Erased `json:"erased"`
}
