package document

import "time"

// Kinds of continuous compliance.
const (
	KindStatus  Kind = "status"
	KindBeat    Kind = "beat"
	KindFinding Kind = "finding"
)

// What a check can say.
const (
	StatusPass          = "pass"
	StatusFail          = "fail"
	StatusNotApplicable = "not-applicable"
	StatusUnknown       = "unknown"
)

// Status is what a check says of one subject since a moment. It changes when
// what the check says changes, or when the check or the catalogue does; that it
// went on saying so in between is what beats are for.
type Status struct {
	Base
	Check     string    `json:"check"`
	Version   int       `json:"version"`   // of the check
	Catalogue string    `json:"catalogue"` // digest
	Scope     string    `json:"scope"`     // space or team, "" = the installation
	Subject   string    `json:"subject"`   // id of what was checked, "" = all of the scope
	Name      string    `json:"name"`      // of the subject, for people
	Status    string    `json:"status"`
	Since     time.Time `json:"since"`
	Facts     []string  `json:"facts"`  // what was seen, in words; no secrets, no PHI
	Seqs      []int64   `json:"seqs"`   // entries that it was seen in
	Before    string    `json:"before"` // the status that this one ended, "" = none
}

// Kind is KindStatus.
func (*Status) Kind() Kind { return KindStatus }

// Keys finds statuses by check, scope, and check with subject.
func (s *Status) Keys() []Key {
	return []Key{{"all", ""}, {"check", s.Check}, {"scope", s.Scope}, {"one", StatusKey(s.Check, s.Scope, s.Subject)}}
}

// Within is the scope that was checked.
func (s *Status) Within() string { return s.Scope }

// StatusKey finds the status of a check on a subject under the key "one".
func StatusKey(check, scope, subject string) string { return check + "+" + scope + "+" + subject }

// Beat says when checks ran, whatever they said. There is one; each entry that
// writes it has the newest of every check.
type Beat struct {
	Base
	Runs []Run `json:"runs"`
}

// Run is a time in which a check ran: between From and To no run was late. What
// lies between one and the next nobody knows.
type Run struct {
	Check string    `json:"check"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Count int64     `json:"count"`
}

// Kind is KindBeat.
func (*Beat) Kind() Kind { return KindBeat }

// Keys finds the beat.
func (b *Beat) Keys() []Key { return []Key{{"all", ""}} }

// Within is the installation: checks run for all scopes in one round.
func (*Beat) Within() string { return "" }

// Of gives the newest run of a check, false if there is none.
func (b *Beat) Of(check string) (Run, bool) {
	for _, r := range b.Runs {
		if r.Check == check {
			return r, true
		}
	}
	return Run{}, false
}

// Finding states.
const (
	FindingOpen     = "open"
	FindingAccepted = "accepted"
	FindingClosed   = "closed"
)

// Finding is a failure of a check on a subject, from its first to its last
// moment. Only the check's passing again closes it.
type Finding struct {
	Base
	Check    string     `json:"check"`
	Scope    string     `json:"scope"`
	Subject  string     `json:"subject"`
	Name     string     `json:"name"` // of the subject
	Controls []string   `json:"controls"`
	Severity string     `json:"severity"`
	State    string     `json:"state"`
	Facts    []string   `json:"facts"`
	Seqs     []int64    `json:"seqs"`
	OpenedAt time.Time  `json:"opened_at"`
	DueAt    time.Time  `json:"due_at"`
	ClosedAt *time.Time `json:"closed_at"`
	// OverdueAt is when it was first seen to be open after its date.
	OverdueAt *time.Time  `json:"overdue_at"`
	Owner     string      `json:"owner"` // address; "" = nobody yet
	Accepted  *Acceptance `json:"accepted"`
	// MendedBy is who made the last change before it was seen to pass again, as
	// far as that went through the platform.
	MendedBy string `json:"mended_by"`
}

// Acceptance is a decision to live with a finding for a time.
type Acceptance struct {
	By     string    `json:"by"`
	Email  string    `json:"email"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
}

// Kind is KindFinding.
func (*Finding) Kind() Kind { return KindFinding }

// Late tells whether it is open after its date and nobody was reminded yet.
func (f *Finding) Late(now time.Time) bool {
	return f.State == FindingOpen && f.OverdueAt == nil && now.After(f.DueAt)
}

// Keys finds findings by scope, check and state, and those that are not closed
// by what they are about.
func (f *Finding) Keys() []Key {
	keys := []Key{{"all", ""}, {"scope", f.Scope}, {"check", f.Check}, {"state", f.State}}
	if f.State != FindingClosed {
		keys = append(keys, Key{"open", StatusKey(f.Check, f.Scope, f.Subject)})
	}
	return keys
}

// Within is the scope that it concerns.
func (f *Finding) Within() string { return f.Scope }
