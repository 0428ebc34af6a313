package router

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/edge/control"
	"github.com/strongroom/strongroom/internal/fault"
)

func TestSnapshotIsRefusedAsAWhole(t *testing.T) {
	r := newRig(t, nil)
	good := r.host("good.example.org", backendOf(t, "web.1", hello))
	other := r.host("other.example.org")
	r.push(good)
	want := r.status().Snapshot
	tests := []struct {
		name   string
		change func(s *Snapshot)
		says   string
	}{
		{"another space", func(s *Snapshot) { s.Space = "s2" }, "space"},
		{"no certificate", func(s *Snapshot) { s.Hosts[1].Certificate = "" }, "other.example.org"},
		{"another's key", func(s *Snapshot) { s.Hosts[1].Key = good.Key }, "other.example.org"},
		{"broken key", func(s *Snapshot) { s.Hosts[1].Key = strings.Replace(other.Key, "M", "N", 3) }, "other.example.org"},
		{"TLS 1.1", func(s *Snapshot) { s.Hosts[1].MinTLS = "1.1" }, "1.2 or 1.3"},
		{"host twice", func(s *Snapshot) { s.Hosts[1].Name = "good.example.org" }, "twice"},
		{"bad host", func(s *Snapshot) { s.Hosts[1].Name = "Other.example.org" }, "lower case"},
		{"bad backend", func(s *Snapshot) { s.Hosts[1].Backends = []Backend{{Address: "dyno:80"}} }, "backend address"},
		{"no port", func(s *Snapshot) { s.Hosts[1].Backends = []Backend{{Address: "10.0.0.1:0"}} }, "backend address"},
		{"bad name", func(s *Snapshot) { s.Names = []Name{{Name: "a b"}} }, "lower case"},
		{"name twice", func(s *Snapshot) { s.Names = []Name{{Name: "web"}, {Name: "web"}} }, "twice"},
		{"bad address", func(s *Snapshot) { s.Names = []Name{{Name: "web", Addresses: []string{"10.0.0"}}} }, "address"},
		{"bad network", func(s *Snapshot) { s.Trusted = []string{"10.0.0.0"} }, "CIDR"},
		{"bad DNS server", func(s *Snapshot) { s.Outside = "10.0.0.1" }, "DNS server"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			snapshot := Snapshot{Space: space, Hosts: []Host{good, other}}
			test.change(&snapshot)
			err := r.client.Push(t.Context(), snapshot)
			if fault.Of(err) != fault.Invalid || !strings.Contains(fault.Message(err), test.says) {
				t.Errorf("push: %v, want an Invalid that says %q", err, test.says)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("the error quotes a key: %v", err)
			}
			if got := r.status().Snapshot; got != want {
				t.Errorf("in force is %s, want %s", got, want)
			}
		})
	}
	if status, got := get(t, r.http(1, nil), "https://good.example.org/"); status != 200 || got != "hello" {
		t.Errorf("after all that: %d %q", status, got)
	}
	if got := len(r.status().Backends); got != 1 {
		t.Errorf("%d backends are known, want 1", got)
	}
}

func TestDigestAgreesAcrossTheSocket(t *testing.T) {
	r := newRig(t, nil)
	for _, snapshot := range []Snapshot{
		{Space: space},
		{Space: space, HSTS: true, Hosts: []Host{r.host("a.example.org")}, Names: []Name{{Name: "web"}, {Name: "x", Addresses: []string{}}}},
		{Space: space, Hosts: []Host{}, Outside: "192.0.2.1:53"},
	} {
		r.pushSnapshot(snapshot)
		if got := r.status().Snapshot; got != snapshot.Digest() {
			t.Errorf("in force is %s, pushed was %s", got, snapshot.Digest())
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	host := Host{Name: "a.example.org", Key: "very secret"}
	snapshot := Snapshot{Hosts: []Host{host}}
	for _, text := range []string{
		fmt.Sprint(host), fmt.Sprintf("%+v", snapshot), fmt.Sprintf("%#v", snapshot), fmt.Sprintf("%v", &snapshot),
	} {
		if strings.Contains(text, "secret") {
			t.Errorf("printed: %s", text)
		}
	}
}

func TestParsedCertificatesAreKept(t *testing.T) {
	certificate, key := pair(t, "a.example.org")
	row := Host{Name: "a.example.org", Certificate: certificate, Key: key}
	first, err := compile(Snapshot{Hosts: []Host{row}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := compile(Snapshot{Hosts: []Host{row}}, nil, first)
	if err != nil {
		t.Fatal(err)
	}
	if first.find(row.Name).tls != second.find(row.Name).tls {
		t.Error("an unchanged certificate was parsed again")
	}
	row.MinTLS = "1.3"
	third, err := compile(Snapshot{Hosts: []Host{row}}, nil, second)
	if err != nil {
		t.Fatal(err)
	}
	if third.find(row.Name).tls == second.find(row.Name).tls {
		t.Error("a changed minimum is not in force")
	}
}

// Connections that come before the first snapshot wait for it.
func TestConnectionsWaitForTheFirstSnapshot(t *testing.T) {
	r := newRig(t, nil)
	host := r.host("app.example.org", backendOf(t, "web.1", hello))
	answer := make(chan string, 1)
	client := r.http(1, nil)
	go func() {
		response, err := client.Get("https://app.example.org/")
		if err != nil {
			answer <- err.Error()
			return
		}
		content, _ := io.ReadAll(response.Body)
		response.Body.Close()
		answer <- string(content)
	}()
	select {
	case got := <-answer:
		t.Fatalf("answered before the snapshot: %s", got)
	case <-time.After(100 * time.Millisecond):
	}
	if got := r.status(); got.Snapshot != "" || got.Space != space || got.Handed != 0 {
		t.Errorf("status %+v", got)
	}
	r.push(host)
	if got := <-answer; got != "hello" {
		t.Errorf("after the snapshot: %s", got)
	}
}

// A network that is not trusted any more loses the connections it has, those in
// the middle of a request too.
func TestWithdrawnTrustCutsConnections(t *testing.T) {
	r := newRig(t, nil)
	arrived := make(chan bool, 1)
	host := r.host("app.example.org", backendOf(t, "web.1", func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			arrived <- true
			<-req.Context().Done()
		}
	}))
	push := func(trusted []string) {
		t.Helper()
		r.pushSnapshot(Snapshot{Space: space, Trusted: trusted, Hosts: []Host{host}})
	}
	push([]string{"127.0.0.0/8"})
	idle := r.tls("app.example.org")
	slow := make(chan error, 1)
	client := r.http(2, nil)
	go func() {
		response, err := client.Get("https://app.example.org/slow")
		if err == nil {
			response.Body.Close()
		}
		slow <- err
	}()
	<-arrived
	push([]string{"127.0.0.1/32", "10.0.0.0/8"})
	if got := r.status().Connections; got != 2 {
		t.Fatalf("%d connections are open, want 2", got)
	}
	push([]string{"10.0.0.0/8"})
	if err := <-slow; err == nil {
		t.Error("the request under way was answered")
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the idle connection ended with %v", err)
	}
	r.eventually("both are gone", func() bool { return r.status().Connections == 0 })
	if conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: "app.example.org", RootCAs: r.roots}); err == nil {
		conn.Close()
		t.Error("a new connection is accepted")
	}
	if s := r.status(); s.Untrusted != 1 || s.Rejected != 0 {
		t.Errorf("%d counted as not trusted and %d as too many, want one and none", s.Untrusted, s.Rejected)
	}
	push([]string{})
	if conn, err := tls.Dial("tcp", r.address, &tls.Config{ServerName: "app.example.org", RootCAs: r.roots}); err == nil {
		conn.Close()
		t.Error("nobody is trusted, and a connection is accepted")
	}
	push(nil)
	r.tls("app.example.org")
}

func TestControlIsForOneUser(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Controller = os.Getuid() + 1 })
	if err := r.client.Push(t.Context(), Snapshot{Space: space}); fault.Of(err) != fault.Unavailable {
		t.Errorf("push by another user: %v, want Unavailable", err)
	}
}

// No bytes on the control socket break the router or get a snapshot into force
// that was not wholly understood.
func FuzzSnapshot(f *testing.F) {
	certificate, key := pair(f, "a.example.org")
	seed, err := json.Marshal(Snapshot{
		Space: space, Hosts: []Host{{Name: "a.example.org", Certificate: certificate, Key: key, Backends: []Backend{{Address: "10.0.0.1:80"}}}},
		Names: []Name{{Name: "web", Addresses: []string{"10.0.0.1"}}}, Outside: "192.0.2.1:53",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"space":"s1","hosts":null}`))
	f.Add([]byte(`{"space":"s1","names":[{"name":"1.web","addresses":["::1"]}]}{}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, content []byte) {
		var snapshot Snapshot
		request := httptest.NewRequest(http.MethodPut, "/snapshot", bytes.NewReader(content))
		if err := control.Decode(httptest.NewRecorder(), request, maxSnapshot, &snapshot); err != nil {
			if fault.Of(err) == "" {
				t.Fatalf("an error without a kind: %v", err)
			}
			return
		}
		compiled, err := compile(snapshot, (&registry{}).prepare(snapshot), nil)
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("an error that is not Invalid: %v", err)
			}
			return
		}
		for _, host := range snapshot.Hosts {
			name := strings.Replace(host.Name, "*", "x", 1)
			found := compiled.find(name)
			if found == nil || len(found.backends) != len(host.Backends) || len(found.tls.Certificates) != 1 {
				t.Fatalf("host %q became %+v", host.Name, found)
			}
		}
		_, _ = io.WriteString(io.Discard, compiled.digest)
	})
}
