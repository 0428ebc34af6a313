package pack

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/ledger"
)

// The types of provable report.
const (
	Events = "events" // one row per entry of given actions in the period
	State  = "state"  // one row per living document of a kind at a time
)

// Report is an element of reports/index.json: all that is needed to compute a
// provable CSV from the entries.
type Report struct {
	CSV     string   `json:"csv"` // path in the pack
	Type    string   `json:"type"`
	Actions []string `json:"actions,omitempty"` // events
	Kind    string   `json:"kind,omitempty"`    // state
	At      *Time    `json:"at,omitempty"`      // state: From ≤ at ≤ To of the period
	Columns []Column `json:"columns"`
}

// Column is a title and a JSON pointer into {"header","body","doc"}. The first
// column of a report is SeqColumn.
type Column [2]string

// UnmarshalJSON requires exactly two strings.
func (c *Column) UnmarshalJSON(b []byte) error { return decodePair(b, (*[2]string)(c)) }

// SeqColumn is the first column of every provable report.
var SeqColumn = Column{"seq", "/header/seq"}

// Bounds of what a report may ask for, so that a definition from anybody can be
// computed in bounded memory.
const (
	maxColumns = 512
	maxRow     = 16 << 20  // bytes of a row
	maxState   = 256 << 20 // bytes of all rows of a state report
)

// Rows computes the rows of one provable CSV from the in-scope entries, which
// come in order of seq. Exporter and verifier both use it, so a report is by
// definition what it computes.
type Rows struct {
	report   Report
	period   Period
	pointers [][]string
	actions  map[string]bool
	rows     map[string]Row // state: the newest by id
	size     int            // of the lines in rows
	buf      []byte         // the last row
}

// Row is a line of a report, and what it is of.
type Row struct {
	Seq  int64  // of the entry behind it
	ID   string // state: of the document
	Line []byte // of the CSV, with its end; of an events report valid until the next row
}

// NewRows checks the report's definition against the period.
func NewRows(report Report, period Period) (*Rows, error) {
	r := &Rows{report: report, period: period, actions: map[string]bool{}}
	for _, action := range report.Actions {
		r.actions[action] = true
	}
	switch {
	case report.Type == State && report.Kind != "" && report.At != nil:
		if report.At.Before(period.From.Time) || report.At.After(period.To.Time) {
			return nil, fault.New(fault.Invalid, "the report's time is outside of the period")
		}
		r.rows = map[string]Row{}
	case report.Type != Events:
		return nil, fault.New(fault.Invalid, "a report of type %.40q is unknown or incomplete", report.Type)
	}
	if len(report.Columns) == 0 || report.Columns[0] != SeqColumn {
		return nil, fault.New(fault.Invalid, "the report's first column is not seq")
	}
	if len(report.Columns) > maxColumns {
		return nil, fault.New(fault.TooLarge, "the report has more than %d columns", maxColumns)
	}
	for _, column := range report.Columns {
		tokens, err := parsePointer(column[1])
		if err != nil {
			return nil, err
		}
		r.pointers = append(r.pointers, tokens)
	}
	return r, nil
}

// Title returns the first line.
func (r *Rows) Title() []byte {
	var line []byte
	for i, column := range r.report.Columns {
		line = appendCell(line, i, column[0])
	}
	return append(line, '\n')
}

// Add takes the next entry and calls emit if it makes a row.
func (r *Rows) Add(e *Entry, emit func(Row) error) error {
	if r.report.Type == State {
		return r.addState(e)
	}
	if !r.actions[string(e.action)] || !r.period.Contains(e.Header.Time) {
		return nil
	}
	line, err := r.line(e, ledger.Value{})
	if err != nil {
		return err
	}
	return emit(Row{Seq: e.Header.Seq, Line: line})
}

func (r *Rows) addState(e *Entry) error {
	t := e.Header.Time
	if t.After(r.report.At.Time) || !t.Before(r.period.To.Time) {
		return nil
	}
	if !e.changesKind(r.report.Kind) {
		return nil
	}
	changes, err := e.changes()
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.key.kind != r.report.Kind {
			continue
		}
		r.size -= len(r.rows[c.key.id].Line)
		if c.deleted() {
			delete(r.rows, c.key.id)
			continue
		}
		line, err := r.line(e, c.doc)
		if err != nil {
			return err
		}
		if r.size += len(line); r.size > maxState {
			return fault.New(fault.TooLarge, "the report's rows have more than %d MiB together", maxState>>20)
		}
		r.rows[c.key.id] = Row{e.Header.Seq, c.key.id, append(r.rows[c.key.id].Line[:0], line...)}
	}
	return nil
}

// Finish emits the rows of a state report, by id.
func (r *Rows) Finish(emit func(Row) error) error {
	for _, id := range slices.Sorted(maps.Keys(r.rows)) {
		if err := emit(r.rows[id]); err != nil {
			return err
		}
	}
	return nil
}

// line computes a row. It is valid until the next call.
func (r *Rows) line(e *Entry, doc ledger.Value) ([]byte, error) {
	r.buf = r.buf[:0]
	for i, tokens := range r.pointers {
		value, err := valueAt(e, doc, tokens)
		if err != nil {
			return nil, err
		}
		if r.buf = appendCell(r.buf, i, cellText(value)); len(r.buf) > maxRow {
			return nil, fault.New(fault.TooLarge, "the row has more than %d MiB", maxRow>>20)
		}
	}
	r.buf = append(r.buf, '\n')
	return r.buf, nil
}

// valueAt follows a pointer, which begins with header, body or doc.
func valueAt(e *Entry, doc ledger.Value, tokens []string) (value ledger.Value, err error) {
	switch tokens[0] {
	case "doc":
		value = doc
	case "body":
		value = e.body
	default:
		value, err = e.headerValue()
	}
	return follow(value, tokens[1:]), err
}

// parsePointer splits an RFC 6901 pointer whose first token is header, body or doc.
func parsePointer(pointer string) ([]string, error) {
	tokens := strings.Split(pointer, "/")
	if tokens[0] != "" || len(tokens) < 2 || !slices.Contains([]string{"header", "body", "doc"}, tokens[1]) {
		return nil, fault.New(fault.Invalid, "pointer %.80q does not lead into header, body or doc", pointer)
	}
	for i, token := range tokens {
		rest := strings.ReplaceAll(strings.ReplaceAll(token, "~0", ""), "~1", "")
		if strings.Contains(rest, "~") {
			return nil, fault.New(fault.Invalid, "pointer %.80q has a ~ that is neither ~0 nor ~1", pointer)
		}
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	return tokens[1:], nil
}

// follow returns the value that the tokens lead to, an absent one if there is none.
func follow(value ledger.Value, tokens []string) ledger.Value {
	for _, token := range tokens {
		if value.IsArray() {
			value = elementOf(value, token)
		} else {
			value = value.Member(token)
		}
	}
	return value
}

func elementOf(list ledger.Value, token string) ledger.Value {
	i, err := strconv.Atoi(token)
	if err != nil || strconv.Itoa(i) != token {
		return ledger.Value{}
	}
	return list.Element(i)
}

// cellText is a string as it is, nothing for null or absent, otherwise the
// canonical JSON.
func cellText(value ledger.Value) []byte {
	if value.IsNull() {
		return nil
	}
	if s, ok := value.Characters(); ok {
		return s
	}
	return value.Text()
}

// AppendRow appends a line of a table as provable CSVs have it.
func AppendRow(line []byte, cells ...string) []byte {
	for i, s := range cells {
		line = appendCell(line, i, s)
	}
	return append(line, '\n')
}

// appendCell appends the i-th cell of a row. A cell that a spreadsheet would
// take for a formula gets a leading apostrophe.
func appendCell[T string | []byte](line []byte, i int, s T) []byte {
	if i > 0 {
		line = append(line, ',')
	}
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case ',', '"', '\r', '\n':
			quoted = true
		}
	}
	if quoted {
		line = append(line, '"')
	}
	if len(s) > 0 && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		line = append(line, '\'')
	}
	if !quoted {
		return append(line, s...)
	}
	for i := range len(s) {
		if s[i] == '"' {
			line = append(line, '"')
		}
		line = append(line, s[i])
	}
	return append(line, '"')
}

// CSV writes a provable CSV.
type CSV struct {
	rows  *Rows
	out   *bufio.Writer
	path  string
	count int
}

// NewCSV begins a report with its title.
func NewCSV(w io.Writer, report Report, period Period) (*CSV, error) {
	rows, err := NewRows(report, period)
	if err != nil {
		return nil, err
	}
	c := &CSV{rows: rows, out: bufio.NewWriter(w), path: report.CSV}
	_, err = c.out.Write(rows.Title())
	return c, err
}

// Add takes the next of the pack's entries that have a body, in order of seq:
// the opening state's too.
func (c *CSV) Add(e *Entry) error {
	if err := c.rows.Add(e, c.emit); err != nil {
		return fmt.Errorf("%s, entry %d: %w", c.path, e.Header.Seq, err)
	}
	return nil
}

// Close ends the report. The Writer below stays open.
func (c *CSV) Close() error {
	if err := c.rows.Finish(c.emit); err != nil {
		return fmt.Errorf("%s: %w", c.path, err)
	}
	return c.out.Flush()
}

// Count is how many rows there are so far, besides the title.
func (c *CSV) Count() int { return c.count }

func (c *CSV) emit(r Row) error {
	c.count++
	_, err := c.out.Write(r.Line)
	return err
}
