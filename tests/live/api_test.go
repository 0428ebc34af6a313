//go:build live

package live

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
)

// The parts of the API's answers that the tests look at.
type (
	named struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		State string `json:"state"`
	}
)

// account is the Go client as one of the demo's people.
func (s *site) account(t *testing.T, who string) *client.Client {
	t.Helper()
	token, err := os.ReadFile(s.token(who))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{URL: s.api, Token: strings.TrimSpace(string(token)), CAFile: filepath.Join(s.data, "public/ca.pem")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// patience is how long a single request to the API may take.
const patience = 30 * time.Second

// fetch gets a resource.
func fetch[T any](t *testing.T, c *client.Client, parts ...string) (T, error) {
	t.Helper()
	var out T
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	return out, c.Do(ctx, http.MethodGet, client.Path(parts...), nil, &out)
}

// list gets a whole list.
func list[T any](t *testing.T, c *client.Client, path string) ([]T, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	return client.List[T](ctx, c, path)
}

// must is for answers that have to come.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// answers tells whether the API does.
func (s *site) answers(t *testing.T, c *client.Client) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Second)
	defer cancel()
	_, err := c.Me(ctx)
	return err
}

// newApp makes an app of the test's own, and destroys it afterwards.
func (s *site) newApp(t *testing.T, prefix, space string) string {
	t.Helper()
	name := prefix + "-" + unique()
	s.h(t, "developer", "apps:create", name, "--space", space, "--team", "care", "--no-remote").ok()
	t.Cleanup(func() {
		addons, err := list[named](t, s.account(t, "operator"), client.Path("apps", name, "addons"))
		if err != nil {
			t.Error(err)
		}
		for _, a := range addons {
			s.h(t, "operator", "addons:destroy", a.Name, "-a", name, "--confirm", name)
		}
		if r := s.h(t, "operator", "apps:destroy", "-a", name, "--confirm", name); r.code != 0 {
			t.Errorf("the app is left over: %s", r.said)
		}
	})
	return name
}

func unique() string {
	var b [3]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
