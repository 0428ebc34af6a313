package api

import (
	"net/http"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/strongroom/strongroom/internal/pattern"
)

// requestIDs are what a caller may name its request.
var requestIDs = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_.-]{7,127}$`)

// requestID takes the caller's, if it is sane, or makes one. The CLI sends all
// ids of its run, the newest first.
func requestID(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Request-Id"), ",")
	if first = strings.TrimSpace(first); requestIDs.MatchString(first) {
		return first
	}
	return uuid.NewString()
}

// maxReason bounds the Strongroom-Reason header, which goes into the ledger.
const maxReason = 1000

func reason(r *http.Request) (string, error) {
	s := strings.TrimSpace(r.Header.Get("Strongroom-Reason"))
	if len(s) > maxReason || !printable(s) {
		return "", badRequest("Strongroom-Reason must be printable UTF-8 of at most %d bytes.", maxReason)
	}
	return s, nil
}

// confirmed is what the caller typed once more to show that it is meant.
func (c *call) confirmed() string { return strings.TrimSpace(c.r.Header.Get("Strongroom-Confirm")) }

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// maxUserAgent bounds what of a User-Agent goes into the ledger.
const maxUserAgent = 200

func userAgent(r *http.Request) string {
	s := r.UserAgent()
	if len(s) > maxUserAgent {
		s = s[:maxUserAgent]
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return -1
		}
		return c
	}, s)
}

// source is the address that a request comes from: the connection's, or what
// the nearest proxy that is not ours says of it.
func source(r *http.Request, trusted []netip.Prefix) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	addr := at.Addr().Unmap()
	if err != nil {
		return netip.Addr{}
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(addr, trusted); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = next.Unmap()
	}
	return addr
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// accepts refuses a client that asks for another version of the API. One that
// names none gets this one.
func accepts(r *http.Request) error {
	const vendor = "application/vnd.heroku+json"
	for _, part := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(kind), vendor) {
			continue
		}
		version := "3"
		for _, p := range strings.Split(params, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(p), "version="); ok {
				version = v
			}
		}
		// Suffixes name variants ("3.sdk", "3.fir"), which differ in nothing
		// that is served here.
		if version, _, _ := strings.Cut(version, "."); version != "3" {
			return problemf(http.StatusNotAcceptable, "not_acceptable", "Request failed, set Accept: application/vnd.heroku+json; version=3 header and try again.")
		}
	}
	return nil
}
