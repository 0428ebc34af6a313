//go:build live

package live

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestInbound: versions of TLS and client certificates as people set them, and as
// openssl and curl meet them at the edge; who was refused is on record.
func TestInbound(t *testing.T) {
	s := newSite(t)
	host := "lab-" + unique() + ".example.org"
	s.h(t, "developer", "domains:add", host, "-a", "intake").ok()
	t.Cleanup(func() { s.h(t, "developer", "domains:remove", host, "-a", "intake").ok() })
	dir := t.TempDir()
	openssl := func(args ...string) string { return s.command(t, "developer", dir, "openssl", args...).said }
	for _, name := range []string{"ours", "others"} {
		openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "60", "-subj", "/CN=partners",
			"-addext", "keyUsage=critical,keyCertSign", "-keyout", name+".key", "-out", name+".pem")
		openssl("req", "-x509", "-CA", name+".pem", "-CAkey", name+".key", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "7",
			"-subj", "/CN=laboratory", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth",
			"-keyout", name+"-client.key", "-out", name+"-client.pem")
	}
	handshake := func(args ...string) string {
		return openssl(append([]string{"s_client", "-connect", s.edge, "-servername", host}, args...)...)
	}
	address, port, _ := net.SplitHostPort(s.edge)
	curl := func(args ...string) *result {
		all := []string{"--silent", "--show-error", "--insecure", "--include", "--connect-to", "::" + address + ":" + port, "https://" + host + "/healthz"}
		return s.command(t, "developer", dir, "curl", append(all, args...)...)
	}
	until := func(what string, try func() (said string, good bool)) {
		t.Helper()
		eventually(t, 20*time.Second, what, func() error {
			said, good := try()
			if !good {
				return fmt.Errorf("%s", said)
			}
			return nil
		})
	}

	until("an answer with HSTS", func() (string, bool) {
		said := strings.ToLower(curl().said)
		return said, strings.Contains(said, " 200") && strings.Contains(said, "strict-transport-security: max-age=")
	})
	s.sr(t, "operator", "domains:tls", host, "--app", "intake", "--min", "1.3").ok("Least version: TLS 1.3", "Clients: everybody")
	until("TLS 1.2 being refused", func() (string, bool) {
		said := handshake("-tls1_2")
		return said, strings.Contains(said, "alert protocol version")
	})

	bundle := filepath.Join(dir, "ours.pem")
	s.sr(t, "operator", "domains:tls", host, "--app", "intake", "--clients", filepath.Join(dir, "ours.key")).fails("private key among the authorities")
	s.sr(t, "developer", "domains:tls", host, "--app", "intake", "--clients", bundle).fails("app.manage")
	s.sr(t, "operator", "domains:tls", host, "--app", "intake", "--min", "1.2", "--clients", bundle).ok("CN=partners")
	until("curl without a certificate being refused", func() (string, bool) {
		r := curl()
		return r.said, r.code != 0
	})
	if said := curl("--cert", "others-client.pem", "--key", "others-client.key").said; strings.Contains(said, " 200") {
		t.Errorf("a certificate by another authority of the same name is taken: %s", said)
	}
	if said := handshake("-tls1_2"); !strings.Contains(said, "alert bad certificate") {
		t.Errorf("openssl without a certificate: %s", said)
	}
	if said := curl("--cert", "ours-client.pem", "--key", "ours-client.key").said; !strings.Contains(said, " 200") {
		t.Errorf("curl with a certificate: %s", said)
	}
	until("the refusals being on record", func() (string, bool) {
		said := s.sr(t, "auditor", "state", "stranger", "--at", time.Now().UTC().Format(time.RFC3339), "--json").said
		return said, strings.Contains(said, `"client-certificate"`) && strings.Contains(said, host)
	})
	s.sr(t, "operator", "domains:tls", host, "--app", "intake", "--everybody").fails("--everybody needs a --reason")
	s.sr(t, "operator", "domains:tls", host, "--app", "intake", "--everybody", "--reason", "the drill is over").ok("Clients: everybody")
	until("curl being let in again", func() (string, bool) {
		said := curl().said
		return said, strings.Contains(said, " 200")
	})
}
