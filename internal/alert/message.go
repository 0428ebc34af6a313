package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/document"
	"github.com/strongroom/strongroom/internal/ledger"
	"github.com/strongroom/strongroom/internal/store"
)

// What a message tells of.
const (
	Opened   = "finding.opened"
	Reopened = "finding.reopened"
	Accepted = "finding.accepted"
	Closed   = "finding.closed"
	Overdue  = "finding.overdue"
	Summary  = "findings.summary"
	Test     = "alert.test"
)

// Message is what is sent. Its JSON is a webhook's body.
type Message struct {
	ID           string         `json:"id"` // the same when it is sent again
	Event        string         `json:"event"`
	At           time.Time      `json:"at"` // of the entry
	Seq          int64          `json:"seq"`
	Installation string         `json:"installation"`
	Finding      *Finding       `json:"finding,omitempty"`
	Count        int            `json:"count,omitempty"`  // of a summary
	Events       map[string]int `json:"events,omitempty"` // how many of each
	Findings     []Finding      `json:"findings,omitempty"`
}

// Finding is what a message tells of a finding. Its facts may name people, and
// are for those who may read them: whoever looks it up.
type Finding struct {
	ID       string     `json:"id"`
	Event    string     `json:"event"`
	Check    string     `json:"check"`
	Title    string     `json:"title"`
	Controls []string   `json:"controls"`
	Severity string     `json:"severity"`
	State    string     `json:"state"`
	Scope    string     `json:"scope"`
	Where    string     `json:"where"`   // the scope's name
	Subject  string     `json:"subject"` // its name; "" = a person
	OpenedAt time.Time  `json:"opened_at"`
	DueAt    time.Time  `json:"due_at"`
	ClosedAt *time.Time `json:"closed_at"`
	Until    *time.Time `json:"accepted_until"`
}

// maxListed bounds the findings that a summary names.
const maxListed = 50

// message is what jobs ask for; nil if nothing is left of what they tell of.
func (s *Sender) message(ctx context.Context, a *document.Alert, jobs []store.Job) (*Message, error) {
	var told []Message
	for _, j := range jobs {
		m, err := s.event(ctx, a, j.Seq)
		if err != nil {
			return nil, err
		}
		if m != nil {
			told = append(told, *m)
		}
	}
	if len(told) == 0 {
		return nil, nil
	}
	if len(told) == 1 {
		return &told[0], nil
	}
	return summary(a, told), nil
}

// summary tells of several events at once: the worst by name.
func summary(a *document.Alert, told []Message) *Message {
	first, last := told[0], told[len(told)-1]
	m := &Message{
		ID: fmt.Sprintf("%s.%d-%d", a.ID, first.Seq, last.Seq), Event: Summary, At: last.At, Seq: last.Seq, Installation: last.Installation,
		Count: len(told), Events: map[string]int{},
	}
	for _, x := range told {
		m.Events[x.Event]++
		if x.Finding != nil {
			m.Findings = append(m.Findings, *x.Finding)
		}
	}
	slices.SortStableFunc(m.Findings, func(a, b Finding) int {
		switch {
		case a.Severity == b.Severity:
			return 0
		case document.AtLeast(a.Severity, b.Severity):
			return -1
		}
		return 1
	})
	m.Findings = m.Findings[:min(len(m.Findings), maxListed)]
	return m
}

// event is what an entry tells.
func (s *Sender) event(ctx context.Context, a *document.Alert, seq int64) (*Message, error) {
	rec, err := s.cfg.Store.Entry(ctx, seq)
	if err != nil || rec.Body == nil {
		return nil, err
	}
	body, err := ledger.ParseBody(rec.Body)
	if err != nil {
		return nil, err
	}
	m := &Message{At: rec.Header.Time, Seq: seq}
	err = s.cfg.Store.Read(ctx, func(v store.View) error {
		i, err := store.One[*document.Installation](v, "all", "")
		if err != nil {
			return err
		}
		m.Installation = i.Name
		if body.Action == Test {
			m.ID, m.Event = fmt.Sprintf("%s.%d", a.ID, seq), Test
			return nil
		}
		f := finding(body.Changes)
		if f == nil {
			m = nil
			return nil
		}
		m.ID, m.Event = fmt.Sprintf("%s.%d", f.ID, seq), eventOf(body.Action, f)
		m.Finding, err = s.tell(v, f, m.Event)
		return err
	})
	return m, err
}

// finding is the finding that an entry changed, as it was then.
func finding(changes []ledger.Change) *document.Finding {
	for _, c := range changes {
		if c.Kind != string(document.KindFinding) || c.Doc == nil {
			continue
		}
		if d, err := document.Decode(document.KindFinding, c.Doc); err == nil {
			return d.(*document.Finding)
		}
	}
	return nil
}

func eventOf(action string, f *document.Finding) string {
	switch {
	case f.State == document.FindingClosed:
		return Closed
	case f.State == document.FindingAccepted:
		return Accepted
	case action == "finding.reopen":
		return Reopened
	case action == "finding.overdue":
		return Overdue
	}
	return Opened
}

func (s *Sender) tell(v store.View, f *document.Finding, event string) (*Finding, error) {
	out := &Finding{
		ID: f.ID, Event: event, Check: f.Check, Title: s.cfg.Title(f.Check), Controls: f.Controls, Severity: f.Severity, State: f.State, Scope: f.Scope,
		Subject: plain(f.Name), OpenedAt: f.OpenedAt, DueAt: f.DueAt, ClosedAt: f.ClosedAt,
	}
	if f.Accepted != nil {
		out.Until = &f.Accepted.Until
	}
	person, err := v.Get(document.KindAccount, f.Subject)
	if err != nil {
		return nil, err
	}
	if person != nil {
		out.Subject = ""
	}
	out.Where, err = where(v, f.Scope)
	return out, err
}

// where names a scope.
func where(v store.View, scope string) (string, error) {
	if scope == "" {
		return "the installation", nil
	}
	space, err := v.Get(document.KindSpace, scope)
	if err != nil {
		return "", err
	}
	if s, ok := space.(*document.Space); ok {
		return "the space " + s.Name, nil
	}
	team, err := v.Get(document.KindTeam, scope)
	if t, ok := team.(*document.Team); ok {
		return "the team " + t.Name, err
	}
	return "what is no longer there", err
}

const maxName = 120 // bytes

// plain is a name on one line, whoever chose it.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.ToValidUTF8(s[:min(len(s), maxName)], "")
}

// json is a webhook's body.
func (m *Message) json() ([]byte, error) { return json.Marshal(m) }

var words = map[string]string{
	Opened: "opened", Reopened: "open again", Accepted: "accepted", Closed: "closed: it passes again", Overdue: "OVERDUE",
}

// subject is a mail's.
func (m *Message) subject() string {
	switch m.Event {
	case Test:
		return "[strongroom] This is a test"
	case Summary:
		return fmt.Sprintf("[strongroom] %d changes of findings", m.Count)
	}
	return plain(fmt.Sprintf("[strongroom] %s, %s: %s", m.Finding.Severity, words[m.Event], cmp.Or(m.Finding.Title, m.Finding.Check)))
}

// text is a mail's body.
func (m *Message) text() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	switch m.Event {
	case Test:
		say("Findings of %s arrive here.", m.Installation)
	case Summary:
		say("So much happened at %s at once that it is told together: %d changes of findings.\n", m.Installation, m.Count)
		for _, f := range m.Findings {
			say("%-8s  %s  %s of %s, %s", f.Severity, words[f.Event], f.Check, cmp.Or(f.Subject, "a person"), f.Where)
		}
		if more := m.Count - len(m.Findings); more > 0 {
			say("… and %d more.", more)
		}
		say("\nSee all of them: strongroom findings")
	default:
		f := m.Finding
		say("%s\n", cmp.Or(f.Title, f.Check))
		say("Finding   %s (%s)", f.ID, words[m.Event])
		say("Severity  %s", f.Severity)
		say("About     %s, in %s", cmp.Or(f.Subject, "a person"), f.Where)
		say("Check     %s, for the controls %s", f.Check, strings.Join(f.Controls, ", "))
		say("Opened    %s", f.OpenedAt.Format(time.RFC3339))
		say("Due       %s", f.DueAt.Format(time.RFC3339))
		if f.Until != nil && f.State == document.FindingAccepted {
			say("Accepted  until %s", f.Until.Format(time.RFC3339))
		}
		say("\nWhat was seen, and in which entries: strongroom findings --all")
		say("What it means and what to do: strongroom controls:explain %s", first(f.Controls))
	}
	say("\nEntry %d of %s.", m.Seq, m.Installation)
	return b.String()
}

func first(list []string) string {
	if len(list) == 0 {
		return "ID"
	}
	return list[0]
}
