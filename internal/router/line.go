package router

import (
	"crypto/tls"
	"strconv"
	"strings"
	"time"
)

// Bounds of the parts of an access line that a client chooses. With all others
// they keep a line, quoted twice over, within maxLine.
const (
	maxLogPath  = 1024
	maxLogHost  = 255
	maxLogFwd   = 256
	maxLogToken = 64
)

// line is one access line, in the words and order of Heroku's router. The path
// comes without its query string: queries are where forms put names and search
// terms, and logs travel to places that health data must not.
type line struct {
	code      code
	method    string
	path      string
	host      string
	requestID string
	fwd       string
	dyno      string
	connect   time.Duration
	service   time.Duration
	status    int
	bytes     int64
	tls       uint16
}

func (l line) String() string {
	var b strings.Builder
	b.Grow(384)
	b.WriteString("at=" + l.code.level)
	if l.code.name != "" {
		b.WriteString(" code=" + l.code.name + ` desc="` + l.code.desc + `"`)
	}
	b.WriteString(" method=" + plain(l.method, maxLogToken))
	b.WriteString(` path="` + plain(l.path, maxLogPath) + `"`)
	b.WriteString(" host=" + plain(l.host, maxLogHost))
	b.WriteString(" request_id=" + l.requestID)
	b.WriteString(` fwd="` + plain(l.fwd, maxLogFwd) + `"`)
	b.WriteString(" dyno=" + l.dyno)
	b.WriteString(" connect=" + milliseconds(l.connect))
	b.WriteString(" service=" + milliseconds(l.service))
	b.WriteString(" status=" + strconv.Itoa(l.status))
	b.WriteString(" bytes=" + strconv.FormatInt(l.bytes, 10))
	b.WriteString(" protocol=https tls_version=" + tlsVersion(l.tls))
	return b.String()
}

// plain makes a client's text safe inside a line: at most limit bytes, no
// spaces, quotes, backslashes or anything that is not visible ASCII. In a list
// of addresses the spaces go, which keeps it readable.
func plain(text string, limit int) string {
	if isPlain(text) && len(text) <= limit {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		if b.Len() >= limit {
			break
		}
		switch c := text[i]; {
		case c == ' ':
		case isPlainByte(c):
			b.WriteByte(c)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

func isPlain(text string) bool {
	for i := range len(text) {
		if !isPlainByte(text[i]) {
			return false
		}
	}
	return true
}

func isPlainByte(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '\\' }

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

func tlsVersion(version uint16) string {
	switch version {
	case tls.VersionTLS12:
		return "tls1.2"
	case tls.VersionTLS13:
		return "tls1.3"
	default:
		return "unknown"
	}
}
