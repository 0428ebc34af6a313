package witness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/strongroom/strongroom/internal/fault"
)

// Directory is where a witness keeps its key, the logs that it knows, and what
// it cosigned.
type Directory string

func (d Directory) keyPath() string  { return filepath.Join(string(d), "key") }
func (d Directory) logsPath() string { return filepath.Join(string(d), "logs.json") }
func (d Directory) lockPath() string { return filepath.Join(string(d), "lock") }

func (d Directory) historyPath(origin string) string {
	return filepath.Join(string(d), "history", url.PathEscape(origin))
}

// Log is a log that a witness knows.
type Log struct {
	Origin string   `json:"origin"`
	Keys   []string `json:"keys"` // verifier keys; any of them signs for the log
}

// maxOrigin bounds an origin, so that a file can have its name.
const maxOrigin = 80

func (l *Log) verifiers() ([]note.Verifier, error) {
	var out []note.Verifier
	for _, k := range l.Keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%.80q is not a log's verifier key", k)
		}
		out = append(out, v)
	}
	return out, nil
}

// Init makes a witness's directory with a new key, and returns its verifier
// key. It refuses where there is one.
func Init(d Directory, name string) (vkey string, err error) {
	skey, vkey, err := newKey(name)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(string(d), "history"), 0o700); err != nil {
		return "", fmt.Errorf("make the witness's directory: %w", err)
	}
	f, err := os.OpenFile(d.keyPath(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fault.New(fault.Conflict, "There is a witness in %s already.", string(d))
	}
	if err != nil {
		return "", fmt.Errorf("write the witness's key: %w", err)
	}
	_, err = f.WriteString(skey + "\n")
	return vkey, errors.Join(err, f.Sync(), f.Close(), syncDir(string(d)))
}

// Key gives the witness's verifier key.
func (d Directory) Key() (string, error) {
	s, err := d.signer()
	if err != nil {
		return "", err
	}
	return s.Verifier().String(), nil
}

// Logs lists the logs that the witness knows.
func (d Directory) Logs() ([]Log, error) {
	b, err := os.ReadFile(d.logsPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the witness's logs: %w", err)
	}
	var out []Log
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s cannot be read", d.logsPath())
	}
	return out, nil
}

// Trust adds a log, or a key to one that is known. The origin is the key's name
// unless it is given. A witness that runs knows it from the next request on.
func (d Directory) Trust(vkey, origin string) (Log, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return Log{}, fault.Wrap(fault.Invalid, err, "%.80q is not a log's verifier key (ledger:key prints it)", vkey)
	}
	if origin == "" {
		origin = v.Name()
	}
	if len(origin) > maxOrigin || strings.ContainsAny(origin, "\n\x00") {
		return Log{}, fault.New(fault.Invalid, "%.100q cannot be a log's origin", origin)
	}
	if _, err := d.signer(); err != nil {
		return Log{}, err
	}
	logs, err := d.Logs()
	if err != nil {
		return Log{}, err
	}
	i := slices.IndexFunc(logs, func(l Log) bool { return l.Origin == origin })
	if i < 0 {
		logs, i = append(logs, Log{Origin: origin}), len(logs)
	}
	if slices.Contains(logs[i].Keys, vkey) {
		return logs[i], nil
	}
	logs[i].Keys = append(logs[i].Keys, vkey)
	return logs[i], d.writeLogs(logs)
}

// writeLogs replaces the list as a whole: a reader sees the old one or the new.
func (d Directory) writeLogs(logs []Log) error {
	b, err := json.MarshalIndent(logs, "", "  ")
	if err != nil {
		return fmt.Errorf("write the witness's logs: %w", err)
	}
	temp := d.logsPath() + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write the witness's logs: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the witness's logs: %w", err)
	}
	return errors.Join(os.Rename(temp, d.logsPath()), syncDir(string(d)))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
