//go:build live

package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/client"
)

// TestLogsEndWithAccess has somebody follow an app's log and suspends them: the
// stream ends at once, and the session cannot be read again.
func TestLogsEndWithAccess(t *testing.T) {
	s := newSite(t)
	operator := s.account(t, "operator")
	email, password := "leaver-"+unique()+"@example.org", unique()+unique()+unique()
	if _, err := operator.CreateAccount(t.Context(), client.NewAccount{Email: email, Name: "Leaver", Password: password}); err != nil {
		t.Fatal(err)
	}
	if _, err := operator.GrantRole(t.Context(), "care", email, "member", false); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), s.program, "heroku", "logs", "--tail", "-a", "intake")
	cmd.Env = append(s.env(t, "developer"), "STRONGROOM_TOKEN="+s.login(t, email, password))
	var said both
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	web := s.client(t, "intake")
	eventually(t, time.Minute, "lines coming", func() error {
		if _, err := s.get(web, "intake", "/healthz"); err != nil {
			return err
		}
		if !strings.Contains(said.String(), "/healthz") {
			return errors.New("there are none: " + said.String())
		}
		return nil
	})
	if err := operator.SuspendAccount(t.Context(), email); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatalf("whoever was suspended reads on: %s", said.String())
	}
}

// login gives a token for the account.
func (s *site) login(t *testing.T, email, password string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "curl", "-sS", "--fail-with-body", "--cacert", s.data+"/public/ca.pem", "-K", "-", "-X", http.MethodPost, s.api+"/oauth/authorizations",
		"-H", "Accept: application/vnd.heroku+json; version=3", "-H", "Content-Type: application/json", "-d", `{"description":"test"}`)
	cmd.Stdin = strings.NewReader(`user = "` + email + ":" + password + `"`)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("log in: %v\n%s", err, out)
	}
	var a struct {
		Token struct {
			Token string `json:"token"`
		} `json:"access_token"`
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&a); err != nil || a.Token.Token == "" {
		t.Fatalf("log in: %v\n%s", err, out)
	}
	return a.Token.Token
}
