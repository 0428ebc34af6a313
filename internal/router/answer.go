package router

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// A year, as browsers' preload lists ask for at least.
const (
	transportSecurity    = "max-age=31536000"
	transportSecurityAge = 31536000
)

// answer is the client's side of an exchange: it notes what was sent.
type answer struct {
	http.ResponseWriter
	hsts     bool
	status   int // 0 until the header is written
	bytes    int64
	hijacked bool
}

func (a *answer) WriteHeader(status int) {
	final := status >= 200
	if final && a.status == 0 {
		a.status = status
		a.secure()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Hijack is for protocol upgrades.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(a.ResponseWriter).Hijack()
	if err == nil {
		a.hijacked = true
		a.status = http.StatusSwitchingProtocols
	}
	return conn, buffer, err
}

// Unwrap lets http.ResponseController reach deadlines and Flush.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// started says whether it is too late for an error page.
func (a *answer) started() bool { return a.status != 0 || a.hijacked }

// secure makes browsers stay with HTTPS where the space says so. An app may ask for
// more than the platform does, not for less.
func (a *answer) secure() {
	if a.hsts && ageOf(a.Header().Get("Strict-Transport-Security")) < transportSecurityAge {
		a.Header().Set("Strict-Transport-Security", transportSecurity)
	}
}

// ageOf returns the max-age of a Strict-Transport-Security value, or -1.
func ageOf(value string) int {
	for directive := range strings.SplitSeq(value, ";") {
		name, age, _ := strings.Cut(strings.TrimSpace(directive), "=")
		if !strings.EqualFold(name, "max-age") {
			continue
		}
		seconds, err := strconv.Atoi(strings.Trim(age, `"`))
		if err != nil {
			return -1
		}
		return seconds
	}
	return -1
}
