package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/secret"
)

// Webhook is how webhooks are reached.
type Webhook struct {
	// Allow lists hosts, as host:port, that may be reached although their
	// addresses are not public.
	Allow []string
	// Roots are the certificates that receivers are known by; nil = the host's.
	Roots *x509.CertPool
}

// SignatureHeader signs a body: t=<unix time>,v1=<hex HMAC-SHA256 of "t.body">.
const SignatureHeader = "Strongroom-Signature"

// Signature is what a receiver computes and compares.
func Signature(key, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (w Webhook) send(ctx context.Context, address, key secret.Value, m *Message) error {
	body, err := m.json()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(address.Reveal()), bytes.NewReader(body))
	if err != nil {
		return without(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "strongroom-alerts")
	req.Header.Set("Strongroom-Message", m.ID)
	req.Header.Set(SignatureHeader, Signature(key.Reveal(), body, time.Now()))
	transport := w.transport(req)
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport,
		// Another address than the one that is on record gets nothing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return unreached(without(err))
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, 4<<10) //nolint:errcheck // so that the receiver can end its answer; nothing of it is kept
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fault.New(fault.Unavailable, "The receiver answered with the status %d.", resp.StatusCode)
	}
	return nil
}

// transport connects to public addresses and to what is allowed. The address is
// looked at when it is connected to: a name can have another one by then.
func (w Webhook) transport(req *http.Request) *http.Transport {
	port := req.URL.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[req.URL.Scheme]
	}
	allowed := slices.Contains(w.Allow, net.JoinHostPort(req.URL.Hostname(), port))
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !allowed && !public(a.Addr()) {
			return errPrivate
		}
		return nil
	}}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: sendTime, MaxResponseHeaderBytes: 16 << 10,
		TLSClientConfig: &tls.Config{RootCAs: w.Roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}
}

var errPrivate = fault.New(fault.Forbidden, "The receiver's address is not public. An operator can allow it: server.alerts.allow.")

// reserved are the networks that are nobody's on the internet, besides those that
// netip knows.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	// These lead to IPv4 addresses, whichever they are.
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
}

// public tells whether an address is on the internet.
func public(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsGlobalUnicast() && !a.IsPrivate() && a.Zone() == "" &&
		!slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}

// without is an error without the address, which is a secret: net/http names it
// in each of its own.
func without(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// unreached says in our own words why nobody answered: those of the network may
// hold what the receiver chose.
func unreached(err error) error {
	var cert *tls.CertificateVerificationError
	var name *net.DNSError
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate
	case errors.As(err, &cert):
		return fault.Wrap(fault.Unavailable, err, "The receiver's certificate is not trusted.")
	case errors.As(err, &name):
		return fault.Wrap(fault.Unavailable, err, "The receiver's name has no address.")
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Unavailable, err, "The receiver did not answer in time.")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.Wrap(fault.Unavailable, err, "Nobody listens at the receiver's address.")
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("webhook: %w", err), "The receiver could not be reached.")
}
