package ledger

import (
	"time"

	"github.com/strongroom/strongroom/internal/fault"
)

// timeLayout has nine decimals always, so that strings sort as times do.
const (
	timeLayout = "2006-01-02T15:04:05.000000000Z"
	timeSize   = len(timeLayout)
)

// FormatTime writes t as the ledger and the evidence pack do: UTC, nine decimals.
func FormatTime(t time.Time) string { return string(appendTime(nil, t)) }

func appendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, timeLayout) }

// ParseTime reads what FormatTime writes and nothing else.
func ParseTime(s string) (time.Time, error) {
	t, ok := parseTime([]byte(s))
	if !ok {
		return time.Time{}, fault.New(fault.Invalid, "not a ledger time: %.40q", s)
	}
	return t, nil
}

// parseTime is on the path of every header, so it reads digits at their places
// instead of interpreting a layout.
func parseTime(b []byte) (time.Time, bool) {
	if len(b) != timeSize || b[4] != '-' || b[7] != '-' || b[10] != 'T' ||
		b[13] != ':' || b[16] != ':' || b[19] != '.' || b[29] != 'Z' {
		return time.Time{}, false
	}
	ok := true
	num := func(lo, hi int) int {
		n := 0
		for _, c := range b[lo:hi] {
			ok = ok && '0' <= c && c <= '9'
			n = n*10 + int(c-'0')
		}
		return n
	}
	year, month, day := num(0, 4), num(5, 7), num(8, 10)
	hour, minute, sec, nano := num(11, 13), num(14, 16), num(17, 19), num(20, 29)
	if !ok || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || sec > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, sec, nano, time.UTC)
	// time.Date turns 31 June into 1 July.
	return t, t.Day() == day
}
