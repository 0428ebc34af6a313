package router

import (
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// via is how the router names itself to the next in line.
const via = "strongroom"

// platformHeaders are set by the router and by nobody else. An app server that
// turns header names into variables (CGI, WSGI, Rack) cannot tell
// X_Forwarded_For from X-Forwarded-For, so the other spelling is removed.
var platformHeaders = map[string]bool{
	"X-Forwarded-For":   true,
	"X-Forwarded-Host":  true,
	"X-Forwarded-Port":  true,
	"X-Forwarded-Proto": true,
	"X-Request-Id":      true,
	"X-Request-Start":   true,
	"Forwarded":         true,
	"Via":               true,
	"Client-Cert":       true,
	"Client-Cert-Chain": true,
}

// forwarded returns X-Forwarded-For as it goes to the app: as on Heroku, what
// the client sent with the client's address appended. Only the last entry is
// the router's word; whatever comes before it, the client may have made up.
func forwarded(r *http.Request) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	if inbound := r.Header["X-Forwarded-For"]; len(inbound) > 0 {
		return strings.Join(inbound, ", ") + ", " + address
	}
	return address
}

// requestID takes a client's id over if it has the form that Heroku accepts:
// 20 to 200 letters, digits and '-'. Otherwise it makes one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if len(id) < 20 || len(id) > 200 {
		return uuid.NewString()
	}
	for i := range len(id) {
		c := id[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return uuid.NewString()
		}
	}
	return id
}

// rewrite makes the request that goes to the app. ReverseProxy has removed the
// hop-by-hop headers and the client's Forwarded and X-Forwarded-*; X-Forwarded-Host
// stays away, since Host itself is passed unchanged. Who the client is says
// Client-Cert (RFC 9440), which comes from the handshake or not at all.
func (x *exchange) rewrite(p *httputil.ProxyRequest) {
	header := p.Out.Header
	for name := range header {
		if strings.ContainsRune(name, '_') && platformHeaders[http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))] {
			delete(header, name)
		}
	}
	header.Del("Proxy") // CGI would make it HTTP_PROXY
	header.Del("Client-Cert")
	header.Del("Client-Cert-Chain")
	if proof := proofOf(x.in.Context()); proof != nil {
		header.Set("Client-Cert", proof.header)
	}
	header.Set("X-Forwarded-For", x.fwd)
	header.Set("X-Forwarded-Proto", "https")
	header.Set("X-Forwarded-Port", strconv.Itoa(x.proxy.cfg.PublicPort))
	header.Set("X-Request-Id", x.id)
	header.Set("X-Request-Start", strconv.FormatInt(x.start.UnixMilli(), 10))
	header.Add("Via", protocol(p.In)+" "+via)
	// ReverseProxy drops what it cannot parse of a query; an app may.
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.URL.Scheme = "http"
}

func protocol(r *http.Request) string {
	if r.ProtoMajor >= 2 {
		return strconv.Itoa(r.ProtoMajor)
	}
	return strconv.Itoa(r.ProtoMajor) + "." + strconv.Itoa(r.ProtoMinor)
}
