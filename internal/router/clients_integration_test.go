//go:build integration

package router

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run runs a client program and gives what it said. Whether it succeeded is told by
// what it said: openssl's exit codes tell little.
func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader("Q\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatalf("%s: %v", program, err)
	}
	return out.String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// clientFiles writes a client's certificate and key as programs read them.
func clientFiles(t *testing.T, pair tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "client.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))),
		file(t, "client.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// TestRealClients: what openssl and curl make of versions, suites, certificates,
// client certificates and HSTS.
func TestRealClients(t *testing.T) {
	r, a := newRig(t, nil), newAuthority(t, "partners")
	seen := make(chan http.Header, 10)
	b := backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		seen <- req.Header
		_, _ = w.Write([]byte("served"))
	})
	www, new, lab := r.host("www.example.org", b), r.host("new.example.org", b), r.host("lab.example.org", b)
	new.MinTLS, lab.Clients = "1.3", a.text
	r.pushSnapshot(Snapshot{Space: space, HSTS: true, Hosts: []Host{www, new, lab}})
	roots := file(t, "roots.pem", www.Certificate+new.Certificate+lab.Certificate)
	cert, key := clientFiles(t, a.client(nil))
	otherCert, otherKey := clientFiles(t, newAuthority(t, "partners").client(nil))

	s_client := func(name string, args ...string) string {
		t.Helper()
		return run(t, "openssl", append([]string{"s_client", "-connect", r.address, "-servername", name, "-verify_hostname", name, "-CAfile", roots}, args...)...)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"www.example.org", nil, "Verification: OK"},
		{"www.example.org", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}, "ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"www.example.org", []string{"-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"}, "alert protocol version"},
		{"www.example.org", []string{"-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"}, "alert protocol version"},
		{"www.example.org", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"}, "alert handshake failure"},
		{"www.example.org", []string{"-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256"}, "alert handshake failure"},
		{"new.example.org", []string{"-tls1_2"}, "alert protocol version"},
		{"new.example.org", []string{"-tls1_3"}, "Verification: OK"},
		{"other.example.org", nil, "alert"},
		{"lab.example.org", []string{"-tls1_2"}, "alert bad certificate"},
		{"lab.example.org", []string{"-tls1_2", "-cert", otherCert, "-key", otherKey}, "alert bad certificate"},
		{"lab.example.org", []string{"-tls1_2", "-cert", cert, "-key", key}, "Verification: OK"},
		{"lab.example.org", []string{"-tls1_3", "-cert", cert, "-key", key}, "Acceptable client certificate CA names"},
	} {
		if said := s_client(c.name, c.args...); !strings.Contains(said, c.want) {
			t.Errorf("openssl s_client %s %v does not say %q:\n%s", c.name, c.args, c.want, said)
		}
	}

	_, port, _ := net.SplitHostPort(r.address)
	curl := func(name string, args ...string) string {
		t.Helper()
		all := []string{"--silent", "--show-error", "--include", "--cacert", roots, "--connect-to", "::127.0.0.1:" + port, "https://" + name + "/"}
		return run(t, "curl", append(all, args...)...)
	}
	if said := curl("www.example.org", "-H", "Client-Cert: :Zm9yZ2Vk:"); !strings.Contains(said, "served") || !strings.Contains(strings.ToLower(said), "strict-transport-security: max-age=31536000") {
		t.Errorf("curl: %s", said)
	}
	if got := (<-seen).Get("Client-Cert"); got != "" {
		t.Errorf("the app is told %q of a client that it did not ask", got)
	}
	if said := curl("lab.example.org"); strings.Contains(said, "served") || !strings.HasPrefix(said, "curl: (") {
		t.Errorf("curl without a certificate: %s", said)
	}
	if said := curl("lab.example.org", "--cert", cert, "--key", key, "-H", "Client-Cert: :Zm9yZ2Vk:"); !strings.Contains(said, "served") {
		t.Errorf("curl with a certificate: %s", said)
	}
	if got := (<-seen).Values("Client-Cert"); len(got) != 1 || len(got[0]) < 100 {
		t.Errorf("the app is told %q", got)
	}
	if s := r.status().Strangers; len(s) != 1 || s[0].Count != 3 {
		t.Errorf("counted %+v, want three refusals", s)
	}
}
