//go:build live

package live

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/driver/remote"
)

// engine is the installation's engine, which lets root in.
func (s *site) engine(t *testing.T) *remote.Client {
	t.Helper()
	c := remote.Dial(filepath.Join(s.run, "engine.sock"))
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *site) observe(t *testing.T, engine driver.Driver) driver.Observation {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	o, err := engine.Observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// formations are all that the engine keeps running, as it keeps them on its
// tmpfs.
func (s *site) formations(t *testing.T) (list []driver.Formation) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.run, "engine/secret/formations/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		var f driver.Formation
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it was removed meanwhile
		}
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, f)
	}
	return list
}

// fetch asks the API for a path as a person.
func (s *site) fetch(t *testing.T, who, path string, into any) {
	t.Helper()
	token, err := os.ReadFile(s.token(who))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.fetchBy(t, strings.TrimSpace(string(token)), path, into); err != nil {
		t.Fatal(err)
	}
}

// fetchBy asks the API for a path with a token.
func (s *site) fetchBy(t *testing.T, token, path string, into any) error {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.data, "public/ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("the authority cannot be read")
	}
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, s.api+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
