package premises

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/driver"
	"github.com/strongroom/strongroom/internal/fault"
	"github.com/strongroom/strongroom/internal/pattern"
)

// lately is how long a login is told of: so long somebody has to say why it was.
const lately = 24 * time.Hour

// maxRecord is how much of a log is read, from its end.
const maxRecord = 4 << 20

// records reads a log of the host, fs.ErrNotExist if the host does not keep it.
type records func(ctx context.Context) ([]byte, error)

// logins tells what the host's log says of logins and of who became root.
func (p *Premises) logins(ctx context.Context, s *driver.Survey) error {
	now, kept := time.Now(), false
	var all []login
	for _, read := range p.records {
		b, err := read(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the host's log of logins: %w", err)
		}
		kept = true
		for line := range bytes.Lines(b) {
			s.Look("", "lines of the host's log", 1)
			if l, ok := parseLogin(string(line), now); ok && now.Sub(l.at) < lately {
				all = append(all, l)
			}
		}
	}
	if !kept {
		return fault.New(fault.Unavailable, "The host keeps no log of logins: neither a journal nor /var/log/auth.log.")
	}
	s.Look("", "lines of the host's log", 0)
	// The newest first: what does not fit is older.
	slices.SortStableFunc(all, func(a, b login) int { return b.at.Compare(a.at) })
	for _, l := range slices.Compact(all) { // a journal and a file have the same
		s.Found("", "login", "%s at %s.", l.what, l.at.Format(time.DateTime+" UTC"))
	}
	return nil
}

// login is a line that tells of one.
type login struct {
	at   time.Time // to the second
	what string
}

// entry is a line of syslog: time, host, program with its number, message.
var entry = pattern.New(`^(\d{4}-\d\d-\d\dT\S{8,25}|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) \S+ ([a-z-]+)(?:\[\d+\])?: (.*)$`)

// messages that tell of a login, by program. None is of what was then done.
var messages = []struct {
	program string
	pattern pattern.Pattern
	tell    func(m []string) string
}{
	{
		"sshd", pattern.New(`^Accepted (\S+) for (\S+) from (\S+) port `),
		func(m []string) string { return fmt.Sprintf("%q logged in over SSH (%s) from %s", m[2], m[1], m[3]) },
	},
	{
		"login", pattern.New(`^pam_unix\(login:session\): session opened for user ([^\s(]+)`),
		func(m []string) string { return fmt.Sprintf("%q logged in on a console", m[1]) },
	},
	{
		"sudo", pattern.New(`^\s*(\S+) : (?:TTY=\S+ ; )?(?:PWD=.* ; )?USER=(\S+) ; `),
		func(m []string) string { return fmt.Sprintf("%q used sudo to become %q", m[1], m[2]) },
	},
	{
		"su", pattern.New(`^pam_unix\(su(?:-l)?:session\): session opened for user ([^\s(]+)(?:\(uid=\d+\))? by ([^\s(]*)`),
		func(m []string) string { return fmt.Sprintf("%q used su to become %q", m[2], m[1]) },
	},
}

// parseLogin reads a line that programs wrote, some of it as strangers chose.
func parseLogin(line string, now time.Time) (login, bool) {
	m := entry.FindStringSubmatch(strings.TrimRight(line, "\n"))
	if m == nil {
		return login{}, false
	}
	at, err := parseTime(m[1], now)
	if err != nil {
		return login{}, false
	}
	for _, x := range messages {
		if x.program != strings.TrimSuffix(m[2], "-session") {
			continue
		}
		if found := x.pattern.FindStringSubmatch(m[3]); found != nil {
			return login{at, x.tell(found)}, true
		}
	}
	return login{}, false
}

// parseTime reads both forms of syslog. The older one has no year: it is of the
// last twelve months.
func parseTime(s string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700"} { // syslog's, systemd's
		if at, err := time.Parse(layout, s); err == nil {
			return at.Truncate(time.Second).UTC(), nil
		}
	}
	at, err := time.ParseInLocation(time.Stamp, s, time.Local)
	at = at.AddDate(now.Year(), 0, 0)
	if at.After(now.Add(lately)) {
		at = at.AddDate(-1, 0, 0)
	}
	return at.UTC(), err
}

// authLog is the end of a file that syslog writes.
func authLog(path string) records {
	return func(context.Context) ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		size, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.NewSectionReader(f, max(0, size-maxRecord), maxRecord))
	}
}

// journal asks systemd's, where it keeps one.
func journal(ctx context.Context) ([]byte, error) {
	for _, dir := range []string{"/var/log/journal", "/run/log/journal"} {
		if files, err := filepath.Glob(dir + "/*/*.journal"); err != nil || len(files) == 0 {
			continue
		}
		args := []string{"--quiet", "--no-pager", "--output=short-iso", "--since=-24h", "--lines=20000"}
		for _, program := range []string{"sshd", "sshd-session", "login", "sudo", "su"} {
			args = append(args, "--identifier="+program)
		}
		out, err := exec.CommandContext(ctx, "journalctl", args...).Output()
		return out[max(0, len(out)-maxRecord):], err
	}
	return nil, fs.ErrNotExist
}
