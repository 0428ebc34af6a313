package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/edge/hostname"
)

// lingerBytes and lingerTime bound what is read of a client after the answer. A
// socket closed with unread bytes is reset, and the answer may be lost with it.
const (
	lingerBytes = 64 << 10
	lingerTime  = 500 * time.Millisecond
)

// redirect answers one request on the HTTP port and returns the reason if it
// refused.
func (e *edge) redirect(conn *net.TCPConn, source netip.Addr) (reason string) {
	input := &bounded{Conn: conn}
	request, err := http.ReadRequest(bufio.NewReader(input))
	if err != nil {
		return input.reason()
	}
	answer, reason := e.answer(request, source)
	if reason != "" {
		return reason
	}
	if _, err := io.WriteString(conn, answer); err != nil {
		return ReasonClosed
	}
	e.count.redirected.Add(1)
	linger(conn)
	return ""
}

// answer decides about a request. An ACME http-01 challenge, which comes from
// addresses that no space trusts, would be answered here before that check.
func (e *edge) answer(request *http.Request, source netip.Addr) (answer, reason string) {
	routes := e.routes.Load()
	host := hostname.OfAuthority(request.Host)
	space := routes.find(host)
	if space == nil {
		return "", ReasonUnknownName
	}
	if !space.trusted.Contains(source) {
		space.count.refuse(ReasonUntrusted)
		return "", ReasonUntrusted
	}
	location, ok := e.secureLocation(host, request)
	if !ok {
		return "", ReasonMalformed
	}
	return "HTTP/1.1 308 Permanent Redirect\r\nLocation: " + location +
		"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ""
}

// secureLocation returns the URL of the same thing by HTTPS. The target must be
// a path: anything else, appended to a host, could name another host.
func (e *edge) secureLocation(host string, request *http.Request) (string, bool) {
	target := request.URL.RequestURI()
	if !strings.HasPrefix(target, "/") {
		return "", false
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] > '~' {
			return "", false
		}
	}
	if e.cfg.PublicPort != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(e.cfg.PublicPort))
	}
	return "https://" + strings.ToLower(host) + target, true
}

// linger lets the client read the answer before the connection is gone.
func linger(conn *net.TCPConn) {
	if conn.CloseWrite() != nil || conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	// Whatever ends this, the connection is closed next.
	_, _ = io.CopyN(io.Discard, conn, lingerBytes)
}
