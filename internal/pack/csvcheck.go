package pack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// maxReports bounds the reports that are recomputed side by side.
const maxReports = 1024

// reportChecks makes the checks of group 6: every provable CSV is recomputed
// while the entries go by, and compared byte by byte.
type reportChecks struct {
	list    []*reportCheck
	refusal *Refusal // of reports/index.json itself
}

// reportCheck compares one CSV.
type reportCheck struct {
	path    string
	rows    *Rows
	in      *bufio.Reader
	state   bool
	count   int64
	got     []byte
	refusal *Refusal
}

// open reads reports/index.json and the CSVs' first lines. Refusals wait for
// the groups before; the error is another.
func (c *reportChecks) open(v *verifier) error {
	err := c.openAll(v)
	if errors.As(err, &c.refusal) {
		return nil
	}
	return err
}

func (c *reportChecks) openAll(v *verifier) error {
	content, err := v.readFile(reportsPath, maxJSON)
	if err != nil {
		return err
	}
	var reports []Report
	if err := decodeJSON(content, &reports); err != nil {
		return because(ReportsGroup, reportsPath, noSeq, err)
	}
	if len(reports) > maxReports {
		return refuse(ReportsGroup, reportsPath, noSeq, "more than %d reports", maxReports)
	}
	seen := map[string]bool{}
	for _, report := range reports {
		rows, err := NewRows(report, v.manifest.Period)
		if err != nil {
			return because(ReportsGroup, reportsPath, noSeq, fmt.Errorf("%.80q: %w", report.CSV, err))
		}
		if v.files[report.CSV] == nil {
			return refuse(ReportsGroup, report.CSV, noSeq, "reports/index.json names the file but it is not in the pack")
		}
		if seen[report.CSV] {
			return refuse(ReportsGroup, report.CSV, noSeq, "reports/index.json names the file twice")
		}
		seen[report.CSV] = true
		check := &reportCheck{path: report.CSV, rows: rows, state: report.Type == State}
		check.in = bufio.NewReader(v.zip.open(v.zip.members[report.CSV]))
		c.list = append(c.list, check)
		if err := check.keep(check.title()); err != nil {
			return err
		}
	}
	return nil
}

// take computes the rows that the entry makes.
func (c *reportChecks) take(e *Entry) error {
	for _, check := range c.list {
		if check.refusal != nil {
			continue
		}
		err := check.rows.Add(e, check.expect)
		if err == nil {
			continue
		}
		if err := check.keep(because(ReportsGroup, check.path, e.Header.Seq, err)); err != nil {
			return err
		}
	}
	return nil
}

// keep keeps a refusal and passes on other errors.
func (c *reportCheck) keep(err error) error {
	if err == nil || errors.As(err, &c.refusal) {
		return nil
	}
	return err
}

func (c *reportCheck) title() error {
	title := c.rows.Title()
	if ok, err := c.matches(title); err != nil || ok {
		return err
	}
	return refuse(ReportsGroup, c.path, noSeq, "the first line is not the titles that reports/index.json gives")
}

// expect compares the next row of the CSV with the one computed.
func (c *reportCheck) expect(r Row) error {
	c.count++
	ok, err := c.matches(r.Line)
	if err != nil || ok {
		return err
	}
	switch found, seq := c.found(), r.Seq; {
	case found == seq:
		return refuse(ReportsGroup, c.path, seq, "the row is not what the entry gives")
	case found == noSeq, !c.state && found < seq:
		return refuse(ReportsGroup, c.path, found, "there is a row that no entry gives, before that of entry %d", seq)
	default:
		return refuse(ReportsGroup, c.path, seq, "the row of the entry is missing")
	}
}

// matches reads as many bytes as want has and compares. They stay in c.got.
func (c *reportCheck) matches(want []byte) (bool, error) {
	if cap(c.got) < len(want) {
		c.got = make([]byte, len(want))
	}
	n, err := io.ReadFull(c.in, c.got[:len(want)])
	c.got = c.got[:n]
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.Equal(c.got, want), nil
}

// found returns the seq that the row in c.got begins with, -1 if that is no
// number, and a number beyond all if there is no row.
func (c *reportCheck) found() int64 {
	if len(c.got) == 0 {
		return math.MaxInt64
	}
	first, _, _ := strings.Cut(string(c.got[:min(len(c.got), 24)]), ",")
	seq, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	if err != nil || seq < 0 {
		return noSeq
	}
	return seq
}

// finish computes the rows that come at the end and requires that no other follows.
func (c *reportCheck) finish() error {
	if c.refusal != nil {
		return c.refusal
	}
	if err := c.rows.Finish(c.expect); err != nil {
		return err
	}
	rest, err := c.in.Peek(24)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(rest) == 0 {
		return nil
	}
	c.got = rest
	return refuse(ReportsGroup, c.path, c.found(), "there is a row at the end that no entry gives")
}

func (v *verifier) reportsEnd(*source) error {
	c := &v.walk.reports
	var details []string
	for _, check := range c.list {
		if err := check.finish(); err != nil {
			return err
		}
		details = append(details, fmt.Sprintf("%s: %d rows", check.path, check.count))
	}
	if c.refusal != nil {
		return c.refusal
	}
	if n := v.unproven(); n > 0 {
		details = append(details, fmt.Sprintf("%s: %d files", signedNotProven, n))
	}
	v.passed(ReportsGroup, details...)
	return nil
}

// unproven counts the files that carry the log's signature but were not recomputed.
func (v *verifier) unproven() int {
	n := 0
	for path := range v.files {
		switch path {
		case checkpointPath, headersPath, bodiesPath, rangePath, consistencyPath, keysPath, reportsPath:
		default:
			if !strings.HasPrefix(path, blobsPrefix) {
				n++
			}
		}
	}
	return n - len(v.walk.reports.list)
}
