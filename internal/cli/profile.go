package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/strongroom/strongroom/internal/fault"
)

// profile is which server a person uses, and as whom. STRONGROOM_URL,
// STRONGROOM_CA and STRONGROOM_TOKEN win over the file that `strongroom login`
// writes.
type profile struct {
	URL   string `json:"url"`   // of the API
	CA    string `json:"ca"`    // file of the authority that signed its certificate, "" = the system's
	Email string `json:"email"` // who logged in
	Token string `json:"token"`
}

func profilePath() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the configuration directory: %w", err)
	}
	return filepath.Join(dir, "strongroom", "profile.json"), nil
}

// readProfile says what is missing and how to get it.
func readProfile() (profile, error) {
	var p profile
	path, err := profilePath()
	if err != nil {
		return p, err
	}
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, err
	}
	if err == nil {
		if err := json.Unmarshal(b, &p); err != nil {
			return p, fmt.Errorf("%s: %w", path, err)
		}
	}
	for name, field := range map[string]*string{"STRONGROOM_URL": &p.URL, "STRONGROOM_CA": &p.CA, "STRONGROOM_TOKEN": &p.Token} {
		if v := os.Getenv(name); v != "" {
			*field = v
		}
	}
	if p.URL == "" || p.Token == "" {
		return p, fault.New(fault.Unauthenticated, "You are not logged in. Run: strongroom login URL")
	}
	return p, p.check()
}

// check refuses a server that the heroku CLI would not recognise as ours.
func (p profile) check() error {
	u, err := url.Parse(p.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return fault.New(fault.Invalid, "%q is not the URL of a server, such as https://localhost.paas.example.org", p.URL)
	}
	return nil
}

func (p profile) write() error {
	path, err := profilePath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o600)
}

// herokuEnv is every variable that makes the heroku CLI talk to this server and
// to no other. It refuses a name that the CLI would not accept: with one
// variable missing or one name wrong it falls back to Heroku in silence, and
// sends the token, or a pg:reset, there.
func (p profile) herokuEnv() ([]string, error) {
	u, err := url.Parse(p.URL)
	if err != nil {
		return nil, err
	}
	host := u.Hostname()
	if !strings.Contains(host, "localhost") && !strings.Contains(host, "127.0.0.1") {
		return nil, fault.New(fault.Invalid, "The heroku CLI would not talk to %s but to Heroku: the server's name must contain \"localhost\", such as localhost.%s. Give the server such a name, or reach it through a tunnel on localhost.", host, host)
	}
	base := "https://" + u.Host
	env := []string{
		"HEROKU_HOST=" + base,
		"HEROKU_DATA_HOST=" + host, // the CLI takes the port from HEROKU_HOST
		"HEROKU_GIT_HOST=" + u.Host,
		"HEROKU_PARTICLEBOARD_URL=" + base,
		"HEROKU_LOGIN_HOST=" + base,
		"HEROKU_BUILDPACK_REGISTRY_URL=" + base,
		"HEROKU_API_KEY=" + p.Token,
		`HEROKU_HEADERS={"Authorization":"Bearer ` + p.Token + `"}`,
		"DISABLE_TELEMETRY=true",
		"HEROKU_SKIP_NEW_VERSION_CHECK=true",
		"HEROKU_DISABLE_AUTOUPDATE=1",
	}
	if p.CA != "" {
		ca, err := filepath.Abs(p.CA)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(ca); err != nil {
			return nil, fmt.Errorf("the server's CA: %w", err)
		}
		env = append(env, "NODE_EXTRA_CA_CERTS="+ca, "GIT_SSL_CAINFO="+ca)
	}
	return append(env, gitEnv(base, os.Getenv)...), nil
}

// gitHelper answers git with the token. It is the shell's own variable that it
// reads: the token stands in no configuration.
const gitHelper = `!f() { test "$1" = get && echo username=heroku && echo "password=$HEROKU_API_KEY"; }; f`

// gitEnv has git use the token for this server and no other helper, so that
// none of them keeps it. What the environment configures already stays.
func gitEnv(base string, get func(string) string) []string {
	n, err := strconv.Atoi(get("GIT_CONFIG_COUNT"))
	if err != nil || n < 0 {
		n = 0
	}
	key := "credential." + base + ".helper"
	// A shell that set this before does not get it twice.
	if n >= 2 && get(fmt.Sprintf("GIT_CONFIG_KEY_%d", n-1)) == key && get(fmt.Sprintf("GIT_CONFIG_VALUE_%d", n-1)) == gitHelper {
		n -= 2
	}
	return []string{
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", n+2),
		fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=", n), // forget other helpers
		fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n+1, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n+1, gitHelper),
	}
}
